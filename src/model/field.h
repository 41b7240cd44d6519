// SPDX-License-Identifier: Apache-2.0
// The types that a field of an event can have, and how each is stored in a segment.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum field_type {
    FIELD_TEXT,   // UTF-8
    FIELD_INT64,  // exact
    FIELD_DOUBLE, // finite
    FIELD_BOOL,
    FIELD_TIME, // milliseconds since 1970 UTC
    FIELD_JSON, // compact JSON text: arrays and objects
};
#define FIELD_TYPE_COUNT 6

// "string", "long", "double", "boolean", "timestamp", "json": as in the API.
const char *field_type_name(enum field_type type);
bool field_type_parse(struct slice name, enum field_type *ret_type);

// One column that a job asks for, or that an encoder writes. name is NUL-terminated.
struct column {
    const char *name;
    enum field_type type;
};

// The column of a segment that holds values of this field in this type: the name with upper-case
// letters and '^' marked by a '^' before the lower-case letter (engines fold case, we do not), then
// ':' and a letter for the type: "referrer:t", "^user^id:i". So a field whose type widened has one
// column per type, and topics that share a segment share columns.
void field_append_physical_name(struct buf *destination, const char *name, enum field_type type);
bool field_parse_physical_name(struct slice physical, struct buf *ret_name,
                               enum field_type *ret_type);

// Columns that every segment has besides: order of the segment is by these four.
#define FIELD_PHYSICAL_TOPIC "_topic" // int64, catalog id of the topic
#define FIELD_PHYSICAL_APP   "_app"   // int64, the app's id
#define FIELD_PHYSICAL_TIME  "_time"  // int64, event time in milliseconds
#define FIELD_PHYSICAL_SEQ   "_seq"   // int64, ingest sequence number
