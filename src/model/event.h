// SPDX-License-Identifier: Apache-2.0
// One event, one line of NDJSON: a strict scanner in one pass that allocates nothing. It agrees
// with jansson's strict parser on what is JSON, and adds the rules of events: an object,
// `timestamp` present and in range, names and values within bounds, no reserved names, no duplicate
// names (also when spelt with escapes, also nested). Thread-safe: state is the caller's.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "model/field.h"

enum event_limits {
    EVENT_PROPERTIES_MAX = 1000,
    EVENT_DEPTH_MAX = 8,
    EVENT_VALUE_BYTES_MAX = 65536,
    EVENT_LINE_BYTES_MAX = 1024 * 1024,
    EVENT_ID_BYTES_MAX = 256,
    EVENT_NAME_BYTES_MAX = 256,
};

enum event_value_kind {
    EVENT_NULL,
    EVENT_FALSE,
    EVENT_TRUE,
    EVENT_INT64,  // an integer token inside int64; `number` is set
    EVENT_DOUBLE, // any other number that is finite
    EVENT_TEXT,
    EVENT_ARRAY,
    EVENT_OBJECT,
};

struct event_property {
    struct slice name;  // bytes between the quotes, as written
    struct slice value; // the token: for text without the quotes, for the rest as written
    int64_t number;     // of EVENT_INT64
    enum event_value_kind kind;
    bool name_has_escapes;
    bool value_has_escapes; // of EVENT_TEXT
};

struct event {
    struct event_property properties[EVENT_PROPERTIES_MAX + 1]; // all but timestamp, app_id
    size_t property_count;
    int64_t time_ms;
    struct slice app_id; // digits as given in the line (string or integer); empty when absent
};

// Names that no property may have, because they are columns of ours ("_seq", "received_at", ...).
bool event_name_is_reserved(struct slice name);

// line without its line end. now_ms bounds timestamps (2000-01-01 to now + 24 h). *ret_event is
// undefined on failure, and points into line otherwise. Depth counts the event itself; names and
// values are measured decoded, arrays and objects as written. INVALID with a text for the client
// that ends before " on line N": "Invalid event", "Invalid property name", "Property too long",
// "Too many properties", "Event nested too deeply", "Duplicate field", "Reserved field", "Number
// out of range", "Invalid id", "Invalid app_id", "Missing field", "Invalid timestamp", "Timestamp
// out of range"; LIMIT "Event too large". Texts with a field name after the line number ("Missing
// field on line 1: timestamp") keep the name in ret_detail ("" when there is none).
NODISCARD bool event_scan(struct slice line, int64_t now_ms, struct event *ret_event,
                          char ret_detail[256], struct err *err);

// Unescapes a name or text value into destination (UTF-8, never NUL inside).
void event_append_unescaped(struct buf *destination, struct slice escaped);

// The type that a value has by itself: for learned fields. False for null.
bool event_property_type(const struct event_property *property, enum field_type *ret_type,
                         bool *ret_is_wide);

// Whether a field of that type can hold the value: text takes strings, long takes integers, double
// any number, boolean true and false, timestamp an integer of milliseconds or ISO 8601 text, json
// anything. null fits everywhere.
bool event_property_fits(const struct event_property *property, enum field_type type);

// Milliseconds of a value that fits FIELD_TIME (years 0 to 9999); false when it does not.
bool event_property_time(const struct event_property *property, int64_t *ret_time_ms);
