// SPDX-License-Identifier: Apache-2.0
// Operands of filters: from JSON to the type of the field they are compared with.
#include <math.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/number.h"
#include "model/filter_internal.h"

#define FILTER_DOUBLE_EXACT 9007199254740992.0 // 2^53: from here on, neighbours are one double

static bool filter_value_invalid(struct err *err)
{
    return err_set(err, ERR_INVALID, "Invalid filter value");
}

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

// A whole number written as 5.0 or 1e3. From 2^53 on it might not be the number that was written.
static bool filter_double_as_int64(double value, int64_t *ret_value)
{
    if (fabs(value) >= FILTER_DOUBLE_EXACT || value != floor(value))
        return false;
    *ret_value = (int64_t)value;
    return true;
}

static bool filter_node_as_int64(const struct json_node *node, int64_t *ret_value)
{
    const struct slice text = json_node_text(node);
    double real;
    switch (json_node_kind(node)) {
    case JSON_KIND_INT64:
        *ret_value = json_node_int64(node);
        return true;
    case JSON_KIND_DOUBLE:
        return filter_double_as_int64(json_node_double(node), ret_value);
    case JSON_KIND_TEXT:
        return number_parse_int64(text, ret_value) ||
               (number_parse_double(text, &real) && filter_double_as_int64(real, ret_value));
    case JSON_KIND_NULL:
    case JSON_KIND_BOOL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return false;
}

static bool filter_node_as_time(const struct json_node *node, int64_t *ret_value)
{
    if (filter_node_as_int64(node, ret_value))
        return true;
    return json_node_kind(node) == JSON_KIND_TEXT && civil_parse(json_node_text(node), ret_value);
}

static bool filter_node_as_double(const struct json_node *node, double *ret_value)
{
    switch (json_node_kind(node)) {
    case JSON_KIND_INT64:
    case JSON_KIND_DOUBLE:
        *ret_value = json_node_double(node);
        return true;
    case JSON_KIND_TEXT:
        return number_parse_double(json_node_text(node), ret_value);
    case JSON_KIND_NULL:
    case JSON_KIND_BOOL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return false;
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

bool filter_value_coerce(const struct json_node *node, enum field_type type, struct arena *arena,
                         struct filter_value *ret_value, struct err *err)
{
    if (json_node_text(node).size_bytes > FILTER_VALUE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "Filter value too long");
    if (json_node_kind(node) == JSON_KIND_NULL) {
        *ret_value = (struct filter_value){.kind = FILTER_VALUE_NULL};
        return true;
    }
    int64_t int64;
    double real;
    bool boolean;
    switch (type) {
    case FIELD_TEXT:
    case FIELD_JSON:
        return filter_node_as_text(node, arena, ret_value) || filter_value_invalid(err);
    case FIELD_INT64:
        if (!filter_node_as_int64(node, &int64))
            return filter_value_invalid(err);
        *ret_value = filter_value_of_int64(int64);
        return true;
    case FIELD_TIME:
        if (!filter_node_as_time(node, &int64))
            return filter_value_invalid(err);
        *ret_value = filter_value_of_int64(int64);
        return true;
    case FIELD_DOUBLE:
        if (!filter_node_as_double(node, &real))
            return filter_value_invalid(err);
        *ret_value = filter_value_of_double(real);
        return true;
    case FIELD_BOOL:
        if (!filter_node_as_bool(node, &boolean))
            return filter_value_invalid(err);
        *ret_value = (struct filter_value){.kind = FILTER_VALUE_BOOL, .as.boolean = boolean};
        return true;
    }
    ASSERT(false);
    return false;
}

bool filter_value_take_element(const struct json_node *node, struct arena *arena,
                               struct filter_value *ret_value, struct err *err)
{
    switch (json_node_kind(node)) {
    case JSON_KIND_BOOL:
        return filter_value_coerce(node, FIELD_BOOL, arena, ret_value, err);
    case JSON_KIND_INT64:
        return filter_value_coerce(node, FIELD_INT64, arena, ret_value, err);
    case JSON_KIND_DOUBLE:
        return filter_value_coerce(node, FIELD_DOUBLE, arena, ret_value, err);
    case JSON_KIND_TEXT:
        return filter_value_coerce(node, FIELD_TEXT, arena, ret_value, err);
    case JSON_KIND_NULL:
    case JSON_KIND_ARRAY:
    case JSON_KIND_OBJECT:
        break;
    }
    return filter_value_invalid(err);
}

bool filter_value_check_pattern(const struct filter_value *value, struct err *err)
{
    ASSERT(value->kind == FILTER_VALUE_TEXT);
    const char *bytes = slice_chars(value->as.text);
    const size_t size = value->as.text.size_bytes;
    size_t wildcards = 0;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\\') {
            if (++i == size) // nothing left to escape
                return filter_value_invalid(err);
        } else if (bytes[i] == '%' || bytes[i] == '_') {
            wildcards++;
        }
    }
    if (wildcards > FILTER_WILDCARDS_MAX)
        return err_set(err, ERR_INVALID, "Filter too complex");
    return true;
}
