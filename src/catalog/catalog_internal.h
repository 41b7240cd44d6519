// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this folder alone.
#pragma once

#include <stddef.h>

#include "base/json_text.h"
#include "base/rng.h"
#include "catalog/audit.h"
#include "catalog/catalog.h"
#include "db/db.h"

struct catalog {
    struct db *db;
    int64_t seen_version;              // of catalog_poll
    const struct catalog_actor *actor; // NULL: the server itself
};

// The scripts that make format 1 out of nothing, and each next format out of the one before; NULL
// ends them.
extern const char *const catalog_schema_sql[];
extern const char *const catalog_schema_2_sql[];
extern const char *const catalog_schema_3_sql[];

// The audit log's entry for a change, inside the transaction of the change; nothing when the handle
// works for nobody. A creation claims the actor's idempotency key: CONFLICT when another request
// with the key has made something in the meantime.
struct audit_change {
    const char *organization_id; // whose thing it is; NULL: the operator's
    const char *action;
    const char *object_id;
    const char *details; // JSON object, or NULL
    bool is_creation;
};
NODISCARD bool audit_record(struct catalog *catalog, const struct audit_change *change,
                            struct err *err);

// The details of a change: members are written into note.json, and the object is complete when it
// is recorded. audit_note_clear frees it.
struct audit_note {
    struct buf text;
    struct json_text json;
};
void audit_note_init(struct audit_note *note);
void audit_note_clear(struct audit_note *note);
// audit_record with the note as details; once per note.
NODISCARD bool audit_record_note(struct catalog *catalog, struct audit_change change,
                                 struct audit_note *note, struct err *err);

// Runs body inside a write transaction: commits when it returns true, else rolls back and leaves
// *err as body set it. Rows that body opened must be closed when it returns.
NODISCARD bool catalog_run(struct catalog *catalog,
                           bool (*body)(struct catalog *catalog, void *context, struct err *err),
                           void *context, struct err *err);

// The same without a callback: TRY(db_begin(catalog->db, err)); then
// TRY(catalog_end(catalog, do_it(catalog, ..., err), err)); commits when is_done, else rolls back
// and leaves *err. False when either failed.
NODISCARD bool catalog_end(struct catalog *catalog, bool is_done, struct err *err);

// A query of which at most one row matters. *ret_found false: no row, and *ret_rows is NULL. Else
// *ret_rows stands on the row; the caller closes it: struct db_rows *rows CLEANUP(db_rows_close) =
// NULL;
NODISCARD bool catalog_query_row(struct catalog *catalog, const char *sql,
                                 const struct db_value *values, size_t value_count,
                                 struct db_rows **ret_rows, bool *ret_found, struct err *err);

// The first column of the first row as a number; 0 when there is no row or it is null.
NODISCARD bool catalog_query_int64(struct catalog *catalog, const char *sql,
                                   const struct db_value *values, size_t value_count,
                                   int64_t *ret_number, struct err *err);

// The text of a column, NUL-terminated, in the arena. SQL null: NULL.
const char *catalog_row_text(const struct db_rows *rows, size_t column, struct arena *arena);

// An array that grows in an arena while rows are read: `struct x *item = catalog_list_add(&list,
// arena, sizeof *item);`. Items are zeroed; pointers to them are valid until the next add;
// afterwards the array is list.items and list.count. Start with {0}.
struct catalog_list {
    void *items;
    size_t count;
    size_t capacity;
};
void *catalog_list_add(struct catalog_list *list, struct arena *arena, size_t item_size_bytes);

// 36 characters and NUL.
#define CATALOG_UUID_CHARS ((size_t)36)
void catalog_format_uuid(const uint8_t bytes[16], char ret_text[37]);
// A random one (version 4).
void catalog_new_uuid(struct rng *rng, char ret_text[37]);

// A name that people read: 1 to 256 code points of UTF-8, no control characters, not only spaces.
// INVALID: "Invalid character in name", "Name too long", "Invalid name".
NODISCARD bool tenant_check_name(const char *name, struct err *err);
