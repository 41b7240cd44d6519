// SPDX-License-Identifier: Apache-2.0
// Targets and query strings: what is accepted is a decoded path that cannot climb and pairs that
// lie in order within the query; decoding again finds the same.
#include <string.h>

#include "base/check.h"
#include "net/http_target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check_text(struct slice text)
{
    const unsigned char *bytes = text.data;
    for (size_t i = 0; i < text.size_bytes; i++)
        ASSERT(bytes[i] >= ' ' && bytes[i] != '\\' && bytes[i] != 0x7f);
    ASSERT(http_utf8_is_valid(text));
}

static void fuzz_check_path(struct slice path)
{
    fuzz_check_text(path);
    const char *chars = slice_chars(path);
    ASSERT(path.size_bytes > 0 && chars[0] == '/');
    for (size_t i = 0; i + 2 < path.size_bytes; i++) {
        const bool is_last = i + 3 == path.size_bytes || chars[i + 3] == '/';
        const bool climbs = memcmp(chars + i, "/..", 3) == 0 && is_last;
        ASSERT(!climbs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const own[] = {"example.com:8080"};
    const struct http_authorities authorities = {slice_text("a.example"), own, 1};
    struct arena arena;
    arena_init(&arena);
    struct http_target target;
    struct http_refusal refusal = {0};
    if (!http_target_parse(slice_of(data, size), &authorities, &arena, &target, &refusal)) {
        ASSERT(refusal.status >= 400 && refusal.status < 500);
        ASSERT(refusal.message != NULL);
    } else if (!target.is_asterisk) {
        fuzz_check_path(target.path);
        size_t decoded_bytes = 0;
        for (size_t i = 0; i < target.pair_count; i++)
            decoded_bytes += target.pairs[i].name.size_bytes + target.pairs[i].value.size_bytes;
        ASSERT(decoded_bytes <= target.raw_query.size_bytes);
        ASSERT(target.path.size_bytes <= target.raw_path.size_bytes);
    }
    arena_clear(&arena);
    return 0;
}
