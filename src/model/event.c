// SPDX-License-Identifier: Apache-2.0
// What scanned values are worth as fields.
#include "model/event.h"

#include "base/check.h"
#include "model/event_internal.h"

#define EVENT_EXACT_DOUBLE (INT64_C(1) << 53)

void event_append_unescaped(struct buf *destination, struct slice escaped)
{
    char *room = buf_reserve(destination, escaped.size_bytes);
    if (room == NULL)
        return;
    buf_advance(destination, event_unescape(escaped, room));
}

bool event_property_type(const struct event_property *property, enum field_type *ret_type,
                         bool *ret_is_wide)
{
    *ret_is_wide = false;
    switch (property->kind) {
    case EVENT_NULL:
        return false;
    case EVENT_FALSE:
    case EVENT_TRUE:
        *ret_type = FIELD_BOOL;
        return true;
    case EVENT_INT64:
        *ret_type = FIELD_INT64;
        *ret_is_wide = property->number > EVENT_EXACT_DOUBLE ||
                       property->number < -EVENT_EXACT_DOUBLE;
        return true;
    case EVENT_DOUBLE:
        *ret_type = FIELD_DOUBLE;
        return true;
    case EVENT_TEXT:
        *ret_type = FIELD_TEXT;
        return true;
    case EVENT_ARRAY:
    case EVENT_OBJECT:
        *ret_type = FIELD_JSON;
        return true;
    }
    ASSERT(false);
    return false;
}

bool event_property_fits(const struct event_property *property, enum field_type type)
{
    const enum event_value_kind kind = property->kind;
    if (kind == EVENT_NULL)
        return true;
    int64_t time_ms;
    switch (type) {
    case FIELD_TEXT:
        return kind == EVENT_TEXT;
    case FIELD_INT64:
        return kind == EVENT_INT64;
    case FIELD_DOUBLE:
        return kind == EVENT_INT64 || kind == EVENT_DOUBLE;
    case FIELD_BOOL:
        return kind == EVENT_FALSE || kind == EVENT_TRUE;
    case FIELD_TIME:
        return event_property_time(property, &time_ms);
    case FIELD_JSON:
        return true;
    }
    ASSERT(false);
    return false;
}
