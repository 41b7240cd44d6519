// SPDX-License-Identifier: Apache-2.0
// A property of an event as a value of a segment. Nothing is lost on the way: what does not fit the
// field's type is stored in its own, under another physical name.
#include "base/check.h"
#include "base/number.h"
#include "lake/seal_internal.h"

static enum field_type seal_value_own_type(const struct event_property *property)
{
    enum field_type type;
    bool is_wide;
    const bool has_type = event_property_type(property, &type, &is_wide);
    ASSERT(has_type); // nulls have none, and are not stored
    return type;
}

enum field_type seal_value_type(const struct event_property *property, enum field_type type)
{
    ASSERT(property->kind != EVENT_NULL);
    switch (type) {
    case FIELD_TEXT: // any value has a text
    case FIELD_JSON: // and is JSON
        return type;
    case FIELD_INT64:
    case FIELD_DOUBLE:
    case FIELD_BOOL:
    case FIELD_TIME:
        return event_property_fits(property, type) ? type : seal_value_own_type(property);
    }
    check_failed("a type without values", __FILE__, __LINE__);
    return type;
}

// Arrays and objects without the white space between tokens.
static void seal_value_compact(struct buf *destination, struct slice token)
{
    const char *bytes = token.data;
    char *room = buf_reserve(destination, token.size_bytes);
    ASSERT(room != NULL);
    size_t size_bytes = 0;
    bool is_text = false;
    for (size_t i = 0; i < token.size_bytes; i++) {
        const char byte = bytes[i];
        if (!is_text && (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'))
            continue;
        room[size_bytes++] = byte;
        if (byte == '"')
            is_text = !is_text;
        if (is_text && byte == '\\') { // whatever is escaped, a quote above all
            i++;
            ASSERT(i < token.size_bytes);
            room[size_bytes++] = bytes[i];
        }
    }
    buf_advance(destination, size_bytes);
}

static void seal_value_set_text(struct batch_builder *builder, size_t column,
                                const struct event_property *property, struct buf *scratch)
{
    struct slice text = property->value;
    buf_reset(scratch);
    if (property->kind == EVENT_TEXT && property->value_has_escapes) {
        event_append_unescaped(scratch, property->value);
        text = buf_slice(scratch);
    }
    if (property->kind == EVENT_ARRAY || property->kind == EVENT_OBJECT) {
        seal_value_compact(scratch, property->value);
        text = buf_slice(scratch);
    }
    ASSERT(!scratch->overflowed);
    batch_builder_set_text(builder, column, text);
}

// The token; of a text, its quotes are beside the value.
static void seal_value_set_json(struct batch_builder *builder, size_t column,
                                const struct event_property *property, struct buf *scratch)
{
    if (property->kind != EVENT_TEXT) {
        seal_value_set_text(builder, column, property, scratch);
        return;
    }
    const char *quote = slice_chars(property->value) - 1;
    ASSERT(*quote == '"');
    batch_builder_set_text(builder, column, slice_of(quote, property->value.size_bytes + 2));
}

static void seal_value_set_double(struct batch_builder *builder, size_t column,
                                  const struct event_property *property)
{
    double number = (double)property->number;
    if (property->kind == EVENT_DOUBLE) {
        const bool is_number = number_parse_double(property->value, &number);
        ASSERT(is_number);
    }
    batch_builder_set_double(builder, column, number);
}

static void seal_value_set_time(struct batch_builder *builder, size_t column,
                                const struct event_property *property)
{
    int64_t time_ms = 0;
    const bool is_time = event_property_time(property, &time_ms);
    ASSERT(is_time);
    batch_builder_set_int64(builder, column, time_ms);
}

void seal_value_set(struct batch_builder *builder, size_t column, enum field_type type,
                    const struct event_property *property, struct buf *scratch)
{
    switch (type) {
    case FIELD_TEXT:
        seal_value_set_text(builder, column, property, scratch);
        return;
    case FIELD_INT64:
        ASSERT(property->kind == EVENT_INT64);
        batch_builder_set_int64(builder, column, property->number);
        return;
    case FIELD_DOUBLE:
        seal_value_set_double(builder, column, property);
        return;
    case FIELD_BOOL:
        batch_builder_set_bool(builder, column, property->kind == EVENT_TRUE);
        return;
    case FIELD_TIME:
        seal_value_set_time(builder, column, property);
        return;
    case FIELD_JSON:
        seal_value_set_json(builder, column, property, scratch);
        return;
    }
}
