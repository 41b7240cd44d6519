// SPDX-License-Identifier: Apache-2.0
// What to do about an answer: take it, repeat the call, set something right before that, or fail.
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "cloud/s3_client_internal.h"
#include "cloud/s3_meaning.h"
#include "cloud/s3_xml.h"

#define S3_SKEW_MS          (10 * CIVIL_MINUTE_MS) // clocks differ, though the answer does not say so
#define S3_REFRESH_PAUSE_MS (60 * CIVIL_SECOND_MS)
#define S3_REGION_CHARS_MAX ((size_t)40)
#define S3_CODE_CHARS_MAX   ((size_t)64)

static enum s3_course s3_judge_fail(const struct s3_attempt *attempt,
                                    const struct s3_meaning *meaning, const char *answer,
                                    struct err *err)
{
    const struct s3_call *call = attempt->call;
    const bool has_advice = meaning->step == S3_STEP_FAIL && meaning->kind == ERR_DENIED &&
                            call->advice != NULL;
    (void)err_set(err, meaning->kind, "%s: %s (%s): %s on %s%s%s%s%s", call->name, meaning->text,
                  answer, call->permission, attempt->client->bucket, call->key == NULL ? "" : "/",
                  call->key == NULL ? "" : call->key, has_advice ? ". " : "",
                  has_advice ? call->advice : "");
    return S3_COURSE_FAILED;
}

// Only words of the protocol come into our texts.
static bool s3_judge_is_word(const char *text, size_t chars_max)
{
    const size_t chars = strlen(text);
    if (chars == 0 || chars > chars_max)
        return false;
    for (size_t i = 0; i < chars; i++) {
        const char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_'))
            return false;
    }
    return true;
}

// Takes "s3.REGION.example.com" to the other region, and "s3.amazonaws.com", which is for all.
static char *s3_judge_authority_in(const char *authority, const char *old, const char *new)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, 1024);
    char label[S3_REGION_CHARS_MAX + 3];
    (void)snprintf(label, sizeof label, ".%.*s.", (int)S3_REGION_CHARS_MAX, old);
    const char *at = strstr(authority, label);
    if (strcmp(authority, "s3.amazonaws.com") == 0) {
        buf_append_format(&out, "s3.%s.amazonaws.com", new);
    } else if (at != NULL) {
        buf_append(&out, slice_of(authority, (size_t)(at - authority) + 1));
        buf_append_text(&out, new);
        buf_append_text(&out, at + strlen(label) - 1);
    } else {
        buf_append_text(&out, authority);
    }
    ASSERT(!out.overflowed);
    return buf_take(&out);
}

static bool s3_judge_move(struct s3_attempt *attempt, const char *region)
{
    struct s3_client *client = attempt->client;
    if (attempt->has_moved || region == NULL || !s3_judge_is_word(region, S3_REGION_CHARS_MAX) ||
        strchr(region, '.') != NULL || strcmp(region, client->region) == 0)
        return false;
    attempt->has_moved = true;
    char *authority = s3_judge_authority_in(client->authority, client->region, region);
    mem_free(client->authority);
    client->authority = authority;
    mem_free(client->region);
    client->region = mem_copy_text(region);
    s3_client_reconnect(client);
    return true;
}

static bool s3_judge_set_clock(struct s3_attempt *attempt, const struct http_client_reply *reply)
{
    const char *date = http_client_reply_header(reply, "Date");
    int64_t date_ms = 0;
    if (attempt->has_set_clock || date == NULL || !civil_parse_http(slice_text(date), &date_ms))
        return false;
    attempt->has_set_clock = true;
    attempt->client->skew_ms = date_ms - clock_wall_ms(attempt->client->config.clock);
    return true;
}

static bool s3_judge_clock_is_off(const struct s3_attempt *attempt,
                                  const struct http_client_reply *reply)
{
    const char *date = http_client_reply_header(reply, "Date");
    int64_t date_ms = 0;
    if (date == NULL || !civil_parse_http(slice_text(date), &date_ms))
        return false;
    const int64_t off_ms = date_ms - clock_wall_ms(attempt->client->config.clock) -
                           attempt->client->skew_ms;
    return off_ms > S3_SKEW_MS || off_ms < -S3_SKEW_MS;
}

// Some answers have no body that says more, those to HEAD above all.
static struct s3_meaning s3_judge_meaning(const struct s3_attempt *attempt,
                                          const struct http_client_reply *reply, const char *code,
                                          const char *region)
{
    struct s3_meaning meaning = s3_meaning_of(reply->status, code);
    if (code != NULL)
        return meaning;
    if (reply->status == 403 && s3_judge_clock_is_off(attempt, reply))
        meaning.step = S3_STEP_CLOCK;
    if (reply->status == 400 && !secret_is_empty(&attempt->credentials.session_token))
        meaning.step = S3_STEP_REFRESH;
    if (reply->status == 400 && region != NULL && strcmp(region, attempt->client->region) != 0)
        meaning.step = S3_STEP_MOVE;
    return meaning;
}

