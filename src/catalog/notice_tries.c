// SPDX-License-Identifier: Apache-2.0
// The delivery log, and its end.
#include "base/check.h"
#include "base/mem.h"
#include "catalog/notices_internal.h"

#define NOTICE_TRIES_MAX  INT64_C(10001) // a page, and one to see if there are more
#define NOTICE_REMOVE_MAX INT64_C(100)   // each with all its tries

bool notice_tries(struct catalog *catalog, const struct notice_tries_query *query,
                  struct arena *arena, struct notice_try **ret_tries, size_t *ret_count,
                  struct err *err)
{
    ASSERT(query->limit > 0);
    ASSERT(query->limit <= NOTICE_TRIES_MAX);
    const struct db_value values[] = {
        db_text(query->notification_id),
        db_int64(query->before_id == 0 ? INT64_MAX : query->before_id),
        db_int64(query->limit),
    };
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT t.id, n.notice_id, n.event, n.state, n.recipient, t.number, t.at_ms,"
                 " t.took_ms, t.status, t.reason FROM notice_tries t"
                 " JOIN notices n ON n.id = t.notice"
                 " WHERE t.notification_id = $1 AND t.id < $2 ORDER BY t.id DESC LIMIT $3",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct notice_try *one = catalog_list_add(&list, arena, sizeof *one);
        *one = (struct notice_try){
            .id = db_rows_int64(rows, 0),
            .notice_id = catalog_row_text(rows, 1, arena),
            .event = (enum notice_event)db_rows_int64(rows, 2),
            .state = (enum notice_state)db_rows_int64(rows, 3),
            .recipient = catalog_row_text(rows, 4, arena),
            .number = db_rows_int64(rows, 5),
            .at_ms = db_rows_int64(rows, 6),
            .took_ms = db_rows_int64(rows, 7),
            .status = db_rows_int64(rows, 8),
            .reason = catalog_row_text(rows, 9, arena),
        };
    }
    TRY(err->kind == ERR_NONE);
    *ret_tries = list.items;
    *ret_count = list.count;
    return true;
}

bool notice_count_waiting(struct catalog *catalog, int64_t *ret_count, struct err *err)
{
    return catalog_query_int64(catalog, "SELECT count(*) FROM notices WHERE state = 0", NULL, 0,
                               ret_count, err);
}

// --- Removing

struct notice_removal {
    int64_t before_ms;
    int64_t limit;
    int64_t count;
};

static bool notice_remove_one(struct catalog *catalog, int64_t number, struct err *err)
{
    const struct db_value values[] = {db_int64(number)};
    TRY(db_exec(catalog->db, "DELETE FROM notice_tries WHERE notice = $1", values,
                ARRAY_COUNT(values), NULL, err));
    return db_exec(catalog->db, "DELETE FROM notices WHERE id = $1", values, ARRAY_COUNT(values),
                   NULL, err);
}

static bool notice_find_old(struct catalog *catalog, const struct notice_removal *removal,
                            struct arena *arena, struct catalog_list *ret_numbers, struct err *err)
{
    const struct db_value values[] = {db_int64(removal->before_ms), db_int64(removal->limit)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT id FROM notices WHERE state > 0 AND finished_at_ms < $1"
                 " ORDER BY finished_at_ms LIMIT $2",
                 values, ARRAY_COUNT(values), &rows, err));
    while (db_rows_next(rows, err)) {
        int64_t *number = catalog_list_add(ret_numbers, arena, sizeof *number);
        *number = db_rows_int64(rows, 0);
    }
    return err->kind == ERR_NONE;
}

static bool notice_remove_body(struct catalog *catalog, void *context, struct err *err)
{
    struct notice_removal *removal = context;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct catalog_list list = {0};
    TRY(notice_find_old(catalog, removal, &arena, &list, err));
    const int64_t *numbers = list.items;
    for (size_t i = 0; i < list.count; i++)
        TRY(notice_remove_one(catalog, numbers[i], err));
    removal->count = (int64_t)list.count;
    const struct db_value values[] = {db_int64(removal->before_ms), db_int64(removal->limit)};
    return db_exec(catalog->db,
                   "DELETE FROM notifications WHERE id IN (SELECT n.id FROM notifications n"
                   " WHERE n.deleted_at_ms > 0 AND n.deleted_at_ms < $1 AND NOT EXISTS"
                   "  (SELECT 1 FROM notices m WHERE m.notification_id = n.id) LIMIT $2)",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool notice_remove_old(struct catalog *catalog, int64_t before_ms, int64_t limit,
                       int64_t *ret_count, struct err *err)
{
    ASSERT(limit > 0);
    ASSERT(limit <= NOTICE_REMOVE_MAX);
    struct notice_removal removal = {.before_ms = before_ms, .limit = limit};
    TRY(catalog_run(catalog, notice_remove_body, &removal, err));
    *ret_count = removal.count;
    return true;
}
