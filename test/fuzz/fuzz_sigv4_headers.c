// SPDX-License-Identifier: Apache-2.0
// Requests that say they are signed in their headers: a line with the path, lines "?name=value" of
// the query, lines "name:value" of the head. None is right without the secret.
#include "base/check.h"
#include "net/sigv4_verify.h"

#define FUZZ_PAIRS_MAX ((size_t)64)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sigv4_pair pair_of(struct slice line, char middle)
{
    const char *at = slice_is_empty(line) ? NULL : memchr(line.data, middle, line.size_bytes);
    if (at == NULL)
        return (struct sigv4_pair){.name = line};
    const size_t name_bytes = (size_t)(at - slice_chars(line));
    return (struct sigv4_pair){slice_part(line, 0, name_bytes), slice_from(line, name_bytes + 1)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sigv4_pair query[FUZZ_PAIRS_MAX];
    struct sigv4_pair headers[FUZZ_PAIRS_MAX];
    struct sigv4_received received = {
        .method = slice_text("GET"), .query = query, .headers = headers};
    struct slice rest = slice_of(data, size);
    bool is_later = false;
    while (!slice_is_empty(rest)) {
        const char *end = memchr(rest.data, '\n', rest.size_bytes);
        const size_t line_bytes = end == NULL ? rest.size_bytes : (size_t)(end - slice_chars(rest));
        const struct slice line = slice_part(rest, 0, line_bytes);
        rest = slice_from(rest, end == NULL ? line_bytes : line_bytes + 1);
        if (!is_later)
            received.path = line;
        else if (slice_starts_with(line, slice_text("?")) && received.query_count < FUZZ_PAIRS_MAX)
            query[received.query_count++] = pair_of(slice_from(line, 1), '=');
        else if (received.header_count < FUZZ_PAIRS_MAX)
            headers[received.header_count++] = pair_of(line, ':');
        is_later = true;
    }
    struct arena arena;
    arena_init(&arena);
    struct sigv4_signed_claim claim;
    if (sigv4_read(&received, &arena, &claim) == SIGV4_SOUND) {
        const bool is_right = sigv4_claim_matches(
            &claim, "127.0.0.1:8080", slice_text("a secret that no input knows"), &arena);
        ASSERT(!is_right);
        (void)sigv4_claim_fits(&claim, slice_of(NULL, 0));
    }
    arena_clear(&arena);
    return 0;
}
