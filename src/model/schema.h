// SPDX-License-Identifier: Apache-2.0
// What is known of a topic's fields. A topic belongs to one organization, also when it has the name
// and fields of a built-in one, so that nobody learns of anybody else's fields. Built-in and
// declared fields keep their type for ever; learned ones are added when first seen and may widen
// (long -> double where exact, else -> string). Every change makes the next schema id.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "model/field.h"

#define SCHEMA_FIELDS_MAX     ((size_t)2000)
#define SCHEMA_NAME_BYTES_MAX ((size_t)256)

enum field_origin {
    FIELD_BUILTIN,
    FIELD_DECLARED,
    FIELD_LEARNED,
};

struct schema_field {
    const char *name;
    enum field_type type;
    enum field_origin origin;
    bool is_sensitive; // needs the sensitive_data permission
    bool is_wide;      // learned long that has held values beyond 2^53: not exact as double
};

struct schema {
    int64_t topic_id;  // 0: not in the catalog yet
    int64_t schema_id; // counts up from 1 per topic
    const char *topic_name;
    const struct schema_field
        *fields; // in the order of ["all"]: built-in, declared, then as learned
    size_t field_count;
};

// NULL when there is none. The system columns (app_id, organization_id, timestamp) are found as
// well.
const struct schema_field *schema_find(const struct schema *schema, struct slice name);

// Sets INVALID "<name> field is not available for exports", the documented text for clients, and
// returns false. A name that no client's parser should have to read back (odd characters, over 256
// bytes) is left out.
bool schema_set_unavailable(struct err *err, struct slice name);

// A hash index over field names, built by the caller who looks up often. Read-only afterwards, so
// any thread may look. The schema must outlive it. System columns are not in it.
struct schema_index;
struct schema_index *schema_index_new(const struct schema *schema);
void schema_index_free(struct schema_index **index);
// Position in schema->fields, or -1.
int schema_index_find(const struct schema_index *index, struct slice name);

// The system columns are not in schema->fields; every topic has them.
// app_id and organization_id: long; timestamp: timestamp.
#define SCHEMA_SYSTEM_FIELDS ((size_t)3)
extern const struct schema_field schema_system_fields[SCHEMA_SYSTEM_FIELDS];

// The event's id, a string that any event may have: found in every topic, also before the first
// event that has it, but part of ["all"] only once it is declared or seen.
extern const struct schema_field schema_event_id;

// A topic that Branch documents, with its typed fields (NULL when name is none of them). Static
// data.
const struct schema *schema_builtin(struct slice topic_name);
// All 34 names, for listings; index from 0; NULL past the end.
const char *schema_builtin_name(size_t index);

// [a-z0-9A-Z][a-zA-Z0-9_.-]{0,127}
bool schema_topic_name_is_valid(struct slice name);

// What a learned field of type `known` becomes when a value of kind `seen` arrives: long and double
// become double while every long is exact as one, else string; other mixtures become string. A long
// that was or is wide stays so: the caller keeps the "or" of both.
enum field_type schema_widen(enum field_type known, bool known_is_wide, enum field_type seen,
                             bool seen_is_wide);

// `["all"]`: the schema's fields in order, with the system columns where the built-in order has
// them; in other topics app_id, organization_id and timestamp come in front. Sensitive fields are
// among them: the API refuses "all" without the permission. Names live as long as the schema.
size_t schema_all_columns(const struct schema *schema, struct arena *arena,
                          struct column **ret_columns);
