// SPDX-License-Identifier: Apache-2.0
// What bodies and parameters look like, as tables: /openapi.json is printed from them, and the
// tests hold every reply against it. Read-only data.
//
// A type is a text: a scalar (api_scalars: "string", "time", "uuid", ...) or the name of a shape
// ("Job"), with "[]" behind it for a list and "?" where null may stand: "string[]", "time?".
#pragma once

#include "base/json_text.h"
#include "base/slice.h"

struct api_member {
    const char *name; // with '?' behind it: may be absent. NULL: the list's end
    const char *type;
    const char *doc; // NULL: nothing to say
};

struct api_shape {
    const char *name; // NULL: the table's end
    const char *doc;
    const char *base;                      // name of the shape whose members come first, or NULL
    const struct api_member *members;      // of an object; NULL: an enumeration or a schema
    const char *(*value_at)(size_t index); // of an enumeration: its texts, NULL after the last
    bool is_open;                          // others than the enumeration's texts are right as well
    const char *schema;                    // JSON Schema, for what the other forms cannot say
};

struct api_scalar {
    const char *name;
    const char *schema; // JSON Schema
};

struct api_parameter {
    const char *name;
    const char *place; // "query", "path", "header"
    const char *type;
    const char *doc;
};

// Tables of shapes by surface; each ends with a shape without a name, the list of them with NULL.
extern const struct api_shape api_shapes_common[];
extern const struct api_shape api_shapes_branch[];
extern const struct api_shape api_shapes_exports[];
extern const struct api_shape api_shapes_native[];
extern const struct api_shape api_shapes_notifications[];
extern const struct api_shape api_shapes_admin[];
extern const struct api_shape *const api_shape_tables[];

extern const struct api_scalar api_scalars[];
extern const size_t api_scalar_count;
extern const struct api_parameter api_parameters[];
extern const size_t api_parameter_count;

// NULL when there is none.
const struct api_shape *api_shape_find(struct slice name);
const struct api_parameter *api_parameter_find(const char *place, struct slice name);

// Whether the text is a type whose scalar or shape exists.
bool api_type_is_known(const char *type);

// JSON Schemas: of a type (shapes by reference), and of a shape in full.
void api_write_type(struct json_text *json, const char *type, const char *doc);
void api_write_shape(struct json_text *json, const struct api_shape *shape);
