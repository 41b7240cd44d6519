// SPDX-License-Identifier: Apache-2.0
#include "net/sigv4_verify.h"

#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/uri.h"
#include "net/sigv4_internal.h"

// Room for the texts around the request's own, and for a host that takes the place of its own.
#define SIGV4_SPARE_BYTES ((size_t)4 * 1024)
#define SIGV4_NAMES_MAX   ((size_t)64)

enum sigv4_part {
    SIGV4_CREDENTIAL,
    SIGV4_SIGNED_HEADERS,
    SIGV4_SIGNATURE,
    SIGV4_PART_COUNT,
};

static bool sigv4_is_name(struct slice name, const char *other)
{
    return name.size_bytes == strlen(other) && strncasecmp(name.data, other, name.size_bytes) == 0;
}

bool sigv4_is_meant(struct slice authorization)
{
    return slice_starts_with(authorization, slice_text(SIGV4_ALGORITHM " "));
}

// The next piece before the separator; *rest is what comes behind it.
static struct slice sigv4_cut(struct slice *rest, char separator)
{
    const char *end = slice_is_empty(*rest) ? NULL
                                            : memchr(rest->data, separator, rest->size_bytes);
    const size_t size = end == NULL ? rest->size_bytes : (size_t)(end - slice_chars(*rest));
    const struct slice piece = slice_part(*rest, 0, size);
    *rest = slice_from(*rest, end == NULL ? size : size + 1);
    return piece;
}

static struct slice sigv4_trim(struct slice text)
{
    size_t start = 0;
    size_t end = text.size_bytes;
    while (start < end && slice_chars(text)[start] == ' ')
        start++;
    while (end > start && slice_chars(text)[end - 1] == ' ')
        end--;
    return slice_part(text, start, end - start);
}

// "Credential=..., SignedHeaders=..., Signature=...": each once, in any order.
static bool sigv4_split_field(struct slice field, struct slice ret_parts[SIGV4_PART_COUNT])
{
    static const char *const names[SIGV4_PART_COUNT] = {"Credential", "SignedHeaders", "Signature"};
    struct slice rest = slice_from(field, sizeof SIGV4_ALGORITHM - 1);
    size_t count = 0;
    while (!slice_is_empty(rest)) {
        struct slice value = sigv4_trim(sigv4_cut(&rest, ','));
        const struct slice name = sigv4_cut(&value, '=');
        size_t i = 0;
        while (i < SIGV4_PART_COUNT && !slice_equal_text(name, names[i]))
            i++;
        if (i == SIGV4_PART_COUNT || !slice_is_empty(ret_parts[i]) || slice_is_empty(value))
            return false;
        ret_parts[i] = value;
        count++;
    }
    return count == SIGV4_PART_COUNT;
}

static size_t sigv4_encoded_bound(const struct sigv4_pair *pairs, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += 3 * (pairs[i].name.size_bytes + pairs[i].value.size_bytes) + 2;
    return size;
}

// Whether the canonical request has room, whatever it is made of. A field's name comes twice, and
// so do names that are only in the list of signed ones.
static bool sigv4_has_room(const struct sigv4_received *received)
{
    size_t size = received->method.size_bytes + 3 * received->path.size_bytes;
    size += sigv4_encoded_bound(received->query, received->query_count);
    for (size_t i = 0; i < received->header_count; i++)
        size += 2 * (received->headers[i].name.size_bytes + received->headers[i].value.size_bytes) +
                4;
    return size <= SIGV4_TEXT_BYTES - SIGV4_SPARE_BYTES;
}

// The values of all fields of that name, in the order in which they came: "a,b". NULL: none.
static const char *sigv4_joined(const struct sigv4_received *received, const char *name,
                                struct arena *arena)
{
    const char *joined = NULL;
    for (size_t i = 0; i < received->header_count; i++) {
        const struct sigv4_pair *header = &received->headers[i];
        if (!sigv4_is_name(header->name, name))
            continue;
        const char *value = arena_copy_slice(arena, header->value);
        joined = joined == NULL ? value : arena_format(arena, "%s,%s", joined, value);
    }
    return joined;
}

