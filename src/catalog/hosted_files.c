// SPDX-License-Identifier: Apache-2.0
// Rows are read in the order of keys from a place on. When a key turns out to belong to a common
// prefix, the next row that matters is the first one behind that prefix: the statement is begun
// anew there.
//
//   v2/a/1  v2/a/2  ...  v2/a/9999  v2/b/1  v2/c
//   ^ entry "v2/a/"                 ^ sought: "v2/a0", as '0' follows '/'
#include "catalog/hosted_files.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"

#define HOSTED_TEXT_BYTES ((size_t)64 * 1024)

// Of jobs j; the same words as those of the index jobs_served.
#define HOSTED_IS_SERVED                                                                           \
    "j.state = 3 AND j.is_visible = 1 AND j.is_expired = 0 AND j.expires_at_ms > 0"

bool hosted_file_find(struct catalog *catalog, const struct subscription_scope *scope,
                      struct slice key, struct arena *arena, struct hosted_file *ret_file,
                      struct err *err)
{
    static const char of_scope[] =
        "SELECT " JOB_FILE_COLUMNS ", j.finished_at_ms"
        " FROM job_files f JOIN jobs j ON j.id = f.job_id"
        " WHERE f.key = $1 AND f.organization_id = $2 AND f.app_id = coalesce($3, f.app_id)"
        " AND " HOSTED_IS_SERVED;
    static const char of_anybody[] =
        "SELECT " JOB_FILE_COLUMNS ", j.finished_at_ms"
        " FROM job_files f JOIN jobs j ON j.id = f.job_id"
        " WHERE f.key = $1 AND (j.state = 3 AND j.is_expired = 0 OR j.is_spooled = 1)"
        " AND j.is_visible = 1";
    struct db_value values[3] = {db_slice(key)};
    if (scope != NULL) {
        values[1] = db_text(scope->organization_id);
        values[2] = db_text(scope->app_id);
    }
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog, scope == NULL ? of_anybody : of_scope, values,
                          scope == NULL ? 1 : ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "File not found");
    job_read_file(rows, 0, arena, &ret_file->file);
    ret_file->published_at_ms = db_rows_int64(rows, JOB_FILE_COLUMN_COUNT);
    return true;
}

// --- Lists

struct hosted_list {
    struct catalog *catalog;
    const struct hosted_query *query;
    struct arena *arena;
    struct buf from; // keys from here on; the bytes need not be UTF-8
    bool is_over;    // there can be no more keys
    int64_t row_count;
    struct catalog_list entries;
    struct hosted_page page;
};

// Whether a key is shown by a prefix that it shares with others: *ret_entry is that one, with its
// delimiter, or the key itself.
static bool hosted_is_shared(const struct hosted_query *query, struct slice key,
                             struct slice *ret_entry)
{
    *ret_entry = key;
    if (slice_is_empty(query->delimiter) || !slice_starts_with(key, query->prefix))
        return false;
    const struct slice rest = slice_from(key, query->prefix.size_bytes);
    const char *at = slice_is_empty(rest)
                         ? NULL
                         : memmem(rest.data, rest.size_bytes, query->delimiter.data,
                                  query->delimiter.size_bytes);
    if (at == NULL)
        return false;
    const size_t size = (size_t)(at - slice_chars(key)) + query->delimiter.size_bytes;
    *ret_entry = slice_part(key, 0, size);
    return true;
}

// Goes to the smallest text that is greater than this one.
static void hosted_pass_key(struct hosted_list *list, struct slice key)
{
    buf_reset(&list->from);
    buf_append(&list->from, key);
    buf_append_char(&list->from, '\0');
}

// Goes to the smallest text that is greater than all that begin with the prefix.
static void hosted_pass_prefix(struct hosted_list *list, struct slice prefix)
{
    const uint8_t *bytes = prefix.data;
    while (prefix.size_bytes > 0 && bytes[prefix.size_bytes - 1] == 0xff)
        prefix.size_bytes--;
    list->is_over = prefix.size_bytes == 0;
    if (list->is_over)
        return;
    buf_reset(&list->from);
    buf_append(&list->from, slice_part(prefix, 0, prefix.size_bytes - 1));
    buf_append_char(&list->from, (char)(bytes[prefix.size_bytes - 1] + 1));
}

static void hosted_go_to_start(struct hosted_list *list)
{
    const struct hosted_query *query = list->query;
    const struct hosted_place *start = &query->start;
    struct slice entry;
    if (slice_compare(start->entry, query->prefix) < 0 || slice_is_empty(start->entry))
        buf_append(&list->from, query->prefix);
    else if (!start->is_amid && hosted_is_shared(query, start->entry, &entry))
        hosted_pass_prefix(list, entry);
    else
        hosted_pass_key(list, start->entry);
}

