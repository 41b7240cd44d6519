// SPDX-License-Identifier: Apache-2.0
// gzip bodies: any bytes, in any pieces, end in data or in a clear refusal.
#include "base/check.h"
#include "base/gzip.h"

#define FUZZ_OUTPUT_BYTES_MAX ((size_t)4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const size_t step = (size_t)data[0] + 1; // the first byte says how the others are cut
    struct slice input = slice_of(data + 1, size - 1);
    struct err err = {0};
    struct gunzip *gunzip = gunzip_new();
    uint8_t output[997];
    size_t total = 0;
    bool is_done = true;
    while (is_done && input.size_bytes > 0 && total < FUZZ_OUTPUT_BYTES_MAX) {
        const size_t part = input.size_bytes < step ? input.size_bytes : step;
        struct slice piece = slice_part(input, 0, part);
        input = slice_from(input, part);
        size_t got;
        do {
            got = 0;
            is_done = gunzip_next(gunzip, &piece, output, sizeof output, &got, &err);
            total += got;
        } while (is_done && (got > 0 || piece.size_bytes > 0));
    }
    ASSERT(is_done || err.kind == ERR_INVALID);
    gunzip_free(&gunzip);
    return 0;
}
