// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/uri.h"
#include "net/sigv4_internal.h"

static const struct sigv4_words sigv4_words[] = {
    [SIGV4_AMZ] = {SIGV4_ALGORITHM, "AWS4", SIGV4_TERMINATOR, "x-amz-content-sha256", "x-amz-date"},
    [SIGV4_GOOG] = {"GOOG4-HMAC-SHA256", "GOOG4", "goog4_request", "x-goog-content-sha256",
                    "x-goog-date"},
};

const struct sigv4_words *sigv4_words_of(enum sigv4_dialect dialect)
{
    ASSERT((size_t)dialect < ARRAY_COUNT(sigv4_words));
    return &sigv4_words[dialect];
}

static void sigv4_derive_key(struct slice secret, const struct sigv4_scope *scope,
                             uint8_t ret_key[SHA256_BYTES])
{
    const struct sigv4_words *words = sigv4_words_of(scope->dialect);
    struct buf first CLEANUP(buf_wipe);
    buf_init(&first, SIGV4_TEXT_BYTES);
    buf_append_text(&first, words->key_prefix);
    buf_append(&first, secret);
    ASSERT(!first.overflowed);
    uint8_t key[SHA256_BYTES];
    hmac_sha256(buf_slice(&first), slice_text(scope->date), key);
    const char *const steps[] = {scope->region, scope->service, words->terminator};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        uint8_t next[SHA256_BYTES];
        hmac_sha256(slice_of(key, sizeof key), slice_text(steps[i]), next);
        memcpy(key, next, sizeof key);
    }
    memcpy(ret_key, key, sizeof key);
    explicit_bzero(key, sizeof key);
}

void sigv4_compute(const struct sigv4_canonical *canonical, const struct sigv4_scope *scope,
                   struct slice secret, char ret_hex[SHA256_HEX_CHARS + 1])
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, SIGV4_TEXT_BYTES);
    buf_append_format(&text, "%s\n%s\n%s\n%s\n%s\n%s", canonical->method, canonical->path,
                      canonical->query, canonical->headers, canonical->signed_headers,
                      canonical->payload);
    ASSERT(!text.overflowed);
    uint8_t digest[SHA256_BYTES];
    char digest_hex[SHA256_HEX_CHARS + 1];
    sha256_of(buf_slice(&text), digest);
    hex_encode(slice_of(digest, sizeof digest), digest_hex);
    buf_reset(&text);
    const struct sigv4_words *words = sigv4_words_of(scope->dialect);
    buf_append_format(&text, "%s\n%s\n%s/%s/%s/%s\n%s", words->algorithm, scope->stamp, scope->date,
                      scope->region, scope->service, words->terminator, digest_hex);
    ASSERT(!text.overflowed);
    uint8_t key[SHA256_BYTES];
    sigv4_derive_key(secret, scope, key);
    hmac_sha256(slice_of(key, sizeof key), buf_slice(&text), digest);
    explicit_bzero(key, sizeof key);
    hex_encode(slice_of(digest, sizeof digest), ret_hex);
}

// --- Canonical forms

static int sigv4_compare_pairs(const void *left, const void *right)
{
    const struct sigv4_pair *a = left;
    const struct sigv4_pair *b = right;
    const int order = slice_compare(a->name, b->name);
    return order != 0 ? order : slice_compare(a->value, b->value);
}

static struct slice sigv4_encode(struct slice text, struct arena *arena)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, SIGV4_TEXT_BYTES);
    uri_append_encoded(&out, text, "");
    ASSERT(!out.overflowed);
    return slice_text(arena_copy_slice(arena, buf_slice(&out)));
}

const char *sigv4_canonical_query(struct sigv4_pair *pairs, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        pairs[i].name = sigv4_encode(pairs[i].name, arena);
        pairs[i].value = sigv4_encode(pairs[i].value, arena);
    }
    if (count > 0)
        qsort(pairs, count, sizeof *pairs, sigv4_compare_pairs);
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, SIGV4_TEXT_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_char(&out, '&');
        buf_append(&out, pairs[i].name);
        buf_append_char(&out, '=');
        buf_append(&out, pairs[i].value);
    }
    ASSERT(!out.overflowed);
    return arena_copy_slice(arena, buf_slice(&out));
}

static struct slice sigv4_lower(struct slice name, struct arena *arena)
{
    char *copy = arena_copy_slice(arena, name);
    for (char *at = copy; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at + 'a' - 'A');
    return slice_text(copy);
}