static void hosted_stop_at(struct hosted_list *list, struct slice entry, bool is_amid)
{
    const char *copy = arena_copy_slice(list->arena, entry);
    list->page.has_more = true;
    list->page.next = (struct hosted_place){slice_of(copy, entry.size_bytes), is_amid};
    list->is_over = true;
}

static void hosted_add(struct hosted_list *list, const struct db_rows *rows, struct slice entry,
                       bool is_prefix)
{
    struct hosted_entry *added = catalog_list_add(&list->entries, list->arena, sizeof *added);
    added->is_prefix = is_prefix;
    added->key = arena_copy_slice(list->arena, entry);
    if (is_prefix)
        return;
    job_read_file(rows, 0, list->arena, &added->file.file);
    added->file.published_at_ms = db_rows_int64(rows, JOB_FILE_COLUMN_COUNT);
}

// A file that may be shown. True: on with the next row. False: `from` or `is_over` was set.
static bool hosted_show(struct hosted_list *list, const struct db_rows *rows, struct slice key)
{
    struct slice entry;
    const bool is_prefix = hosted_is_shared(list->query, key, &entry);
    const struct hosted_entry *entries = list->entries.items;
    const size_t count = list->entries.count;
    if (count == list->query->entry_limit) {
        hosted_stop_at(list, slice_text(entries[count - 1].key), false);
        return false;
    }
    hosted_add(list, rows, entry, is_prefix);
    if (is_prefix)
        hosted_pass_prefix(list, entry);
    return !is_prefix;
}

static bool hosted_take(struct hosted_list *list, const struct db_rows *rows)
{
    const struct slice key = db_rows_text(rows, JOB_FILE_KEY_COLUMN);
    if (!slice_starts_with(key, list->query->prefix)) {
        list->is_over = true;
        return false;
    }
    list->row_count++;
    const bool may_be_shown = !db_rows_is_null(rows, JOB_FILE_COLUMN_COUNT);
    if (may_be_shown && !hosted_show(list, rows, key))
        return false;
    if (list->row_count < list->query->row_limit)
        return true;
    hosted_stop_at(list, key, true);
    return false;
}

// Rows from `from` on, up to where it is set anew.
static bool hosted_read_on(struct hosted_list *list, struct err *err)
{
    // The join asks the index alone; a row without a time may not be shown.
    static const char of_all[] =
        "SELECT " JOB_FILE_COLUMNS ", j.finished_at_ms FROM job_files f"
        " LEFT JOIN jobs j INDEXED BY jobs_served ON j.id = f.job_id AND " HOSTED_IS_SERVED
        " WHERE f.organization_id = $1 AND f.key >= $2 ORDER BY f.key";
    static const char of_app[] =
        "SELECT " JOB_FILE_COLUMNS ", j.finished_at_ms FROM job_files f"
        " LEFT JOIN jobs j INDEXED BY jobs_served ON j.id = f.job_id AND " HOSTED_IS_SERVED
        " WHERE f.organization_id = $1 AND f.key >= $2 AND f.app_id = $3 ORDER BY f.key";
    const struct subscription_scope *scope = &list->query->scope;
    const struct db_value values[] = {db_text(scope->organization_id),
                                      db_slice(buf_slice(&list->from)), db_text(scope->app_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(list->catalog->db, scope->app_id == NULL ? of_all : of_app, values,
                 scope->app_id == NULL ? 2 : 3, &rows, err));
    bool goes_on = true;
    while (goes_on && db_rows_next(rows, err))
        goes_on = hosted_take(list, rows);
    TRY(err->kind == ERR_NONE);
    list->is_over = list->is_over || goes_on; // there were no more rows
    return true;
}

static bool hosted_read_all(struct hosted_list *list, struct err *err)
{
    hosted_go_to_start(list);
    while (!list->is_over) {
        TRY(buf_check(&list->from, err));
        TRY(hosted_read_on(list, err));
    }
    return true;
}

bool hosted_file_list(struct catalog *catalog, const struct hosted_query *query,
                      struct arena *arena, struct hosted_page *ret_page, struct err *err)
{
    ASSERT(query->entry_limit > 0);
    ASSERT(query->row_limit > 0);
    struct hosted_list list = {.catalog = catalog, .query = query, .arena = arena};
    buf_init(&list.from, HOSTED_TEXT_BYTES);
    const bool is_read = hosted_read_all(&list, err);
    buf_clear(&list.from);
    TRY(is_read);
    list.page.entries = list.entries.items;
    list.page.count = list.entries.count;
    *ret_page = list.page;
    return true;
}
