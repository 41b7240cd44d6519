// SPDX-License-Identifier: Apache-2.0
#include "net/sigv4.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/uri.h"

#define SIGV4_ALGORITHM   "AWS4-HMAC-SHA256"
#define SIGV4_SERVICE     "s3"
#define SIGV4_TERMINATOR  "aws4_request"
#define SIGV4_DATE_CHARS  ((size_t)8)
#define SIGV4_STAMP_CHARS ((size_t)16) // 20130524T000000Z
#define SIGV4_TEXT_BYTES  ((size_t)64 * 1024)

// The parameters of a signed URL, in the order in which they are written into it.
enum sigv4_parameter {
    SIGV4_P_ALGORITHM,
    SIGV4_P_DATE,
    SIGV4_P_SIGNED_HEADERS,
    SIGV4_P_EXPIRES,
    SIGV4_P_CREDENTIAL,
    SIGV4_P_SIGNATURE,
    SIGV4_P_COUNT,
};

static const char *const sigv4_names[SIGV4_P_COUNT] = {
    [SIGV4_P_ALGORITHM] = "X-Amz-Algorithm",          [SIGV4_P_DATE] = "X-Amz-Date",
    [SIGV4_P_SIGNED_HEADERS] = "X-Amz-SignedHeaders", [SIGV4_P_EXPIRES] = "X-Amz-Expires",
    [SIGV4_P_CREDENTIAL] = "X-Amz-Credential",        [SIGV4_P_SIGNATURE] = "X-Amz-Signature",
};

// The same in the order of their names, as they are signed.
static const enum sigv4_parameter sigv4_sorted[] = {
    SIGV4_P_ALGORITHM, SIGV4_P_CREDENTIAL, SIGV4_P_DATE, SIGV4_P_EXPIRES, SIGV4_P_SIGNED_HEADERS,
};

static void sigv4_append_query(struct buf *out, const char *const encoded[SIGV4_P_COUNT],
                               const enum sigv4_parameter *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_char(out, '&');
        buf_append_format(out, "%s=%s", sigv4_names[order[i]], encoded[order[i]]);
    }
}

static char *sigv4_canonical_query(const char *const encoded[SIGV4_P_COUNT], struct arena *arena)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, SIGV4_TEXT_BYTES);
    sigv4_append_query(&out, encoded, sigv4_sorted, ARRAY_COUNT(sigv4_sorted));
    ASSERT(!out.overflowed);
    return arena_copy_slice(arena, buf_slice(&out));
}

static void sigv4_derive_key(struct slice secret, const char *date, const char *region,
                             uint8_t ret_key[SHA256_BYTES])
{
    struct buf first CLEANUP(buf_clear);
    buf_init(&first, SIGV4_TEXT_BYTES);
    buf_append_text(&first, "AWS4");
    buf_append(&first, secret);
    ASSERT(!first.overflowed);
    uint8_t key[SHA256_BYTES];
    hmac_sha256(buf_slice(&first), slice_text(date), key);
    explicit_bzero(first.data, first.size_bytes);
    const char *const steps[] = {region, SIGV4_SERVICE, SIGV4_TERMINATOR};
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        uint8_t next[SHA256_BYTES];
        hmac_sha256(slice_of(key, sizeof key), slice_text(steps[i]), next);
        memcpy(key, next, sizeof key);
    }
    memcpy(ret_key, key, sizeof key);
}

// What is signed, beside the secret.
struct sigv4_core {
    const char *host;
    const char *encoded_path;
    const char *canonical_query;
    const char *region;
    const char *date;  // yyyymmdd
    const char *stamp; // yyyymmddThhmmssZ
};

static void sigv4_compute(const struct sigv4_core *core, struct slice secret,
                          char ret_hex[SHA256_HEX_CHARS + 1])
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, SIGV4_TEXT_BYTES);
    buf_append_format(&text, "GET\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", core->encoded_path,
                      core->canonical_query, core->host);
    uint8_t digest[SHA256_BYTES];
    char digest_hex[SHA256_HEX_CHARS + 1];
    sha256_of(buf_slice(&text), digest);
    hex_encode(slice_of(digest, sizeof digest), digest_hex);
    ASSERT(!text.overflowed);
    buf_reset(&text);
    buf_append_format(&text, "%s\n%s\n%s/%s/%s/%s\n%s", SIGV4_ALGORITHM, core->stamp, core->date,
                      core->region, SIGV4_SERVICE, SIGV4_TERMINATOR, digest_hex);
    uint8_t key[SHA256_BYTES];
    sigv4_derive_key(secret, core->date, core->region, key);
    hmac_sha256(slice_of(key, sizeof key), buf_slice(&text), digest);
    hex_encode(slice_of(digest, sizeof digest), ret_hex);
}

