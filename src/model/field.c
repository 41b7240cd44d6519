// SPDX-License-Identifier: Apache-2.0
#include "model/field.h"

#include "base/check.h"

struct field_type_info {
    const char *name;
    char letter; // in physical column names
};

static const struct field_type_info field_type_infos[FIELD_TYPE_COUNT] = {
    [FIELD_TEXT] = {"string", 't'},    [FIELD_INT64] = {"long", 'i'},
    [FIELD_DOUBLE] = {"double", 'd'},  [FIELD_BOOL] = {"boolean", 'b'},
    [FIELD_TIME] = {"timestamp", 'm'}, [FIELD_JSON] = {"json", 'j'},
};

const char *field_type_name(enum field_type type)
{
    ASSERT((size_t)type < FIELD_TYPE_COUNT);
    return field_type_infos[type].name;
}

bool field_type_parse(struct slice name, enum field_type *ret_type)
{
    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++) {
        if (slice_equal_text(name, field_type_infos[i].name)) {
            *ret_type = (enum field_type)i;
            return true;
        }
    }
    return false;
}

void field_append_physical_name(struct buf *destination, const char *name, enum field_type type)
{
    ASSERT((size_t)type < FIELD_TYPE_COUNT);
    for (const char *at = name; *at != '\0'; at++) {
        const bool is_upper = *at >= 'A' && *at <= 'Z';
        if (is_upper || *at == '^')
            buf_append_char(destination, '^');
        buf_append_char(destination, is_upper ? (char)(*at - 'A' + 'a') : *at);
    }
    buf_append_char(destination, ':');
    buf_append_char(destination, field_type_infos[type].letter);
}

static bool field_parse_letter(char letter, enum field_type *ret_type)
{
    for (size_t i = 0; i < FIELD_TYPE_COUNT; i++) {
        if (field_type_infos[i].letter == letter) {
            *ret_type = (enum field_type)i;
            return true;
        }
    }
    return false;
}

// The characters of a field's name from their marked form; false for what the other direction never
// writes, so that one column has one name.
static bool field_append_unmarked(struct buf *destination, struct slice marked)
{
    const char *bytes = slice_chars(marked);
    for (size_t i = 0; i < marked.size_bytes; i++) {
        char byte = bytes[i];
        if (byte >= 'A' && byte <= 'Z')
            return false;
        if (byte == '^') {
            if (++i == marked.size_bytes)
                return false;
            byte = bytes[i];
            if (byte >= 'a' && byte <= 'z')
                byte = (char)(byte - 'a' + 'A');
            else if (byte != '^')
                return false;
        }
        buf_append_char(destination, byte);
    }
    return true;
}

bool field_parse_physical_name(struct slice physical, struct buf *ret_name,
                               enum field_type *ret_type)
{
    const char *bytes = slice_chars(physical);
    const size_t size = physical.size_bytes;
    enum field_type type;
    if (size < 3 || bytes[size - 2] != ':' || !field_parse_letter(bytes[size - 1], &type))
        return false;
    struct buf name;
    buf_init(&name, size);
    const bool is_well_formed = field_append_unmarked(&name, slice_part(physical, 0, size - 2));
    if (is_well_formed) {
        buf_append(ret_name, buf_slice(&name));
        *ret_type = type;
    }
    buf_clear(&name);
    return is_well_formed;
}
