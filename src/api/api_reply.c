// SPDX-License-Identifier: Apache-2.0
#include "api/api_reply.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/api_coding.h"
#include "base/check.h"
#include "base/mem.h"

#define API_LIMITED_CODE 7 // as Branch has it

// Bytes of text without a cut-off character at its end: messages are cut at the size of struct err.
static size_t api_whole_utf8(const char *text)
{
    const size_t size = strlen(text);
    size_t lead = size;
    while (lead > 0 && size - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return size;
    const unsigned char first = (unsigned char)text[lead - 1];
    const size_t wanted = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    return size - (lead - 1) < wanted ? lead - 1 : size;
}

static void api_write_text(struct json_text *json, const char *text)
{
    json_text_string(json, slice_of(text, api_whole_utf8(text)));
}

static void api_write_error_item(struct json_text *json, int status, const char *message)
{
    json_text_open(json, '{');
    json_text_key(json, "message");
    api_write_text(json, message);
    json_text_member_int64(json, "error_code", status);
    json_text_close(json, '}');
}

static void api_write_faults(struct json_text *json, int status, const struct api_faults *faults)
{
    json_text_key(json, "errors");
    json_text_open(json, '[');
    for (size_t i = 0; i < faults->count; i++)
        api_write_error_item(json, status, faults->messages[i]);
    json_text_close(json, ']');
}

void api_write_error(struct buf *destination, int status, const char *message,
                     const struct api_faults *faults)
{
    struct json_text json;
    json_text_init(&json, destination);
    json_text_open(&json, '{');
    json_text_key(&json, "error");
    json_text_open(&json, '{');
    json_text_key(&json, "message");
    api_write_text(&json, message);
    json_text_member_int64(&json, "code", status);
    json_text_close(&json, '}');
    if (faults != NULL && faults->count > 0)
        api_write_faults(&json, status, faults);
    json_text_close(&json, '}');
}

bool api_refuse(struct api_call *call, struct err *err, int status, const char *format, ...)
{
    ASSERT(status >= 400);
    va_list arguments;
    va_start(arguments, format);
    char message[sizeof err->message];
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    call->refusal_status = status;
    return err_set(err, ERR_INVALID, "%s", message);
}

static bool api_has_access(const struct api_call *call, enum api_access access)
{
    return call->match.route != NULL && call->match.route->access == access;
}

struct api_answer {
    int status;
    const char *message; // NULL: the error's own
};

// What catalog and log say, in the words of the surface that was called: Branch's knows no 403 and
// 409, and an error of the disk under the ingest log is a reason to send the same batch again.
static struct api_answer api_answer_of(const struct api_call *call, enum err_kind kind)
{
    const bool is_branch = api_has_access(call, API_ACCESS_BRANCH) ||
                           api_has_access(call, API_ACCESS_SUBSCRIBE);
    const bool is_ingest = api_has_access(call, API_ACCESS_INGEST);
    switch (kind) {
    case ERR_INVALID:
        return (struct api_answer){400, NULL};
    case ERR_LIMIT:
        return (struct api_answer){is_ingest ? 413 : 400, NULL};
    case ERR_NOT_FOUND:
        return (struct api_answer){404, is_branch ? "Job ID Not Found" : "Not found"};
    case ERR_CONFLICT:
        return (struct api_answer){is_branch ? 400 : 409, NULL};
    case ERR_DENIED:
        return (struct api_answer){is_branch ? 400 : 403, NULL};
    case ERR_UNAVAILABLE:
    case ERR_CANCELED:
        return (struct api_answer){503, is_ingest ? "Overloaded" : API_TEXT_INTERNAL};
    case ERR_FULL:
        return (struct api_answer){507, "Insufficient storage"};
    case ERR_IO:
        if (is_ingest)
            return (struct api_answer){503, "Storage unavailable"};
        break;
    case ERR_NONE:
    case ERR_CORRUPT:
        break;
    }
    return (struct api_answer){500, API_TEXT_INTERNAL};
}

// Clients of Branch wait for as long as the text of the second error says.
static void api_write_limited(struct api_call *call, const char *message)
{
    const char *fault =
        arena_format(call->arena, "Limit is exceeded for org-%s, retry after %lld seconds",
                     call->identity.organization_id, (long long)call->retry_after_s);
    struct json_text json;
    json_text_init(&json, &call->reply);
    json_text_open(&json, '{');
    json_text_key(&json, "error");
    json_text_open(&json, '{');
    json_text_member_text(&json, "message", message);
    json_text_member_int64(&json, "code", 429);
    json_text_close(&json, '}');
    json_text_key(&json, "errors");
    json_text_open(&json, '[');
    json_text_open(&json, '{');
    json_text_member_text(&json, "message", fault);
    json_text_member_int64(&json, "error_code", API_LIMITED_CODE);
    json_text_close(&json, '}');
    json_text_close(&json, ']');
    json_text_close(&json, '}');
}

void api_stage_error(struct api_call *call, int status, const char *message)
{
    call->status = status;
    call->content_type = NULL;
    buf_reset(&call->reply);
    call->reply.overflowed = false;
    if (status == 429)
        api_write_limited(call, message);
    else
        api_write_error(&call->reply, status, message, call->faults);
}

void api_stage_failure(struct api_call *call, const struct err *err)
{
    struct api_answer answer = {call->refusal_status, NULL};
    if (call->refusal_status == 0)
        answer = api_answer_of(call, err->kind);
    call->is_alarm = err->kind == ERR_CORRUPT;
    if (answer.status >= 500 && call->failure == NULL)
        call->failure = arena_copy_text(call->arena, err->message);
    api_stage_error(call, answer.status, answer.message == NULL ? err->message : answer.message);
}

static const char *api_retry_after(const struct api_call *call)
{
    if (call->retry_after_s > 0)
        return arena_format(call->arena, "%lld", (long long)call->retry_after_s);
    switch (call->status) {
    case 503:
        return "1";
    case 507:
        return "30";
    default:
        return "";
    }
}

static void api_add_headers(struct api_call *call)
{
    struct http_request *request = call->request;
    if (call->status != 304)
        http_add_header(request, "Content-Type",
                        call->content_type == NULL ? "application/json; charset=utf-8"
                                                   : call->content_type);
    if (call->status == 401)
        http_add_header(request, "WWW-Authenticate", "Bearer realm=\"milkrun\"");
    http_add_header(request, "Retry-After", api_retry_after(call));
    if (call->link != NULL && call->status == 200)
        http_add_header(request, "Link", call->link);
    if (call->etag != NULL && call->status < 400)
        http_add_header(request, "ETag", call->etag);
}

// A body with an entity tag goes as it is: the tag is of its bytes.
static bool api_reply_is_codable(const struct api_call *call)
{
    return call->status == 200 && call->etag == NULL &&
           call->reply.size_bytes >= API_CODING_BYTES_MIN;
}

void api_send(struct api_call *call)
{
    struct err err;
    if (!buf_check(&call->reply, &err)) // half a list is worse than none
        api_stage_error(call, 400, "Reply too large: ask for less");
    ASSERT(call->status >= 200);
    api_add_headers(call);
    if (!api_reply_is_codable(call)) {
        http_reply(call->request, call->status, buf_slice(&call->reply));
        return;
    }
    http_add_header(call->request, "Vary", "Accept-Encoding");
    if (!api_coding_wants_gzip(http_header(call->request, "Accept-Encoding", NULL))) {
        http_reply(call->request, call->status, buf_slice(&call->reply));
        return;
    }
    struct buf coded CLEANUP(buf_clear);
    buf_init(&coded, 2 * call->reply.size_bytes);
    api_coding_gzip(buf_slice(&call->reply), &coded);
    ASSERT(!coded.overflowed);
    http_add_header(call->request, "Content-Encoding", "gzip");
    http_reply(call->request, call->status, buf_slice(&coded));
}
