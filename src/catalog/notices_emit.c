// SPDX-License-Identifier: Apache-2.0
// News into the outbox. Bodies are made here, once: what is sent later is what was so when it
// happened.
//
//   {"notice_id":..., "event":"job_failed", "created_at":..., "organization_id":..., "app_id":...,
//    "subscription_id":..., "job":{"job_id":..., "status":"FAILED", "start_date":...,
//    "end_date":..., "revision":0, "lines_exported":0, "reason":...}}
//
// "job" is null of what is not about one; subscription_failed has a "reason" of its own.
// Upholds INV-21 (docs/invariants.md).
#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/notices_internal.h"

#define NOTICE_BODY_BYTES_MAX ((size_t)64 * 1024)

struct notice_news {
    enum notice_event event;
    const char *organization_id;
    const char *app_id; // NULL: of the whole organization
    const char *subscription_id;
    const struct job *job; // NULL: not about one
    const char *reason;    // of a subscription
    int64_t now_ms;
};

static void notice_write_time(struct json_text *json, const char *key, int64_t time_ms)
{
    char text[CIVIL_API_CHARS + 1];
    civil_format_api(time_ms, text);
    json_text_member_text(json, key, text);
}

static void notice_write_job(struct json_text *json, const struct job *job)
{
    json_text_key(json, "job");
    if (job == NULL) {
        json_text_null(json);
        return;
    }
    json_text_open(json, '{');
    json_text_member_text(json, "job_id", job->id);
    json_text_member_text(json, "status", job_state_name(job->state));
    notice_write_time(json, "start_date", job->start_ms);
    notice_write_time(json, "end_date", job->end_ms);
    json_text_member_int64(json, "revision", job->revision);
    json_text_member_int64(json, "lines_exported",
                           job->state == JOB_SUCCEEDED ? job->row_count : 0);
    json_text_member_text(json, "reason", job->reason);
    json_text_close(json, '}');
}

static void notice_write_body(struct buf *body, const struct notice_news *news, const char *id)
{
    struct json_text json;
    json_text_init(&json, body);
    json_text_open(&json, '{');
    json_text_member_text(&json, "notice_id", id);
    json_text_member_text(&json, "event", notice_event_name(news->event));
    notice_write_time(&json, "created_at", news->now_ms);
    json_text_member_text(&json, "organization_id", news->organization_id);
    json_text_member_text(&json, "app_id", news->app_id);
    json_text_member_text(&json, "subscription_id", news->subscription_id);
    if (news->event == NOTICE_SUBSCRIPTION_FAILED)
        json_text_member_text(&json, "reason", news->reason);
    notice_write_job(&json, news->job);
    json_text_close(&json, '}');
}

static bool notice_insert(struct catalog *catalog, const struct notification *notification,
                          const struct notice_news *news, struct slice recipient,
                          char ret_id[CATALOG_UUID_CHARS + 1], struct err *err)
{
    struct buf body CLEANUP(buf_clear);
    buf_init(&body, NOTICE_BODY_BYTES_MAX);
    catalog_new_uuid(rng_system(), ret_id);
    notice_write_body(&body, news, ret_id);
    TRY(buf_check(&body, err));
    const struct db_value values[] = {
        db_text(ret_id),
        db_text(notification->id),
        db_text(notification->organization_id),
        db_int64((int64_t)news->event),
        recipient.data == NULL ? db_null() : db_slice(recipient),
        db_slice(buf_slice(&body)),
        db_int64(news->now_ms),
    };
    return db_exec(catalog->db,
                   "INSERT INTO notices(notice_id, notification_id, organization_id, event,"
                   " recipient, body, created_at_ms, next_try_at_ms)"
                   " VALUES($1, $2, $3, $4, $5, $6, $7, $7)",
                   values, ARRAY_COUNT(values), NULL, err);
}

// One notice, or one for each address: what becomes of a mail is a matter of its recipient.
static bool notice_emit_to(struct catalog *catalog, const struct notification *notification,
                           const struct notice_news *news,
                           char ret_first_id[CATALOG_UUID_CHARS + 1], struct err *err)
{
    if (notification->kind == NOTIFICATION_WEBHOOK)
        return notice_insert(catalog, notification, news, slice_of(NULL, 0), ret_first_id, err);
    struct slice rest = slice_text(notification->target);
    struct slice address;
    bool is_first = true;
    while (notification_next_address(&rest, &address)) {
        char id[CATALOG_UUID_CHARS + 1] = "";
        TRY(notice_insert(catalog, notification, news, address, is_first ? ret_first_id : id, err));
        is_first = false;
    }
    ASSERT(!is_first); // there is no list without addresses
    return true;
}

