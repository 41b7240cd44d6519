// SPDX-License-Identifier: Apache-2.0
#include "net/sigv4.h"

#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/uri.h"
#include "net/sigv4_internal.h"

#define SIGV4_SERVICE "s3"

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

static char *sigv4_sorted_query(const char *const encoded[SIGV4_P_COUNT], struct arena *arena)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, SIGV4_TEXT_BYTES);
    sigv4_append_query(&out, encoded, sigv4_sorted, ARRAY_COUNT(sigv4_sorted));
    ASSERT(!out.overflowed);
    return arena_copy_slice(arena, buf_slice(&out));
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

static void sigv4_compute_url(const struct sigv4_core *core, struct slice secret,
                              struct arena *arena, char ret_hex[SHA256_HEX_CHARS + 1])
{
    const struct sigv4_canonical canonical = {
        .method = "GET",
        .path = core->encoded_path,
        .query = core->canonical_query,
        .headers = arena_format(arena, "host:%s\n", core->host),
        .signed_headers = "host",
        .payload = SIGV4_UNSIGNED_PAYLOAD};
    const struct sigv4_scope scope = {
        .region = core->region, .service = SIGV4_SERVICE, .date = core->date, .stamp = core->stamp};
    sigv4_compute(&canonical, &scope, secret, ret_hex);
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
                                    .canonical_query = sigv4_sorted_query(encoded, arena),
                                    .region = url->region,
                                    .date = date,
                                    .stamp = stamp};
    char signature[SHA256_HEX_CHARS + 1];
    sigv4_compute_url(&core, url->secret, arena, signature);
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
    struct sigv4_credential credential;
    if (!slice_equal_text(values[SIGV4_P_ALGORITHM], SIGV4_ALGORITHM) ||
        !slice_equal_text(values[SIGV4_P_SIGNED_HEADERS], "host") ||
        !sigv4_is_signature(claim.signature_hex) ||
        !sigv4_parse_stamp(values[SIGV4_P_DATE], &claim.signed_at_ms) ||
        !sigv4_parse_credential(values[SIGV4_P_CREDENTIAL], arena, &credential) ||
        strcmp(credential.service, SIGV4_SERVICE) != 0 ||
        !slice_starts_with(values[SIGV4_P_DATE], slice_text(credential.date)) ||
        !number_parse_int64(values[SIGV4_P_EXPIRES], &claim.expires_s) || claim.expires_s < 1 ||
        claim.expires_s > SIGV4_EXPIRES_MAX_S)
        return sigv4_refuse(err);
    claim.key_id = credential.key_id;
    claim.date = credential.date;
    claim.region = credential.region;
    claim.canonical_query = sigv4_sorted_query(encoded, arena);
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
    sigv4_compute_url(&core, secret, arena, expected);
    return slice_equal_constant_time(slice_text(expected), claim->signature_hex);
}