char *sigv4_sign_url(const struct sigv4_url *url, struct arena *arena)
{
    ASSERT(url->path[0] == '/');
    ASSERT(url->expires_s >= 1);
    ASSERT(url->expires_s <= SIGV4_EXPIRES_MAX_S);
    char stamp[SIGV4_STAMP_CHARS + 1];
    civil_format_basic(url->signed_at_ms, stamp);
    const char *date = arena_copy_slice(arena, slice_of(stamp, SIGV4_DATE_CHARS));

    struct buf out CLEANUP(buf_clear);
    buf_init(&out, SIGV4_TEXT_BYTES);
    const char *credential = arena_format(arena, "%s/%s/%s/%s/%s", url->key_id, date, url->region,
                                          SIGV4_SERVICE, SIGV4_TERMINATOR);
    uri_append_encoded(&out, slice_text(credential), "");
    const char *encoded_credential = arena_copy_slice(arena, buf_slice(&out));
    buf_reset(&out);
    uri_append_encoded(&out, slice_text(url->path), "/");
    const char *encoded_path = arena_copy_slice(arena, buf_slice(&out));

    const char *encoded[SIGV4_P_COUNT] = {
        [SIGV4_P_ALGORITHM] = SIGV4_ALGORITHM,
        [SIGV4_P_DATE] = stamp,
        [SIGV4_P_SIGNED_HEADERS] = "host",
        [SIGV4_P_EXPIRES] = arena_format(arena, "%lld", (long long)url->expires_s),
        [SIGV4_P_CREDENTIAL] = encoded_credential,
    };
    const struct sigv4_core core = {.host = url->host,
                                    .encoded_path = encoded_path,
                                    .canonical_query = sigv4_canonical_query(encoded, arena),
                                    .region = url->region,
                                    .date = date,
                                    .stamp = stamp};
    char signature[SHA256_HEX_CHARS + 1];
    sigv4_compute(&core, url->secret, signature);
    encoded[SIGV4_P_SIGNATURE] = signature;

    static const enum sigv4_parameter written[] = {SIGV4_P_ALGORITHM,      SIGV4_P_DATE,
                                                   SIGV4_P_SIGNED_HEADERS, SIGV4_P_EXPIRES,
                                                   SIGV4_P_CREDENTIAL,     SIGV4_P_SIGNATURE};
    buf_append_char(&out, '?');
    sigv4_append_query(&out, encoded, written, ARRAY_COUNT(written));
    ASSERT(!out.overflowed);
    return arena_copy_slice(arena, buf_slice(&out));
}

// --- Received URLs

static bool sigv4_refuse(struct err *err)
{
    return err_set(err, ERR_DENIED, "Invalid signature");
}

// Finds each parameter exactly once and no other one; values stay encoded.
static bool sigv4_split_query(struct slice query, struct slice ret_values[SIGV4_P_COUNT])
{
    const char *chars = slice_chars(query);
    bool found[SIGV4_P_COUNT] = {false};
    size_t count = 0;
    for (size_t start = 0; start <= query.size_bytes; count++) {
        size_t end = start;
        while (end < query.size_bytes && chars[end] != '&')
            end++;
        const struct slice pair = slice_of(chars + start, end - start);
        size_t i = 0;
        for (; i < SIGV4_P_COUNT; i++) {
            const struct slice name = slice_text(sigv4_names[i]);
            if (!found[i] && slice_starts_with(pair, name) && pair.size_bytes > name.size_bytes &&
                slice_chars(pair)[name.size_bytes] == '=')
                break;
        }
        if (i == SIGV4_P_COUNT)
            return false;
        found[i] = true;
        ret_values[i] = slice_from(pair, strlen(sigv4_names[i]) + 1);
        start = end + 1;
    }
    return count == SIGV4_P_COUNT;
}

static int sigv4_hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

// Decodes text that is encoded in the one way in which we encode; false for any other.
static bool sigv4_decode(struct slice text, struct arena *arena, struct slice *ret_decoded)
{
    const char *from = slice_chars(text);
    char *to = arena_alloc(arena, text.size_bytes + 1);
    size_t size_bytes = 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        char c = from[i];
        if (c == '%') {
            if (text.size_bytes - i < 3)
                return false;
            const int high = sigv4_hex_value(from[i + 1]);
            const int low = sigv4_hex_value(from[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
            if (c == '\0' || uri_is_unreserved(c))
                return false;
        } else if (!uri_is_unreserved(c)) {
            return false;
        }
        to[size_bytes++] = c;
    }
    *ret_decoded = slice_of(to, size_bytes);
    return true;
}

// KEY/yyyymmdd/REGION/s3/aws4_request
static bool sigv4_parse_credential(struct slice text, struct arena *arena,
                                   struct sigv4_claim *ret_claim)
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
        !slice_equal_text(parts[3], SIGV4_SERVICE) || !slice_equal_text(parts[4], SIGV4_TERMINATOR))
        return false;
    ret_claim->key_id = arena_copy_slice(arena, parts[0]);
    ret_claim->date = arena_copy_slice(arena, parts[1]);
    ret_claim->region = arena_copy_slice(arena, parts[2]);
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
static bool sigv4_parse_stamp(struct slice text, int64_t *ret_time_ms)
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