// --- Who wants to know

static bool notice_list_wanted(struct catalog *catalog, const char *sql,
                               const struct db_value *values, size_t value_count,
                               struct arena *arena, struct catalog_list *ret_list, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, sql, values, value_count, &rows, err));
    while (db_rows_next(rows, err))
        notification_read_row(rows, arena,
                              catalog_list_add(ret_list, arena, sizeof(struct notification)));
    return err->kind == ERR_NONE;
}

static bool notice_emit_to_all(struct catalog *catalog, const struct catalog_list *wanted,
                               const struct notice_news *news, struct err *err)
{
    const struct notification *notifications = wanted->items;
    for (size_t i = 0; i < wanted->count; i++) {
        char id[CATALOG_UUID_CHARS + 1];
        if ((notifications[i].events & 1U << news->event) != 0)
            TRY(notice_emit_to(catalog, &notifications[i], news, id, err));
    }
    return true;
}

// --- Jobs

static unsigned notice_bits_of(enum notice_event event)
{
    return event == NOTICE_JOB_SUCCEEDED ? 1U << NOTICE_JOB_SUCCEEDED | 1U << NOTICE_RECOVERED
                                         : 1U << event;
}

static bool notice_job_fits(enum notice_event event, const struct job *job)
{
    if (!job->is_visible)
        return false;
    switch (event) {
    case NOTICE_JOB_SUCCEEDED:
        return job->state == JOB_SUCCEEDED;
    case NOTICE_JOB_FAILED:
        return job->state == JOB_FAILED;
    case NOTICE_LATE:
        return job->state != JOB_SUCCEEDED && job->state != JOB_FAILED;
    case NOTICE_RECOVERED:
    case NOTICE_SUBSCRIPTION_FAILED:
    case NOTICE_TEST:
        break;
    }
    ASSERT(false);
    return false;
}

