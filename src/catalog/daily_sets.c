// SPDX-License-Identifier: Apache-2.0
#include "catalog/daily_sets.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "base/number.h"
#include "catalog/jobs_internal.h"

// The mark of sets that were made ahead: "DAY_MS APP_ID", the last app that has its set of the day,
// or "DAY_MS" when all have.
static const char daily_mark[] = "daily_sets_made";

bool daily_find_topics(struct catalog *catalog, const struct daily_day *day, struct arena *arena,
                       struct daily_topic **ret_topics, size_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_text(day->organization_id), db_text(day->app_id),
                                      db_int64(day->start_ms),
                                      db_int64(day->start_ms + CIVIL_DAY_MS)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT t.id, t.name FROM topics t WHERE t.organization_id = $1"
                 " AND (EXISTS (SELECT 1 FROM segment_slices x WHERE x.topic_id = t.id"
                 "   AND x.app_id = CAST($2 AS INTEGER) AND x.hour_ms >= $3 AND x.hour_ms < $4)"
                 "  OR EXISTS (SELECT 1 FROM lake_floors l WHERE l.topic_id = t.id"
                 "   AND l.app_id = CAST($2 AS INTEGER) AND l.hour_ms >= $3 AND l.hour_ms < $4))"
                 " ORDER BY t.name",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct daily_topic *topic = catalog_list_add(&list, arena, sizeof *topic);
        topic->id = db_rows_int64(rows, 0);
        topic->name = catalog_row_text(rows, 1, arena);
    }
    TRY(err->kind == ERR_NONE);
    *ret_topics = list.items;
    *ret_count = list.count;
    return true;
}

bool daily_make(struct catalog *catalog, const struct daily_making *making,
                const struct daily_topic *topic, struct arena *arena, struct request *ret_request,
                struct err *err)
{
    static const char *const all[] = {"all"};
    const struct report report = {
        .cadence = CADENCE_DAILY,
        .format = REPORT_CSV,
        .compression = REPORT_GZ,
        .topic_name = topic->name,
        .fields = all,
        .field_count = 1,
        .wants_all = true,
        .destination = REPORT_BRANCH,
        .destination_json = "{\"subscription_type\":\"branch\"}",
        .part_rows = making->file_rows,
    };
    const struct request_spec spec = {
        .kind = SUBSCRIPTION_DAILY_EXPORT,
        .organization_id = making->day.organization_id,
        .app_id = making->day.app_id,
        .report = &report,
        .topic_id = topic->id,
        .start_ms = making->day.start_ms,
        .end_ms = making->day.start_ms + CIVIL_DAY_MS,
        .now_ms = making->now_ms,
        .is_awaited = making->is_awaited,
        .shared_key = arena_format(arena, "%" PRId64 "|%s", making->day.start_ms, topic->name),
    };
    TRY(request_create(catalog, &spec, arena, ret_request, err));
    const struct job *job = &ret_request->job;
    if (job->state != JOB_SUCCEEDED || !job->is_expired || job->reason != NULL)
        return true;
    const struct job_restore_request again = {
        .organization_id = job->organization_id,
        .job_id = slice_text(job->id),
        .now_ms = making->now_ms,
        .expires_at_ms = making->now_ms + 1, // of files that are there; these are not
    };
    struct job restored = {0};
    if (!job_restore(catalog, &again, arena, &restored, err))
        return err->kind == ERR_CONFLICT &&
               err_set(err, ERR_UNAVAILABLE, "expired files are being removed");
    ret_request->job = restored;
    return true;
}

// --- Ahead

int64_t daily_last_day(int64_t now_ms)
{
    return window_last_complete(CADENCE_DAILY, now_ms);
}

static bool daily_read_mark(struct catalog *catalog, int64_t day_start_ms, struct arena *arena,
                            bool *ret_is_done, const char **ret_app_id, struct err *err)
{
    const char *mark = NULL;
    *ret_is_done = false;
    *ret_app_id = "";
    if (!catalog_get_value(catalog, daily_mark, arena, &mark, err))
        return err->kind == ERR_NOT_FOUND;
    const char *space = strchr(mark, ' ');
    const size_t size = space == NULL ? strlen(mark) : (size_t)(space - mark);
    int64_t marked_ms = 0;
    if (!number_parse_int64(slice_of(mark, size), &marked_ms) || marked_ms < day_start_ms)
        return true;
    *ret_is_done = space == NULL || marked_ms > day_start_ms;
    if (!*ret_is_done)
        *ret_app_id = arena_copy_text(arena, space + 1);
    return true;
}

static bool daily_find_apps(struct catalog *catalog, const char *after_id, int64_t limit,
                            struct arena *arena, struct catalog_list *ret_days, struct err *err)
{
    const struct db_value values[] = {db_text(after_id), db_int64(limit)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT a.organization_id, a.id FROM apps a"
                 " JOIN organizations o ON o.id = a.organization_id"
                 " WHERE a.id > $1 AND a.deleted_at_ms = 0 AND o.disabled_at_ms = 0"
                 " ORDER BY a.id LIMIT $2",
                 values, ARRAY_COUNT(values), &rows, err));
    while (db_rows_next(rows, err)) {
        struct daily_day *day = catalog_list_add(ret_days, arena, sizeof *day);
        day->organization_id = catalog_row_text(rows, 0, arena);
        day->app_id = catalog_row_text(rows, 1, arena);
    }
    return err->kind == ERR_NONE;
}

static bool daily_make_set(struct catalog *catalog, const struct daily_making *making,
                           struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct daily_topic *topics = NULL;
    size_t count = 0;
    TRY(daily_find_topics(catalog, &making->day, &arena, &topics, &count, err));
    for (size_t i = 0; i < count; i++) {
        struct request request = {0};
        TRY(daily_make(catalog, making, &topics[i], &arena, &request, err));
    }
    return true;
}

bool daily_make_ahead(struct catalog *catalog, int64_t day_start_ms, int64_t file_rows,
                      int64_t now_ms, int64_t app_limit, bool *ret_is_done, struct err *err)
{
    ASSERT(app_limit > 0);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *after_id = NULL;
    TRY(daily_read_mark(catalog, day_start_ms, &arena, ret_is_done, &after_id, err));
    if (*ret_is_done)
        return true;
    struct catalog_list list = {0};
    TRY(daily_find_apps(catalog, after_id, app_limit, &arena, &list, err));
    struct daily_making making = {.file_rows = file_rows, .now_ms = now_ms};
    for (size_t i = 0; i < list.count; i++) {
        making.day = ((const struct daily_day *)list.items)[i];
        making.day.start_ms = day_start_ms;
        TRY(daily_make_set(catalog, &making, err));
        TRY(catalog_set_value(
            catalog, daily_mark,
            arena_format(&arena, "%" PRId64 " %s", day_start_ms, making.day.app_id), err));
    }
    *ret_is_done = list.count < (size_t)app_limit;
    if (*ret_is_done)
        TRY(catalog_set_value(catalog, daily_mark, arena_format(&arena, "%" PRId64, day_start_ms),
                              err));
    return true;
}
