// SPDX-License-Identifier: Apache-2.0
// Queries of signed URLs: none is right without the secret.
#include "base/check.h"
#include "net/sigv4.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena);
    struct err err = {0};
    struct sigv4_claim claim;
    if (sigv4_parse(slice_of(data, size), &arena, &claim, &err)) {
        const bool is_right = sigv4_matches(&claim, "127.0.0.1:8080", slice_text("/exports/v2/x"),
                                            slice_text("a secret that no input knows"), &arena);
        ASSERT(!is_right);
    } else {
        ASSERT(err.kind == ERR_DENIED);
    }
    arena_clear(&arena);
    return 0;
}