// The job, and whether its window was late or FAILED before.
static bool notice_read_job(struct catalog *catalog, const char *job_id, struct arena *arena,
                            struct job *ret_job, bool *ret_was_bad, struct err *err)
{
    const struct db_value values[] = {db_text(job_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT " JOB_LIST_COLUMNS ", j.is_late = 1 OR coalesce("
                          " (SELECT p.state FROM jobs p WHERE p.subscription_id = j.subscription_id"
                          "  AND p.start_ms = j.start_ms AND p.revision >= 0"
                          "  AND p.revision < j.revision ORDER BY p.revision DESC LIMIT 1), 3) = 4"
                          " FROM jobs j WHERE j.id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    ASSERT(found);
    job_read_row(rows, arena, ret_job);
    *ret_was_bad = db_rows_int64(rows, JOB_COLUMN_COUNT) != 0;
    return true;
}

bool notice_emit_job(struct catalog *catalog, enum notice_event event, const char *job_id,
                     int64_t now_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct db_value values[] = {db_text(job_id), db_int64((int64_t)notice_bits_of(event))};
    struct catalog_list wanted = {0};
    TRY(notice_list_wanted(catalog,
                           "SELECT " NOTIFICATION_COLUMNS
                           " FROM jobs j CROSS JOIN notifications n CROSS JOIN subscriptions u"
                           " WHERE j.id = $1 AND n.organization_id = j.organization_id"
                           " AND n.deleted_at_ms = 0 AND n.events & $2 <> 0"
                           " AND n.app_id IN ('', j.app_id)"
                           " AND coalesce(n.subscription_id, j.subscription_id) = j.subscription_id"
                           " AND u.id = j.subscription_id AND u.kind = 0"
                           " ORDER BY n.created_at_ms, n.id",
                           values, ARRAY_COUNT(values), &arena, &wanted, err));
    if (wanted.count == 0)
        return true;
    struct job job = {0};
    bool was_bad = false;
    TRY(notice_read_job(catalog, job_id, &arena, &job, &was_bad, err));
    if (!notice_job_fits(event, &job))
        return true;
    struct notice_news news = {
        .event = event,
        .organization_id = job.organization_id,
        .app_id = job.app_id,
        .subscription_id = job.subscription_id,
        .job = &job,
        .now_ms = now_ms,
    };
    TRY(notice_emit_to_all(catalog, &wanted, &news, err));
    if (event != NOTICE_JOB_SUCCEEDED || !was_bad)
        return true;
    news.event = NOTICE_RECOVERED;
    return notice_emit_to_all(catalog, &wanted, &news, err);
}

// --- Subscriptions

bool notice_emit_subscription_failed(struct catalog *catalog, const char *subscription_id,
                                     const char *reason, int64_t now_ms, struct err *err)
{
    ASSERT(reason != NULL);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct db_value values[] = {db_text(subscription_id),
                                      db_int64(1 << NOTICE_SUBSCRIPTION_FAILED)};
    struct catalog_list wanted = {0};
    TRY(notice_list_wanted(catalog,
                           "SELECT " NOTIFICATION_COLUMNS
                           " FROM subscriptions u CROSS JOIN notifications n"
                           " WHERE u.id = $1 AND u.kind = 0"
                           " AND n.organization_id = u.organization_id AND n.deleted_at_ms = 0"
                           " AND n.events & $2 <> 0 AND n.app_id IN ('', u.app_id)"
                           " AND coalesce(n.subscription_id, u.id) = u.id"
                           " ORDER BY n.created_at_ms, n.id",
                           values, ARRAY_COUNT(values), &arena, &wanted, err));
    if (wanted.count == 0)
        return true;
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT organization_id, nullif(app_id, '') FROM subscriptions"
                          " WHERE id = $1",
                          values, 1, &rows, &found, err));
    ASSERT(found);
    const struct notice_news news = {
        .event = NOTICE_SUBSCRIPTION_FAILED,
        .organization_id = catalog_row_text(rows, 0, &arena),
        .app_id = catalog_row_text(rows, 1, &arena),
        .subscription_id = subscription_id,
        .reason = reason,
        .now_ms = now_ms,
    };
    return notice_emit_to_all(catalog, &wanted, &news, err);
}

// --- Tests

bool notice_emit_test(struct catalog *catalog, const struct notification *notification,
                      int64_t now_ms, char ret_first_id[CATALOG_UUID_CHARS + 1], struct err *err)
{
    const struct notice_news news = {
        .event = NOTICE_TEST,
        .organization_id = notification->organization_id,
        .app_id = notification->app_id,
        .subscription_id = notification->subscription_id,
        .now_ms = now_ms,
    };
    return notice_emit_to(catalog, notification, &news, ret_first_id, err);
}

// --- Jobs that take too long

#define NOTICE_LATE_MAX INT64_C(50) // each may have many notices

struct notice_telling {
    int64_t now_ms;
    int64_t made_until_ms;
    int64_t limit;
    int64_t count;
};

#define NOTICE_JOB_IS_LATE                                                                         \
    "j.state IN (0, 1, 2) AND j.is_late = 0 AND j.is_visible = 1 AND j.is_restoring = 0"           \
    " AND j.created_at_ms <= $1"

static bool notice_find_late(struct catalog *catalog, int64_t made_until_ms, int64_t limit,
                             struct arena *arena, struct catalog_list *ret_ids, struct err *err)
{
    const struct db_value values[] = {db_int64(made_until_ms), db_int64(limit)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT j.id FROM jobs j WHERE " NOTICE_JOB_IS_LATE
                 " ORDER BY j.created_at_ms LIMIT $2",
                 values, ARRAY_COUNT(values), &rows, err));
    while (db_rows_next(rows, err)) {
        const char **id = catalog_list_add(ret_ids, arena, sizeof *id);
        *id = catalog_row_text(rows, 0, arena);
    }
    return err->kind == ERR_NONE;
}

static bool notice_tell_late_body(struct catalog *catalog, void *context, struct err *err)
{
    struct notice_telling *telling = context;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct catalog_list list = {0};
    TRY(notice_find_late(catalog, telling->made_until_ms, telling->limit, &arena, &list, err));
    const char *const *ids = list.items;
    for (size_t i = 0; i < list.count; i++) {
        const struct db_value values[] = {db_text(ids[i])};
        TRY(db_exec(catalog->db, "UPDATE jobs SET is_late = 1 WHERE id = $1", values,
                    ARRAY_COUNT(values), NULL, err));
        TRY(notice_emit_job(catalog, NOTICE_LATE, ids[i], telling->now_ms, err));
    }
    telling->count = (int64_t)list.count;
    return true;
}

bool notice_tell_late(struct catalog *catalog, int64_t now_ms, int64_t late_ms, int64_t limit,
                      int64_t *ret_count, struct err *err)
{
    ASSERT(limit > 0);
    ASSERT(limit <= NOTICE_LATE_MAX);
    // Almost always none is: that is found out without the write lock.
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct catalog_list some = {0};
    struct notice_telling telling = {
        .now_ms = now_ms, .made_until_ms = now_ms - late_ms, .limit = limit};
    TRY(notice_find_late(catalog, telling.made_until_ms, 1, &arena, &some, err));
    if (some.count > 0)
        TRY(catalog_run(catalog, notice_tell_late_body, &telling, err));
    *ret_count = telling.count;
    return true;
}
