// SPDX-License-Identifier: Apache-2.0
#include "net/sigv4_headers.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/uri.h"
#include "net/sigv4_internal.h"

#define SIGV4_ADDED_MAX 5 // Host, the hash, the date, the token, Authorization

static const char *sigv4_target(const char *path, const char *query, struct arena *arena)
{
    return query[0] == '\0' ? path : arena_format(arena, "%s?%s", path, query);
}

static const char *sigv4_encode_path(const char *path, struct arena *arena)
{
    struct buf out CLEANUP(buf_clear);
    buf_init(&out, SIGV4_TEXT_BYTES);
    uri_append_encoded(&out, slice_text(path), "/");
    ASSERT(!out.overflowed);
    return arena_copy_slice(arena, buf_slice(&out));
}

static const char *sigv4_encode_query(const struct sigv4_request *request, struct arena *arena)
{
    struct sigv4_pair *pairs = arena_alloc_array(arena, request->query_count, sizeof *pairs);
    for (size_t i = 0; i < request->query_count; i++)
        pairs[i] = request->query[i];
    return sigv4_canonical_query(pairs, request->query_count, arena);
}

void sigv4_sign_headers(const struct sigv4_request *request, struct arena *arena,
                        struct sigv4_signed *ret_signed)
{
    ASSERT(request->path[0] == '/');
    ASSERT(request->dialect == SIGV4_AMZ || request->session_token == NULL);
    const struct sigv4_words *words = sigv4_words_of(request->dialect);
    char *stamp = arena_alloc(arena, SIGV4_STAMP_CHARS + 1);
    civil_format_basic(request->signed_at_ms, stamp);
    const struct sigv4_scope scope = {
        .dialect = request->dialect,
        .region = request->region,
        .service = request->service,
        .date = arena_copy_slice(arena, slice_of(stamp, SIGV4_DATE_CHARS)),
        .stamp = stamp};
    struct http_client_header *headers =
        arena_alloc_array(arena, request->header_count + SIGV4_ADDED_MAX, sizeof *headers);
    size_t count = 0;
    headers[count++] = (struct http_client_header){"Host", request->host};
    headers[count++] = (struct http_client_header){words->content_header, request->payload_sha256};
    headers[count++] = (struct http_client_header){words->date_header, stamp};
    if (request->session_token != NULL)
        headers[count++] = (struct http_client_header){"x-amz-security-token",
                                                       request->session_token};
    for (size_t i = 0; i < request->header_count; i++)
        headers[count++] = request->headers[i];

    struct sigv4_pair *pairs = arena_alloc_array(arena, count, sizeof *pairs);
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct sigv4_pair){slice_text(headers[i].name), slice_text(headers[i].value)};
    struct sigv4_canonical canonical = {.method = request->method,
                                        .path = sigv4_encode_path(request->path, arena),
                                        .query = sigv4_encode_query(request, arena),
                                        .payload = request->payload_sha256};
    sigv4_canonical_headers(pairs, count, arena, &canonical.headers, &canonical.signed_headers);
    char signature[SHA256_HEX_CHARS + 1];
    sigv4_compute(&canonical, &scope, request->secret, signature);
    const char *authorization =
        arena_format(arena, "%s Credential=%s/%s/%s/%s/%s, SignedHeaders=%s, Signature=%s",
                     words->algorithm, request->key_id, scope.date, scope.region, scope.service,
                     words->terminator, canonical.signed_headers, signature);
    headers[count++] = (struct http_client_header){"Authorization", authorization};
    *ret_signed =
        (struct sigv4_signed){.target = sigv4_target(canonical.path, canonical.query, arena),
                              .headers = headers,
                              .header_count = count};
}
