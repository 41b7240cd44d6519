// SPDX-License-Identifier: Apache-2.0
// Range and entity tags: whatever a client asks for lies within the object, and reads the same when
// it is written the plain way.
#include <inttypes.h>
#include <stdio.h>

#include "api/api_media.h"
#include "base/check.h"

#define FUZZ_SIZE_BYTES ((size_t)8) // of the object's size, in front

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check_part(const struct api_range *range, uint64_t object_bytes)
{
    ASSERT(range->size_bytes > 0);
    ASSERT(range->offset_bytes < object_bytes);
    ASSERT(range->size_bytes <= object_bytes - range->offset_bytes);
    char plain[64];
    (void)snprintf(plain, sizeof plain, "bytes=%" PRIu64 "-%" PRIu64, range->offset_bytes,
                   range->offset_bytes + range->size_bytes - 1);
    const struct api_range again = api_range_parse(slice_text(plain), object_bytes);
    ASSERT(again.kind == API_RANGE_PART);
    ASSERT(again.offset_bytes == range->offset_bytes);
    ASSERT(again.size_bytes == range->size_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FUZZ_SIZE_BYTES)
        return 0;
    uint64_t object_bytes = 0;
    for (size_t i = 0; i < FUZZ_SIZE_BYTES; i++)
        object_bytes = object_bytes << 8 | data[i];
    object_bytes >>= 1; // no file is larger
    const struct slice text = slice_of(data + FUZZ_SIZE_BYTES, size - FUZZ_SIZE_BYTES);
    const struct api_range range = api_range_parse(text, object_bytes);
    if (range.kind == API_RANGE_PART)
        fuzz_check_part(&range, object_bytes);
    const bool has_strong = api_etag_list_has_strong(text, "\"a\"");
    ASSERT(!has_strong || api_etag_list_has(text, "\"a\""));
    (void)api_media_type_is(text, "application/json"); // must only end
    return 0;
}