static void sigv4_append_value(struct buf *out, struct slice value)
{
    const char *chars = slice_chars(value);
    bool is_gap = false;
    bool is_begun = false;
    for (size_t i = 0; i < value.size_bytes; i++) {
        if (chars[i] == ' ' || chars[i] == '\t') {
            is_gap = is_begun;
            continue;
        }
        if (is_gap)
            buf_append_char(out, ' ');
        buf_append_char(out, chars[i]);
        is_gap = false;
        is_begun = true;
    }
}

void sigv4_canonical_headers(struct sigv4_pair *pairs, size_t count, struct arena *arena,
                             const char **ret_headers, const char **ret_signed_headers)
{
    ASSERT(count > 0);
    for (size_t i = 0; i < count; i++)
        pairs[i].name = sigv4_lower(pairs[i].name, arena);
    qsort(pairs, count, sizeof *pairs, sigv4_compare_pairs);
    struct buf headers CLEANUP(buf_clear);
    struct buf names CLEANUP(buf_clear);
    buf_init(&headers, SIGV4_TEXT_BYTES);
    buf_init(&names, SIGV4_TEXT_BYTES);
    for (size_t i = 0; i < count; i++) {
        buf_append(&headers, pairs[i].name);
        buf_append_char(&headers, ':');
        sigv4_append_value(&headers, pairs[i].value);
        buf_append_char(&headers, '\n');
        if (i > 0)
            buf_append_char(&names, ';');
        buf_append(&names, pairs[i].name);
    }
    ASSERT(!headers.overflowed);
    ASSERT(!names.overflowed);
    *ret_headers = arena_copy_slice(arena, buf_slice(&headers));
    *ret_signed_headers = arena_copy_slice(arena, buf_slice(&names));
}

// --- Reading

// KEY/yyyymmdd/REGION/SERVICE/aws4_request
bool sigv4_parse_credential(struct slice text, struct arena *arena,
                            struct sigv4_credential *ret_credential)
{
    struct slice parts[5];
    size_t count = 0;
    const char *chars = slice_chars(text);
    size_t start = 0;
    for (size_t i = 0; i <= text.size_bytes; i++) {
        if (i < text.size_bytes && chars[i] != '/')
            continue;
        if (count == ARRAY_COUNT(parts) || i == start)
            return false;
        parts[count++] = slice_of(chars + start, i - start);
        start = i + 1;
    }
    if (count != ARRAY_COUNT(parts) || parts[1].size_bytes != SIGV4_DATE_CHARS ||
        !slice_equal_text(parts[4], SIGV4_TERMINATOR))
        return false;
    *ret_credential = (struct sigv4_credential){.key_id = arena_copy_slice(arena, parts[0]),
                                                .date = arena_copy_slice(arena, parts[1]),
                                                .region = arena_copy_slice(arena, parts[2]),
                                                .service = arena_copy_slice(arena, parts[3])};
    return true;
}

static int sigv4_digits(const char *chars, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (chars[i] - '0');
    return value;
}

// 20130524T000000Z
bool sigv4_parse_stamp(struct slice text, int64_t *ret_time_ms)
{
    static const char form[] = "ddddddddTddddddZ";
    const char *chars = slice_chars(text);
    if (text.size_bytes != SIGV4_STAMP_CHARS)
        return false;
    for (size_t i = 0; i < SIGV4_STAMP_CHARS; i++)
        if (form[i] == 'd' ? chars[i] < '0' || chars[i] > '9' : chars[i] != form[i])
            return false;
    const struct civil civil = {.year = sigv4_digits(chars, 4),
                                .month = sigv4_digits(chars + 4, 2),
                                .day = sigv4_digits(chars + 6, 2),
                                .hour = sigv4_digits(chars + 9, 2),
                                .minute = sigv4_digits(chars + 11, 2),
                                .second = sigv4_digits(chars + 13, 2)};
    if (!civil_is_valid(civil))
        return false;
    *ret_time_ms = civil_to_ms(civil);
    return true;
}

bool sigv4_is_signature(struct slice text)
{
    const char *chars = slice_chars(text);
    if (text.size_bytes != SHA256_HEX_CHARS)
        return false;
    for (size_t i = 0; i < text.size_bytes; i++)
        if (!((chars[i] >= '0' && chars[i] <= '9') || (chars[i] >= 'a' && chars[i] <= 'f')))
            return false;
    return true;
}