static bool sigv4_is_signature(struct slice text)
{
    const char *chars = slice_chars(text);
    if (text.size_bytes != SHA256_HEX_CHARS)
        return false;
    for (size_t i = 0; i < text.size_bytes; i++)
        if (!((chars[i] >= '0' && chars[i] <= '9') || (chars[i] >= 'a' && chars[i] <= 'f')))
            return false;
    return true;
}

bool sigv4_parse(struct slice raw_query, struct arena *arena, struct sigv4_claim *ret_claim,
                 struct err *err)
{
    struct slice raw[SIGV4_P_COUNT];
    if (raw_query.size_bytes == 0 || raw_query.size_bytes > SIGV4_TEXT_BYTES / 4 ||
        !sigv4_split_query(raw_query, raw))
        return sigv4_refuse(err);
    struct slice values[SIGV4_P_COUNT];
    const char *encoded[SIGV4_P_COUNT];
    for (size_t i = 0; i < SIGV4_P_COUNT; i++) {
        if (!sigv4_decode(raw[i], arena, &values[i]))
            return sigv4_refuse(err);
        encoded[i] = arena_copy_slice(arena, raw[i]);
    }
    struct sigv4_claim claim = {.signature_hex = values[SIGV4_P_SIGNATURE]};
    if (!slice_equal_text(values[SIGV4_P_ALGORITHM], SIGV4_ALGORITHM) ||
        !slice_equal_text(values[SIGV4_P_SIGNED_HEADERS], "host") ||
        !sigv4_is_signature(claim.signature_hex) ||
        !sigv4_parse_stamp(values[SIGV4_P_DATE], &claim.signed_at_ms) ||
        !sigv4_parse_credential(values[SIGV4_P_CREDENTIAL], arena, &claim) ||
        !slice_starts_with(values[SIGV4_P_DATE], slice_text(claim.date)) ||
        !number_parse_int64(values[SIGV4_P_EXPIRES], &claim.expires_s) || claim.expires_s < 1 ||
        claim.expires_s > SIGV4_EXPIRES_MAX_S)
        return sigv4_refuse(err);
    claim.canonical_query = sigv4_canonical_query(encoded, arena);
    *ret_claim = claim;
    return true;
}

// The path as it was signed: "=" and "%3d" are "%3D"; all else stays, and if it is written in
// another way than ours, the signature does not match.
static char *sigv4_canonical_path(struct slice raw_path, struct arena *arena)
{
    const char *from = slice_chars(raw_path);
    char *to = arena_alloc(arena, raw_path.size_bytes * 3 + 1);
    size_t size_bytes = 0;
    for (size_t i = 0; i < raw_path.size_bytes; i++) {
        const bool is_encoded = from[i] == '%' && raw_path.size_bytes - i >= 3 &&
                                from[i + 1] == '3' && (from[i + 2] == 'd' || from[i + 2] == 'D');
        if (from[i] != '=' && !is_encoded) {
            to[size_bytes++] = from[i];
            continue;
        }
        memcpy(to + size_bytes, "%3D", 3);
        size_bytes += 3;
        i += is_encoded ? 2 : 0;
    }
    to[size_bytes] = '\0';
    return to;
}

bool sigv4_matches(const struct sigv4_claim *claim, const char *host, struct slice raw_path,
                   struct slice secret, struct arena *arena)
{
    if (raw_path.size_bytes > SIGV4_TEXT_BYTES / 8 || strlen(host) > SIGV4_TEXT_BYTES / 8 ||
        memchr(raw_path.data, '\0', raw_path.size_bytes) != NULL)
        return false;
    char stamp[SIGV4_STAMP_CHARS + 1];
    civil_format_basic(claim->signed_at_ms, stamp);
    const struct sigv4_core core = {.host = host,
                                    .encoded_path = sigv4_canonical_path(raw_path, arena),
                                    .canonical_query = claim->canonical_query,
                                    .region = claim->region,
                                    .date = claim->date,
                                    .stamp = stamp};
    char expected[SHA256_HEX_CHARS + 1];
    sigv4_compute(&core, secret, expected);
    return slice_equal_constant_time(slice_text(expected), claim->signature_hex);
}
