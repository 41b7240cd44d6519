// SPDX-License-Identifier: Apache-2.0
// Operands of filters: from JSON to the type of the field they are compared with.
#include <math.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/number.h"
#include "model/filter_internal.h"

#define FILTER_DOUBLE_EXACT 9007199254740992.0 // 2^53: from here on, neighbours are one double

static struct filter_value filter_value_of_int64(int64_t value)
{
    return (struct filter_value){.kind = FILTER_VALUE_INT64, .as.int64 = value};
}

// -0 becomes 0: they are equal, and equal filters have equal texts.
static struct filter_value filter_value_of_double(double value)
{
    return (struct filter_value){.kind = FILTER_VALUE_DOUBLE, .as.real = value == 0 ? 0 : value};
}

static struct filter_value filter_value_of_text(struct arena *arena, struct slice text)
{
    const char *copy = arena_copy_slice(arena, text);
    return (struct filter_value){.kind = FILTER_VALUE_TEXT,
                                 .as.text = slice_of(copy, text.size_bytes)};
}

// The number as it is written: a long where it can be one, else a double.
static bool filter_node_as_number(const struct json_node *node, struct filter_value *ret_value)
{
    int64_t int64;
    double real;
    switch (json_node_kind(node)) {
    case JSON_KIND_INT64:
        *ret_value = filter_value_of_int64(json_node_int64(node));
        return true;
    case JSON_KIND_DOUBLE:
        *ret_value = filter_value_of_double(json_node_double(node));
        return true;
    case JSON_KIND_TEXT:
        if (number_parse_int64(json_node_text(node), &int64))
            *ret_value = filter_value_of_int64(int64);
        else if (number_parse_double(json_node_text(node), &real))
            *ret_value = filter_value_of_double(real);
        else
            return false;
        return true;
    case JSON_KIND_NULL:
    case JSON_KIND_BOOL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return false;
}

// A double for a field of whole numbers: 5.0 and 1e3 are whole, 1.5 is rounded as asked or stays.
// From 2^53 on a double might not be the number that was written: false.
static bool filter_value_make_whole(enum filter_rounding rounding, struct filter_value *value)
{
    const double real = value->as.real;
    if (fabs(real) >= FILTER_DOUBLE_EXACT)
        return false;
    if (real == floor(real) || rounding == FILTER_ROUND_DOWN)
        *value = filter_value_of_int64((int64_t)floor(real));
    else if (rounding == FILTER_ROUND_UP)
        *value = filter_value_of_int64((int64_t)ceil(real));
    return true;
}

bool filter_value_is_unmatched(const struct filter_value *value, enum field_type type)
{
    return value->kind == FILTER_VALUE_DOUBLE && (type == FIELD_INT64 || type == FIELD_TIME);
}

static bool filter_node_as_bool(const struct json_node *node, bool *ret_value)
{
    if (json_node_kind(node) == JSON_KIND_BOOL) {
        *ret_value = json_node_bool(node);
        return true;
    }
    const bool is_true = slice_equal_text(json_node_text(node), "true");
    if (!is_true && !slice_equal_text(json_node_text(node), "false"))
        return false;
    *ret_value = is_true;
    return true;
}

static bool filter_node_as_text(const struct json_node *node, struct arena *arena,
                                struct filter_value *ret_value)
{
    char number[NUMBER_CHARS_MAX];
    switch (json_node_kind(node)) {
    case JSON_KIND_TEXT:
        *ret_value = filter_value_of_text(arena, json_node_text(node));
        return true;
    case JSON_KIND_INT64:
        *ret_value = filter_value_of_text(
            arena, slice_of(number, number_format_int64(json_node_int64(node), number)));
        return true;
    case JSON_KIND_DOUBLE:
        *ret_value = filter_value_of_text(
            arena, slice_of(number, number_format_double(json_node_double(node), number)));
        return true;
    case JSON_KIND_BOOL:
        *ret_value = filter_value_of_text(arena,
                                          slice_text(json_node_bool(node) ? "true" : "false"));
        return true;
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return false;
}

static bool filter_value_refuse(const struct filter_reader *reader, const char *hint,
                                struct err *err)
{
    return filter_reader_refuse(reader, "Invalid filter value", hint, err);
}

static bool filter_value_take_text(const struct filter_reader *reader, const struct json_node *node,
                                   struct filter_value *ret_value, struct err *err)
{
    return filter_node_as_text(node, reader->arena, ret_value) ||
           filter_value_refuse(reader, "string, number or boolean expected", err);
}

static bool filter_value_take_whole(const struct filter_reader *reader,
                                    const struct json_node *node, enum field_type type,
                                    enum filter_rounding rounding, struct filter_value *ret_value,
                                    struct err *err)
{
    struct filter_value value;
    int64_t time_ms;
    if (!filter_node_as_number(node, &value)) {
        if (type != FIELD_TIME)
            return filter_value_refuse(reader, "number expected", err);
        if (json_node_kind(node) != JSON_KIND_TEXT || !civil_parse(json_node_text(node), &time_ms))
            return filter_value_refuse(reader, "milliseconds or ISO 8601 expected", err);
        value = filter_value_of_int64(time_ms);
    }
    if (value.kind == FILTER_VALUE_DOUBLE && !filter_value_make_whole(rounding, &value))
        return filter_value_refuse(reader, "number out of range", err);
    *ret_value = value;
    return true;
}

static bool filter_value_take_double(const struct filter_reader *reader,
                                     const struct json_node *node, struct filter_value *ret_value,
                                     struct err *err)
{
    struct filter_value value;
    if (!filter_node_as_number(node, &value))
        return filter_value_refuse(reader, "number expected", err);
    if (value.kind == FILTER_VALUE_INT64)
        value = filter_value_of_double((double)value.as.int64);
    *ret_value = value;
    return true;
}

static bool filter_value_take_bool(const struct filter_reader *reader, const struct json_node *node,
                                   struct filter_value *ret_value, struct err *err)
{
    bool boolean;
    if (!filter_node_as_bool(node, &boolean))
        return filter_value_refuse(reader, "true or false expected", err);
    *ret_value = (struct filter_value){.kind = FILTER_VALUE_BOOL, .as.boolean = boolean};
    return true;
}

bool filter_value_coerce(const struct filter_reader *reader, const struct json_node *node,
                         enum field_type type, enum filter_rounding rounding,
                         struct filter_value *ret_value, struct err *err)
{
    if (json_node_text(node).size_bytes > FILTER_VALUE_BYTES_MAX)
        return filter_reader_refuse(reader, "Filter value too long", NULL, err);
    if (json_node_kind(node) == JSON_KIND_NULL) {
        *ret_value = (struct filter_value){.kind = FILTER_VALUE_NULL};
        return true;
    }
    switch (type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        return filter_value_take_text(reader, node, ret_value, err);
    case FIELD_INT64:
    case FIELD_TIME:
        return filter_value_take_whole(reader, node, type, rounding, ret_value, err);
    case FIELD_DOUBLE:
        return filter_value_take_double(reader, node, ret_value, err);
    case FIELD_BOOL:
        return filter_value_take_bool(reader, node, ret_value, err);
    }
    ASSERT(false);
    return false;
}

bool filter_value_take_element(const struct filter_reader *reader, const struct json_node *node,
                               struct filter_value *ret_value, struct err *err)
{
    switch (json_node_kind(node)) {
    case JSON_KIND_BOOL:
        return filter_value_take_bool(reader, node, ret_value, err);
    case JSON_KIND_INT64:
        *ret_value = filter_value_of_int64(json_node_int64(node));
        return true;
    case JSON_KIND_DOUBLE:
        *ret_value = filter_value_of_double(json_node_double(node));
        return true;
    case JSON_KIND_TEXT:
    case JSON_KIND_NULL:
        return filter_value_coerce(reader, node, FIELD_TEXT, FILTER_ROUND_NONE, ret_value, err);
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return filter_value_refuse(reader, "string, number or boolean expected", err);
}