// Names in lower case, each behind the one before.
static bool sigv4_read_names(const struct sigv4_received *received, struct slice list,
                             struct arena *arena, struct sigv4_signed_claim *claim)
{
    struct sigv4_pair *pairs = arena_alloc_array(arena, SIGV4_NAMES_MAX, sizeof *pairs);
    size_t count = 0;
    while (!slice_is_empty(list)) {
        const struct slice name = sigv4_cut(&list, ';');
        const char *text = arena_copy_slice(arena, name);
        if (count == SIGV4_NAMES_MAX || slice_is_empty(name) ||
            text[strcspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0' ||
            (count > 0 && slice_compare(pairs[count - 1].name, name) >= 0))
            return false;
        const char *value = sigv4_joined(received, text, arena);
        pairs[count++] = (struct sigv4_pair){slice_text(text), slice_text(value)};
    }
    claim->pairs = pairs;
    claim->pair_count = count;
    return count > 0;
}

static bool sigv4_covers(const struct sigv4_signed_claim *claim, struct slice name,
                         struct arena *arena)
{
    const char *text = arena_copy_slice(arena, name);
    for (size_t i = 0; i < claim->pair_count; i++)
        if (sigv4_is_name(claim->pairs[i].name, text))
            return true;
    return false;
}

static enum sigv4_fault sigv4_check_cover(const struct sigv4_received *received,
                                          const struct sigv4_signed_claim *claim,
                                          struct arena *arena)
{
    static const char prefix[] = "x-amz-";
    if (!sigv4_covers(claim, slice_text("host"), arena))
        return SIGV4_HOST_UNSIGNED;
    for (size_t i = 0; i < received->header_count; i++) {
        const struct slice name = received->headers[i].name;
        if (name.size_bytes >= sizeof prefix - 1 &&
            strncasecmp(name.data, prefix, sizeof prefix - 1) == 0 &&
            !sigv4_covers(claim, name, arena))
            return SIGV4_HEADER_UNSIGNED;
    }
    return SIGV4_SOUND;
}

// Encoded once more, whatever of it was encoded on the way here.
static void sigv4_write_target(const struct sigv4_received *received, struct arena *arena,
                               struct sigv4_signed_claim *claim)
{
    struct buf path CLEANUP(buf_clear);
    buf_init(&path, SIGV4_TEXT_BYTES);
    uri_append_encoded(&path, received->path, "/");
    ASSERT(!path.overflowed);
    claim->path = arena_copy_slice(arena, buf_slice(&path));
    struct sigv4_pair *query = arena_alloc_array(arena, received->query_count, sizeof *query);
    for (size_t i = 0; i < received->query_count; i++)
        query[i] = received->query[i];
    claim->query = sigv4_canonical_query(query, received->query_count, arena);
    claim->method = arena_copy_slice(arena, received->method);
}

static enum sigv4_fault sigv4_read_date(const struct sigv4_received *received,
                                        const struct sigv4_credential *credential,
                                        struct arena *arena, struct sigv4_signed_claim *claim)
{
    const struct slice stamp = slice_text(sigv4_joined(received, "x-amz-date", arena));
    if (!sigv4_parse_stamp(stamp, &claim->signed_at_ms))
        return SIGV4_NO_DATE;
    if (!slice_starts_with(stamp, slice_text(credential->date)))
        return SIGV4_OTHER_DATE;
    claim->key_id = credential->key_id;
    claim->date = credential->date;
    claim->region = credential->region;
    claim->service = credential->service;
    return SIGV4_SOUND;
}

static bool sigv4_find_field(const struct sigv4_received *received, struct slice *ret_field)
{
    size_t count = 0;
    for (size_t i = 0; i < received->header_count; i++) {
        if (!sigv4_is_name(received->headers[i].name, "authorization"))
            continue;
        *ret_field = received->headers[i].value;
        count++;
    }
    return count == 1 && sigv4_is_meant(*ret_field);
}

static const char *sigv4_hash_of(struct slice body, struct arena *arena)
{
    uint8_t digest[SHA256_BYTES];
    char *text = arena_alloc(arena, SHA256_HEX_CHARS + 1);
    sha256_of(body, digest);
    hex_encode(slice_of(digest, sizeof digest), text);
    return text;
}

enum sigv4_fault sigv4_read(const struct sigv4_received *received, struct arena *arena,
                            struct sigv4_signed_claim *ret_claim)
{
    struct slice field;
    struct slice parts[SIGV4_PART_COUNT] = {{0}};
    struct sigv4_credential credential;
    struct sigv4_signed_claim claim = {0};
    if (!sigv4_has_room(received) || !sigv4_find_field(received, &field) ||
        !sigv4_split_field(field, parts) || !sigv4_is_signature(parts[SIGV4_SIGNATURE]) ||
        !sigv4_parse_credential(parts[SIGV4_CREDENTIAL], arena, &credential) ||
        !sigv4_read_names(received, parts[SIGV4_SIGNED_HEADERS], arena, &claim))
        return SIGV4_MALFORMED;
    enum sigv4_fault fault = sigv4_read_date(received, &credential, arena, &claim);
    if (fault == SIGV4_SOUND)
        fault = sigv4_check_cover(received, &claim, arena);
    if (fault != SIGV4_SOUND)
        return fault;
    const char *payload = sigv4_joined(received, "x-amz-content-sha256", arena);
    claim.has_payload = payload != NULL;
    claim.payload = payload == NULL ? sigv4_hash_of(slice_of(NULL, 0), arena) : payload;
    claim.signature_hex = parts[SIGV4_SIGNATURE];
    sigv4_write_target(received, arena, &claim);
    *ret_claim = claim;
    return SIGV4_SOUND;
}

bool sigv4_claim_matches(const struct sigv4_signed_claim *claim, const char *host,
                         struct slice secret, struct arena *arena)
{
    if (strlen(host) > SIGV4_SPARE_BYTES / 2)
        return false;
    struct sigv4_pair *pairs = arena_alloc_array(arena, claim->pair_count, sizeof *pairs);
    for (size_t i = 0; i < claim->pair_count; i++) {
        pairs[i] = claim->pairs[i];
        if (slice_equal_text(pairs[i].name, "host"))
            pairs[i].value = slice_text(host);
    }
    char stamp[SIGV4_STAMP_CHARS + 1];
    civil_format_basic(claim->signed_at_ms, stamp);
    const struct sigv4_scope scope = {.dialect = SIGV4_AMZ,
                                      .region = claim->region,
                                      .service = claim->service,
                                      .date = claim->date,
                                      .stamp = stamp};
    struct sigv4_canonical canonical = {.method = claim->method,
                                        .path = claim->path,
                                        .query = claim->query,
                                        .payload = claim->payload};
    sigv4_canonical_headers(pairs, claim->pair_count, arena, &canonical.headers,
                            &canonical.signed_headers);
    char expected[SHA256_HEX_CHARS + 1];
    sigv4_compute(&canonical, &scope, secret, expected);
    return slice_equal_constant_time(slice_text(expected), claim->signature_hex);
}

bool sigv4_claim_fits(const struct sigv4_signed_claim *claim, struct slice body)
{
    if (strcmp(claim->payload, SIGV4_UNSIGNED_PAYLOAD) == 0)
        return true;
    uint8_t digest[SHA256_BYTES];
    char expected[SHA256_HEX_CHARS + 1];
    sha256_of(body, digest);
    hex_encode(slice_of(digest, sizeof digest), expected);
    return strcmp(claim->payload, expected) == 0;
}
