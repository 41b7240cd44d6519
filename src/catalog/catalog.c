// SPDX-License-Identifier: Apache-2.0
// Opening and migrating the catalog, its small values and rights, and what the other files of this
// folder share.
#include "catalog/catalog_internal.h"

#include <assert.h>
#include <inttypes.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"

// The scripts at index n lead from format n to n + 1.
static const char *const *const catalog_migrations[CATALOG_FORMAT] = {
    catalog_schema_sql,
    catalog_schema_2_sql,
    catalog_schema_3_sql,
};

bool catalog_end(struct catalog *catalog, bool is_done, struct err *err)
{
    if (!is_done) {
        db_rollback(catalog->db);
        return false;
    }
    return db_commit(catalog->db, err);
}

bool catalog_run(struct catalog *catalog,
                 bool (*body)(struct catalog *catalog, void *context, struct err *err),
                 void *context, struct err *err)
{
    TRY(db_begin(catalog->db, err));
    return catalog_end(catalog, body(catalog, context, err), err);
}

bool catalog_query_row(struct catalog *catalog, const char *sql, const struct db_value *values,
                       size_t value_count, struct db_rows **ret_rows, bool *ret_found,
                       struct err *err)
{
    struct db_rows *rows = NULL;
    TRY(db_query(catalog->db, sql, values, value_count, &rows, err));
    const bool found = db_rows_next(rows, err);
    if (!found) {
        db_rows_close(&rows);
        if (err->kind != ERR_NONE)
            return false;
    }
    *ret_rows = rows;
    *ret_found = found;
    return true;
}

bool catalog_query_int64(struct catalog *catalog, const char *sql, const struct db_value *values,
                         size_t value_count, int64_t *ret_number, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog, sql, values, value_count, &rows, &found, err));
    *ret_number = found ? db_rows_int64(rows, 0) : 0;
    return true;
}

const char *catalog_row_text(const struct db_rows *rows, size_t column, struct arena *arena)
{
    if (db_rows_is_null(rows, column))
        return NULL;
    return arena_copy_slice(arena, db_rows_text(rows, column));
}

void *catalog_list_add(struct catalog_list *list, struct arena *arena, size_t item_size_bytes)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        void *items = arena_alloc_array(arena, capacity, item_size_bytes);
        if (list->count > 0)
            memcpy(items, list->items, list->count * item_size_bytes);
        list->items = items;
        list->capacity = capacity;
    }
    return (char *)list->items + list->count++ * item_size_bytes;
}

void catalog_format_uuid(const uint8_t bytes[16], char ret_text[37])
{
    static const size_t group_bytes[] = {4, 2, 2, 2, 6};
    size_t used = 0;
    for (size_t group = 0; group < ARRAY_COUNT(group_bytes); group++) {
        if (group > 0)
            *ret_text++ = '-';
        hex_encode(slice_of(bytes + used, group_bytes[group]), ret_text);
        ret_text += 2 * group_bytes[group];
        used += group_bytes[group];
    }
    ASSERT(used == 16);
}

void catalog_new_uuid(struct rng *rng, char ret_text[37])
{
    uint8_t bytes[16];
    rng_fill(rng, bytes, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); // version 4
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); // RFC 9562 variant
    catalog_format_uuid(bytes, ret_text);
}

// 0 when nothing was made yet. INVALID from the database: it has no such table.
static bool catalog_read_format(struct catalog *catalog, int64_t *ret_format, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    if (!catalog_query_row(catalog, "SELECT value FROM meta WHERE name = 'format_version'", NULL, 0,
                           &rows, &found, err)) {
        if (err->kind != ERR_INVALID)
            return false;
        err_clear(err);
        *ret_format = 0;
        return true;
    }
    if (!found || !number_parse_int64(db_rows_text(rows, 0), ret_format) || *ret_format < 1)
        return err_set(err, ERR_CORRUPT, "catalog has no valid format_version");
    return true;
}

static bool catalog_write_value(struct catalog *catalog, const char *name, const char *value,
                                struct err *err)
{
    const struct db_value values[] = {db_text(name), db_text(value)};
    return db_exec(catalog->db,
                   "INSERT INTO meta(name, value) VALUES($1, $2)"
                   " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
                   values, ARRAY_COUNT(values), NULL, err);
}

// Another process may have migrated between the look outside and the lock: so it looks again.
static bool catalog_migrate_body(struct catalog *catalog, void *context, struct err *err)
{
    (void)context;
    int64_t format = 0;
    TRY(catalog_read_format(catalog, &format, err));
    for (; format < CATALOG_FORMAT; format++) {
        for (const char *const *script = catalog_migrations[format]; *script != NULL; script++)
            TRY(db_script(catalog->db, *script, err));
    }
    char text[NUMBER_CHARS_MAX + 1] = {0};
    (void)number_format_int64(CATALOG_FORMAT, text);
    return catalog_write_value(catalog, "format_version", text, err);
}