static enum s3_course s3_judge_later(struct s3_attempt *attempt, const char *what)
{
    (void)err_set(&attempt->last, ERR_UNAVAILABLE, "%s: %s", attempt->call->name, what);
    attempt->is_unclear = true;
    return S3_COURSE_LATER;
}

// What the body says: the code of an error, and the region that it names. False: it should be XML
// and is none.
static bool s3_judge_read_error(const struct s3_attempt *attempt, int status, struct slice body,
                                const char **ret_code, const char **ret_region)
{
    static const char *const paths[] = {"Error/Code", "Error/Region", "Error"};
    const char *texts[ARRAY_COUNT(paths)] = {NULL};
    const bool may_be_xml = body.size_bytes > 0 && (status >= 300 || attempt->call->is_xml);
    const bool is_read = may_be_xml &&
                         s3_xml_texts(body, paths, ARRAY_COUNT(paths), attempt->arena, texts, NULL);
    if (texts[2] != NULL && (texts[0] == NULL || !s3_judge_is_word(texts[0], S3_CODE_CHARS_MAX)))
        texts[0] = "unknown";
    *ret_code = texts[0];
    *ret_region = texts[1];
    return status >= 300 || !attempt->call->is_xml || is_read;
}

static bool s3_credentials_equal(const struct s3_credentials *a, const struct s3_credentials *b)
{
    return strcmp(a->key_id, b->key_id) == 0 &&
           slice_equal(secret_reveal(&a->secret_key), secret_reveal(&b->secret_key)) &&
           slice_equal(secret_reveal(&a->session_token), secret_reveal(&b->session_token));
}

// Once per call. Credentials that stay the same would be refused again, and those who give them out
// are not asked at each call.
static bool s3_judge_refresh(struct s3_attempt *attempt, bool *ret_is_other, struct err *err)
{
    struct s3_client *client = attempt->client;
    const struct s3_config *config = &client->config;
    const int64_t now_ms = clock_boot_ms(config->clock);
    *ret_is_other = false;
    if (attempt->has_refreshed || (client->refreshed_in_vain_ms != 0 &&
                                   now_ms - client->refreshed_in_vain_ms < S3_REFRESH_PAUSE_MS))
        return true;
    attempt->has_refreshed = true;
    struct s3_credentials credentials;
    TRY(config->get_credentials(config->context, true, attempt->arena, &credentials, err));
    *ret_is_other = !s3_credentials_equal(&credentials, &attempt->credentials);
    client->refreshed_in_vain_ms = *ret_is_other ? 0 : now_ms;
    return true;
}

enum s3_course s3_judge(struct s3_attempt *attempt, const struct http_client_reply *reply,
                        struct slice body, struct s3_reply *ret_reply, struct err *err)
{
    const char *code = NULL;
    const char *region = NULL;
    const bool is_readable = s3_judge_read_error(attempt, reply->status, body, &code, &region);
    if (http_client_reply_header(reply, "x-amz-bucket-region") != NULL)
        region = http_client_reply_header(reply, "x-amz-bucket-region");
    if (reply->status / 100 == 2 && (!is_readable || !reply->was_sent_whole)) {
        s3_client_reconnect(attempt->client);
        return s3_judge_later(attempt, "an answer that cannot be right");
    }
    const struct s3_meaning meaning = s3_judge_meaning(attempt, reply, code, region);
    bool is_other = false;
    char what[96];
    (void)snprintf(what, sizeof what, "%d%s%s", reply->status, code == NULL ? "" : " ",
                   code == NULL ? "" : code);
    switch (meaning.step) {
    case S3_STEP_DONE:
        *ret_reply = (struct s3_reply){
            .answer = meaning.answer,
            .headers = reply->headers,
            .header_count = reply->header_count,
            .body = slice_of(arena_copy_slice(attempt->arena, body), body.size_bytes)};
        return S3_COURSE_DONE;
    case S3_STEP_LATER:
        attempt->retry_after_s = reply->retry_after_s;
        return s3_judge_later(attempt, what);
    case S3_STEP_REFRESH:
        if (!s3_judge_refresh(attempt, &is_other, err))
            return S3_COURSE_FAILED;
        if (is_other)
            return S3_COURSE_AGAIN;
        break;
    case S3_STEP_CLOCK:
        if (s3_judge_set_clock(attempt, reply))
            return S3_COURSE_AGAIN;
        break;
    case S3_STEP_MOVE:
        if (s3_judge_move(attempt, region))
            return S3_COURSE_AGAIN;
        break;
    case S3_STEP_FAIL:
        break;
    }
    return s3_judge_fail(attempt, &meaning, what, err);
}
