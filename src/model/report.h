// SPDX-License-Identifier: Apache-2.0
// What a subscription asks for: the body of the subscribe call, checked and kept. One reader for
// the call, for the stored document, and for the reply that echoes it.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json_tree.h"
#include "model/filter.h"
#include "model/schema.h"
#include "model/window.h"

enum report_format {
    REPORT_CSV,
    REPORT_JSON,
    REPORT_PARQUET,
};

enum report_compression {
    REPORT_GZ,
    REPORT_SNAPPY,
    REPORT_ZSTD,
    REPORT_UNCOMPRESSED,
};

enum report_destination {
    REPORT_BRANCH, // the hosted bucket
    REPORT_CLOUD,
    REPORT_EMAIL,
};

const char *report_format_name(enum report_format format);
const char *report_compression_name(enum report_compression compression);
const char *report_destination_name(enum report_destination destination);
bool report_destination_parse(struct slice name, enum report_destination *ret_destination);
// "csv.gz", "json.snappy", "csv.zst", "csv", "parquet", ...
const char *report_file_extension(enum report_format format, enum report_compression compression);

struct report {
    enum cadence cadence;
    enum report_format format;
    enum report_compression compression;
    const char *topic_name;
    const char *const *fields; // as asked; {"all"} alone means all
    size_t field_count;
    bool wants_all;
    const char *filter_json;  // as sent (parsed and printed compactly), or NULL
    const char *filter_typed; // filter_store() text, or NULL
    enum report_destination destination;
    const char *destination_json; // the object as kept, compact: model/report_destination.h
    // What only requests that are made once can say.
    int64_t row_limit;        // 0: none
    int64_t part_rows;        // a file ends with this many rows, too; 0: by size alone
    const char *zone_name;    // dates were read in it; NULL: in UTC
    const char *zone_version; // of the tz database
};

// First step of subscribe: the shape of the body, without the schema. Unknown keys are ignored,
// null is absent; response_format, compression and cadence have defaults; report_type may be a
// one-element array; recipients are kept once each. Of the destination only the keys of its type
// are kept, and only its shape is checked: the caller says whether clouds and mail are enabled,
// whether a connection exists and its endpoint is allowed, and whether the topic exists.
// filter_typed is NULL until report_check. INVALID with texts such as "Missing required field:
// report", "Missing required field: destination.bucket", "Invalid cadence", "Invalid type: string
// expected". Everything lives in arena.
NODISCARD bool report_parse(const struct json_node *body, struct arena *arena,
                            struct report *ret_report, struct err *err);

// Its pieces, for calls that spell a report otherwise. Each sets its members of *report; a node may
// be NULL (absent), name is what errors call it. Format and compression are members of object by
// their usual names; without them *report keeps what it has.
NODISCARD bool report_take_topic(const struct json_node *node, const char *name,
                                 struct arena *arena, struct report *report, struct err *err);
NODISCARD bool report_take_fields(const struct json_node *node, const char *name,
                                  struct arena *arena, struct report *report, struct err *err);
NODISCARD bool report_take_format(const struct json_node *object, struct report *report,
                                  struct err *err);
NODISCARD bool report_take_compression(const struct json_node *object, struct report *report,
                                       struct err *err);

// Second step: fields and filter against the schema; sets filter_typed, unless it is set: a filter
// keeps the types it was written for. On INVALID for unknown fields, *ret_bad_fields lists every
// one of both, once (for the errors array of the reply, each by schema_set_unavailable); it is
// untouched otherwise, also for "Duplicate field: x" and a bad filter.
struct report_bad_fields {
    const char *const *names;
    size_t count;
};
NODISCARD bool report_check(struct report *report, const struct schema *schema, struct arena *arena,
                            struct report_bad_fields *ret_bad_fields, struct err *err);

// An edit: the members of `patch` (the body of the call: report, destination) take the place of the
// report's own, one by one; null takes a member away, and so brings back its default. The result is
// read as report_parse reads a body. filter_typed is kept when neither filter nor topic are edited.
NODISCARD bool report_edit(const struct report *report, const struct json_node *patch,
                           struct arena *arena, struct report *ret_report, struct err *err);

// The documented bodies: report_write_members gives {"cadence":...,"filter":[...]} members of
// "report" and leaves the object open for subscription_status ("filter" is [] for none);
// destination_json is printed as kept.
struct json_text;
void report_write_members(const struct report *report, struct json_text *json);

// The document that the catalog keeps, and back: CORRUPT for anything else. What an older document
// does not say is 0 or NULL.
void report_store(const struct report *report, struct buf *destination);
NODISCARD bool report_load(struct slice document, struct arena *arena, struct report *ret_report,
                           struct err *err);

// Two reports are duplicates when destination type, topic, fields in order, filter and cadence are
// equal: text that is equal exactly then.
void report_append_duplicate_key(const struct report *report, struct buf *destination);

// Columns of a job in the order of the file: the asked fields, or all of the schema. 0 when an
// asked field is not in the schema (any more): such a job cannot be right. Names live as long as
// the schema.
size_t report_columns(const struct report *report, const struct schema *schema, struct arena *arena,
                      struct column **ret_columns);