static bool catalog_start(struct catalog *catalog, bool is_new, struct err *err)
{
    int64_t format = 0;
    TRY(catalog_read_format(catalog, &format, err));
    if (format > CATALOG_FORMAT)
        return err_set(err, ERR_INVALID,
                       "format %" PRId64 " is newer than this program, which knows %d", format,
                       CATALOG_FORMAT);
    if (is_new && format > 0)
        return err_set(err, ERR_CONFLICT, "there is a catalog already");
    if (!is_new && format == 0)
        return err_set(err, ERR_INVALID, "this is not a catalog");
    if (format < CATALOG_FORMAT)
        TRY(catalog_run(catalog, catalog_migrate_body, NULL, err));
    return db_data_version(catalog->db, &catalog->seen_version, err);
}

static bool catalog_start_at(const char *path, bool is_new, struct catalog **ret_catalog,
                             struct err *err)
{
    struct catalog *catalog CLEANUP(catalog_close) = mem_alloc(sizeof *catalog);
    if (!db_sqlite_open(path, is_new, &catalog->db, err) || !catalog_start(catalog, is_new, err))
        return err_wrap(err, "catalog %s", path);
    *ret_catalog = catalog;
    catalog = NULL;
    return true;
}

bool catalog_create(const char *path, struct catalog **ret_catalog, struct err *err)
{
    return catalog_start_at(path, true, ret_catalog, err);
}

bool catalog_open(const char *path, struct catalog **ret_catalog, struct err *err)
{
    return catalog_start_at(path, false, ret_catalog, err);
}

void catalog_close(struct catalog **catalog)
{
    if (*catalog == NULL)
        return;
    db_close(&(*catalog)->db);
    mem_free(*catalog);
    *catalog = NULL;
}

static_assert(CATALOG_WRITERS == DB_WRITERS, "the same places");

bool catalog_read_writers(const char *path, struct catalog_writer ret_writers[CATALOG_WRITERS],
                          struct err *err)
{
    struct db_writer writers[DB_WRITERS];
    TRY(db_sqlite_read_writers(path, writers, err));
    for (size_t i = 0; i < CATALOG_WRITERS; i++)
        ret_writers[i] = (struct catalog_writer){writers[i].pid, writers[i].ticket};
    return true;
}

bool catalog_poll(struct catalog *catalog, bool *ret_changed, struct err *err)
{
    int64_t version = 0;
    TRY(db_data_version(catalog->db, &version, err));
    *ret_changed = version != catalog->seen_version;
    catalog->seen_version = version;
    return true;
}

bool catalog_get_value(struct catalog *catalog, const char *name, struct arena *arena,
                       const char **ret_value, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_text(name)};
    TRY(catalog_query_row(catalog, "SELECT value FROM meta WHERE name = $1", values,
                          ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "the catalog has no value \"%s\"", name);
    *ret_value = catalog_row_text(rows, 0, arena);
    return true;
}

bool catalog_set_value(struct catalog *catalog, const char *name, const char *value,
                       struct err *err)
{
    return catalog_write_value(catalog, name, value, err);
}

// Whether somebody else holds it: asked without the write lock, because most processes that poll
// for a right do not get it. A right that ends far beyond any lease from now was taken under a
// wrong clock and counts as lapsed; twice the lease leaves room for callers that read the clock a
// little apart.
static bool catalog_right_is_taken(struct catalog *catalog, const struct db_value values[4],
                                   bool *ret_is_taken, struct err *err)
{
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM rights WHERE name = $1 AND holder_id <> $2"
                            " AND until_ms > $3 AND until_ms <= $3 + 2 * $4",
                            values, 4, &count, err));
    *ret_is_taken = count > 0;
    return true;
}

bool catalog_hold(struct catalog *catalog, const char *name, const char *holder_id, int64_t now_ms,
                  int64_t lease_ms, bool *ret_held, struct err *err)
{
    ASSERT(lease_ms > 0);
    const struct db_value values[] = {db_text(name), db_text(holder_id), db_int64(now_ms),
                                      db_int64(lease_ms)};
    bool is_taken = false;
    TRY(catalog_right_is_taken(catalog, values, &is_taken, err));
    int64_t changed = 0;
    if (!is_taken)
        TRY(db_exec(catalog->db,
                    "INSERT INTO rights(name, holder_id, until_ms) VALUES($1, $2, $3 + $4)"
                    " ON CONFLICT(name) DO UPDATE"
                    " SET holder_id = excluded.holder_id, until_ms = excluded.until_ms"
                    " WHERE rights.holder_id = excluded.holder_id OR rights.until_ms <= $3"
                    " OR rights.until_ms > $3 + 2 * $4",
                    values, ARRAY_COUNT(values), &changed, err));
    *ret_held = changed > 0;
    return true;
}

bool catalog_release(struct catalog *catalog, const char *name, const char *holder_id,
                     struct err *err)
{
    const struct db_value values[] = {db_text(name), db_text(holder_id)};
    return db_exec(catalog->db, "DELETE FROM rights WHERE name = $1 AND holder_id = $2", values,
                   ARRAY_COUNT(values), NULL, err);
}
