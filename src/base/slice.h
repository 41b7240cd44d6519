// SPDX-License-Identifier: Apache-2.0
// A read-only view of bytes that somebody else owns. The empty slice may have a NULL pointer.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const void *data;
    size_t size_bytes;
};

static inline struct slice slice_of(const void *data, size_t size_bytes)
{
    return (struct slice){.data = data, .size_bytes = size_bytes};
}

// Text that ends with NUL; the NUL is not part of the slice. text may be NULL: empty.
static inline struct slice slice_text(const char *text)
{
    return slice_of(text, text == NULL ? 0 : strlen(text));
}

static inline const char *slice_chars(struct slice slice)
{
    return (const char *)slice.data;
}

static inline bool slice_is_empty(struct slice slice)
{
    return slice.size_bytes == 0;
}

static inline bool slice_equal(struct slice left, struct slice right)
{
    return left.size_bytes == right.size_bytes &&
           (left.size_bytes == 0 || memcmp(left.data, right.data, left.size_bytes) == 0);
}

static inline bool slice_equal_text(struct slice left, const char *right)
{
    return slice_equal(left, slice_text(right));
}

static inline bool slice_starts_with(struct slice slice, struct slice prefix)
{
    return slice.size_bytes >= prefix.size_bytes &&
           (prefix.size_bytes == 0 || memcmp(slice.data, prefix.data, prefix.size_bytes) == 0);
}

// From offset to the end; offset must not be past the end.
static inline struct slice slice_from(struct slice slice, size_t offset)
{
    return slice_of(slice.size_bytes == 0 ? slice.data : (const char *)slice.data + offset,
                    slice.size_bytes - offset);
}

static inline struct slice slice_part(struct slice slice, size_t offset, size_t size_bytes)
{
    return slice_of((const char *)slice.data + offset, size_bytes);
}

// Order of bytes, shorter first among equal prefixes: for qsort and sorted tables.
int slice_compare(struct slice left, struct slice right);

// Whether all bytes are equal, in a time that depends on the sizes only. For secrets.
bool slice_equal_constant_time(struct slice left, struct slice right);
