// SPDX-License-Identifier: Apache-2.0
// The only file that includes ISA-L's checksum header.
#include "base/crc32c.h"

#include <isa-l/crc.h>

#include "base/check.h"

uint32_t crc32c(struct slice bytes)
{
    // ISA-L takes an int length and a non-const pointer that it does not write to.
    union {
        const void *readable;
        unsigned char *plain;
    } start = {.readable = bytes.data};
    ASSERT(bytes.size_bytes <= 1u << 30);
    return ~crc32_iscsi(start.plain, (int)bytes.size_bytes, ~0u);
}

uint32_t crc32_gzip(struct slice bytes)
{
    return crc32_gzip_refl(0, bytes.data, bytes.size_bytes);
}
