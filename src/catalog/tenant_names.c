// SPDX-License-Identifier: Apache-2.0
// Names that people give and read.
#include "base/check.h"
#include "catalog/catalog_internal.h"

#define TENANT_NAME_CODE_POINTS_MAX ((size_t)256)

// Size and value of the code point that text starts with; 0 when it is not UTF-8.
static size_t tenant_code_point(struct slice text, uint32_t *ret_code_point)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t smallest;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    const uint8_t *bytes = (const uint8_t *)text.data;
    size_t size = 0;
    while (size < ARRAY_COUNT(forms) && (bytes[0] & forms[size].mask) != forms[size].lead)
        size++;
    if (size == ARRAY_COUNT(forms) || text.size_bytes <= size)
        return 0;
    uint32_t code_point = (uint32_t)(bytes[0] & ~forms[size].mask);
    for (size_t i = 1; i <= size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code_point = code_point << 6 | (uint32_t)(bytes[i] & 0x3f);
    }
    const bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    if (code_point < forms[size].smallest || code_point > 0x10ffff || is_surrogate)
        return 0;
    *ret_code_point = code_point;
    return size + 1;
}

struct tenant_code_points {
    uint32_t first;
    uint32_t last;
};

static bool tenant_is_among(uint32_t code_point, const struct tenant_code_points *ranges,
                            size_t range_count)
{
    for (size_t i = 0; i < range_count; i++) {
        if (code_point >= ranges[i].first && code_point <= ranges[i].last)
            return true;
    }
    return false;
}

// Control characters, and the separators that break lines as they do.
static bool tenant_breaks_names(uint32_t code_point)
{
    static const struct tenant_code_points ranges[] = {
        {0x00, 0x1f}, {0x7f, 0x9f}, {0x2028, 0x2029}};
    return tenant_is_among(code_point, ranges, ARRAY_COUNT(ranges));
}

// What cannot be seen: spaces of any width, and marks of no width.
static bool tenant_is_blank(uint32_t code_point)
{
    static const struct tenant_code_points ranges[] = {
        {0x20, 0x20},     {0xa0, 0xa0},     {0xad, 0xad},     {0x1680, 0x1680}, {0x2000, 0x200f},
        {0x202f, 0x202f}, {0x205f, 0x2060}, {0x3000, 0x3000}, {0xfeff, 0xfeff},
    };
    return tenant_is_among(code_point, ranges, ARRAY_COUNT(ranges));
}

bool tenant_check_name(const char *name, struct err *err)
{
    size_t count = 0;
    bool can_be_seen = false;
    for (struct slice rest = slice_text(name); !slice_is_empty(rest); count++) {
        uint32_t code_point = 0;
        const size_t size = tenant_code_point(rest, &code_point);
        if (size == 0 || tenant_breaks_names(code_point))
            return err_set(err, ERR_INVALID, "Invalid character in name");
        can_be_seen = can_be_seen || !tenant_is_blank(code_point);
        rest = slice_from(rest, size);
    }
    if (count > TENANT_NAME_CODE_POINTS_MAX)
        return err_set(err, ERR_INVALID, "Name too long");
    if (!can_be_seen)
        return err_set(err, ERR_INVALID, "Invalid name");
    return true;
}
