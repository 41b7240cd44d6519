// SPDX-License-Identifier: Apache-2.0
// The id of a shared request is a keyed function of its key and a generation: who asks looks at
// generation 0, 1, ... until one can be used or is not there yet.
#include "catalog/requests.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/subscriptions_internal.h"

#define REQUEST_TEXT_BYTES_MAX ((size_t)16 << 20)

enum request_limits {
    REQUEST_GENERATIONS_MAX = 10000,
    // Jobs that somebody waits for go before all windows: so one organization may not have many.
    REQUEST_AWAITED_MAX = 256,
    // Each may become as large as the lake: so one organization may not order any number of them.
    REQUEST_EXPORTS_MAX = 1000,
    REQUEST_PREVIEW_DAYS = 1,
    REQUEST_EXPORT_DAYS = 30,
};

struct request_making {
    const struct request_spec *spec;
    struct buf document;
    char id[CATALOG_UUID_CHARS + 1];
    bool is_there; // a shared one
};

static void request_making_clear(struct request_making *making)
{
    buf_clear(&making->document);
}

// --- Ids

static void request_make_id(const struct job_key *key, const struct request_spec *spec,
                            int generation, char ret_id[CATALOG_UUID_CHARS + 1])
{
    struct buf name CLEANUP(buf_clear) = {0};
    buf_init(&name, REQUEST_TEXT_BYTES_MAX);
    buf_append_format(&name, "request|%d|%s|%s|%d|", (int)spec->kind, spec->organization_id,
                      spec->app_id == NULL ? "" : spec->app_id, generation);
    buf_append_text(&name, spec->shared_key);
    ASSERT(!name.overflowed);
    job_derive_id(key, buf_slice(&name), ret_id);
}

// *ret_is_known: there is one of the id; *ret_is_usable: who asks now may have it. One whose files
// expired and could not be restored, for which it has a reason, is as good as FAILED.
static bool request_look(struct catalog *catalog, const char *id, bool *ret_is_known,
                         bool *ret_is_usable, struct err *err)
{
    const struct db_value values[] = {db_text(id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(catalog_query_row(catalog,
                          "SELECT u.status = 1 AND (SELECT j.state <> 4"
                          "  AND NOT (j.state = 3 AND j.is_expired = 1 AND j.reason IS NOT NULL)"
                          "  FROM jobs j"
                          "  WHERE j.subscription_id = u.id ORDER BY j.revision DESC LIMIT 1)"
                          " FROM subscriptions u WHERE u.id = $1",
                          values, ARRAY_COUNT(values), &rows, ret_is_known, err));
    *ret_is_usable = *ret_is_known && db_rows_int64(rows, 0) != 0;
    return true;
}

static bool request_choose_id(struct catalog *catalog, const struct job_key *key,
                              struct request_making *making, struct err *err)
{
    if (making->spec->shared_key == NULL) {
        catalog_new_uuid(rng_system(), making->id);
        return true;
    }
    for (int i = 0; i < REQUEST_GENERATIONS_MAX; i++) {
        bool is_known = false;
        request_make_id(key, making->spec, i, making->id);
        TRY(request_look(catalog, making->id, &is_known, &making->is_there, err));
        if (!is_known || making->is_there)
            return true;
    }
    return err_set(err, ERR_UNAVAILABLE, "too many requests of one kind");
}

// --- Making

static enum job_priority request_priority(const struct request_spec *spec)
{
    return spec->is_awaited ? JOB_PRIORITY_REQUEST : JOB_PRIORITY_BACKFILL;
}

static bool request_check_room(struct catalog *catalog, const struct request_spec *spec,
                               struct err *err)
{
    if (!spec->is_awaited && spec->kind != SUBSCRIPTION_CUSTOM_EXPORT)
        return true; // made ahead, by ourselves
    const enum job_priority priority = request_priority(spec);
    const struct db_value values[] = {db_text(spec->organization_id), db_int64((int64_t)priority)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM jobs j JOIN subscriptions s"
                            " ON s.id = j.subscription_id AND s.kind > 0"
                            " WHERE j.state = 0 AND j.priority = $2 AND j.organization_id = $1",
                            values, ARRAY_COUNT(values), &count, err));
    if (count >= (spec->is_awaited ? REQUEST_AWAITED_MAX : REQUEST_EXPORTS_MAX))
        return err_set(err, ERR_UNAVAILABLE, "too many requests wait");
    return true;
}

// The mark of the next window is at the end of time: no window is ever due.
static bool request_insert_rows(struct catalog *catalog, const struct request_making *making,
                                struct err *err)
{
    const struct request_spec *spec = making->spec;
    const struct db_value values[] = {
        db_text(making->id),           db_text(spec->organization_id),
        db_text(spec->app_id),         db_int64((int64_t)spec->report->cadence),
        db_int64(spec->now_ms),        db_int64(spec->start_ms),
        db_int64((int64_t)spec->kind), db_int64(INT64_MAX),
    };
    TRY(db_exec(catalog->db,
                "INSERT INTO subscriptions(id, organization_id, app_id, version, status,"
                " duplicate_key, cadence, created_at_ms, live_from_ms, scheduled_to_ms,"
                " next_end_ms, kind)"
                " VALUES($1, $2, coalesce($3, ''), 1, 1, '', $4, $5, $6, $6, $8, $7)",
                values, ARRAY_COUNT(values), NULL, err));
    const struct subscription_version_row version = {
        .subscription_id = making->id,
        .version = 1,
        .cadence = spec->report->cadence,
        .topic_id = spec->topic_id,
        .document = buf_slice(&making->document),
        .now_ms = spec->now_ms,
    };
    return subscription_insert_version(catalog, &version, err);
}

static bool request_insert_job(struct catalog *catalog, const struct job_key *key,
                               const struct request_making *making, struct err *err)
{
    const struct request_spec *spec = making->spec;
    const struct job_row row = {
        .subscription_id = making->id,
        .organization_id = spec->organization_id,
        .app_id = spec->app_id,
        .subscription_version = 1,
        .topic_id = spec->topic_id,
        .start_ms = spec->start_ms,
        .end_ms = spec->end_ms,
        .kind = JOB_BACKFILL,
        .priority = request_priority(spec),
        .is_visible = spec->kind != SUBSCRIPTION_PREVIEW,
        .bound_seq = -1,
        .now_ms = spec->now_ms,
    };
    bool is_created = false;
    TRY(job_insert(catalog, key, &row, &is_created, err));
    ASSERT(is_created);
    return true;
}

// What was begun for nobody has somebody who waits now.
static bool request_hurry(struct catalog *catalog, const struct request_making *making,
                          struct err *err)
{
    if (!making->spec->is_awaited)
        return true;
    const struct db_value values[] = {db_text(making->id), db_int64(JOB_PRIORITY_REQUEST)};
    return db_exec(catalog->db,
                   "UPDATE jobs SET priority = $2"
                   " WHERE subscription_id = $1 AND state = 0 AND priority <> $2",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool request_create_body(struct catalog *catalog, void *context, struct err *err)
{
    struct request_making *making = context;
    const struct request_spec *spec = making->spec;
    struct job_key key;
    TRY(job_key_load(catalog, &key, err));
    TRY(request_choose_id(catalog, &key, making, err));
    if (making->is_there)
        return request_hurry(catalog, making, err);
    TRY(request_check_room(catalog, spec, err));
    TRY(request_insert_rows(catalog, making, err));
    TRY(request_insert_job(catalog, &key, making, err));
    if (spec->kind == SUBSCRIPTION_PREVIEW) // leaves nothing that a client sees
        return true;
    const struct audit_change change = {
        .organization_id = spec->organization_id,
        .action = "export.create",
        .object_id = making->id,
        .is_creation = true,
    };
    return audit_record(catalog, &change, err);
}

bool request_create(struct catalog *catalog, const struct request_spec *spec, struct arena *arena,
                    struct request *ret_request, struct err *err)
{
    ASSERT(spec->kind != SUBSCRIPTION_SCHEDULED);
    ASSERT(spec->start_ms < spec->end_ms);
    struct request_making making CLEANUP(request_making_clear) = {0};
    making.spec = spec;
    buf_init(&making.document, REQUEST_TEXT_BYTES_MAX);
    report_store(spec->report, &making.document);
    TRY(buf_check(&making.document, err));
    TRY(catalog_run(catalog, request_create_body, &making, err));
    const struct request_scope scope = {
        .kind = spec->kind,
        .organization_id = spec->organization_id,
        .app_id = spec->app_id,
        .with_organization = true,
    };
    return request_get(catalog, &scope, slice_text(making.id), arena, ret_request, err);
}

// --- Reading

bool request_get(struct catalog *catalog, const struct request_scope *scope, struct slice id,
                 struct arena *arena, struct request *ret_request, struct err *err)
{
    const struct db_value values[] = {
        db_slice(id),
        db_text(scope->organization_id),
        db_text(scope->app_id),
        db_int64((int64_t)scope->kind),
        db_int64(scope->with_organization ? 1 : 0),
    };
    struct request request = {.kind = scope->kind};
    {
        struct db_rows *rows CLEANUP(db_rows_close) = NULL;
        bool found = false;
        TRY(catalog_query_row(catalog,
                              "SELECT id, organization_id, nullif(app_id, ''), created_at_ms"
                              " FROM subscriptions"
                              " WHERE id = $1 AND organization_id = $2 AND kind = $4"
                              " AND (app_id = '' AND $5 = 1"
                              "  OR app_id <> '' AND app_id = coalesce($3, app_id))",
                              values, ARRAY_COUNT(values), &rows, &found, err));
        if (!found)
            return err_set(err, ERR_NOT_FOUND, "Request not found");
        request.id = catalog_row_text(rows, 0, arena);
        request.organization_id = catalog_row_text(rows, 1, arena);
        request.app_id = catalog_row_text(rows, 2, arena);
        request.created_at_ms = db_rows_int64(rows, 3);
    }
    TRY(job_get_last(catalog, request.id, arena, &request.job, err));
    *ret_request = request;
    return true;
}

bool request_get_manifest(struct catalog *catalog, const char *id, struct arena *arena,
                          const char **ret_manifest, struct err *err)
{
    const struct db_value values[] = {db_text(id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT manifest FROM jobs WHERE subscription_id = $1"
                          " ORDER BY revision DESC LIMIT 1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "Request not found");
    *ret_manifest = catalog_row_text(rows, 0, arena);
    return true;
}

// --- Ending

bool request_release(struct catalog *catalog, const char *id, struct err *err)
{
    const struct db_value values[] = {db_text(id)};
    return db_exec(catalog->db, "UPDATE subscriptions SET status = 3 WHERE id = $1 AND kind > 0",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool request_find_old(struct catalog *catalog, int64_t now_ms, int64_t limit,
                             struct arena *arena, struct catalog_list *ret_ids, struct err *err)
{
    const struct db_value values[] = {
        db_int64(now_ms - REQUEST_PREVIEW_DAYS * CIVIL_DAY_MS),
        db_int64(now_ms - REQUEST_EXPORT_DAYS * CIVIL_DAY_MS),
        db_int64(limit),
    };
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT u.id FROM subscriptions u WHERE u.kind > 0 AND u.created_at_ms < $1"
                 " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.subscription_id = u.id"
                 "  AND (j.state < 3 OR j.file_count > 0"
                 "   OR j.finished_at_ms >= CASE u.kind WHEN 3 THEN $1 ELSE $2 END"
                 "   OR j.expires_at_ms >= CASE u.kind WHEN 3 THEN $1 ELSE $2 END))"
                 " ORDER BY u.created_at_ms LIMIT $3",
                 values, ARRAY_COUNT(values), &rows, err));
    while (db_rows_next(rows, err)) {
        const char **id = catalog_list_add(ret_ids, arena, sizeof *id);
        *id = catalog_row_text(rows, 0, arena);
    }
    return err->kind == ERR_NONE;
}

// A restore may have begun since the look.
static bool request_remove(struct catalog *catalog, const char *id, struct err *err)
{
    static const char *const statements[] = {
        "DELETE FROM jobs WHERE subscription_id = $1",
        "DELETE FROM subscription_versions WHERE subscription_id = $1",
        "DELETE FROM subscriptions WHERE id = $1 AND kind > 0",
    };
    const struct db_value values[] = {db_text(id)};
    int64_t busy_count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM jobs"
                            " WHERE subscription_id = $1 AND (state < 3 OR file_count > 0)",
                            values, ARRAY_COUNT(values), &busy_count, err));
    for (size_t i = 0; i < ARRAY_COUNT(statements) && busy_count == 0; i++)
        TRY(db_exec(catalog->db, statements[i], values, ARRAY_COUNT(values), NULL, err));
    return true;
}

static bool request_remove_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct catalog_list *list = context;
    const char *const *ids = list->items;
    for (size_t i = 0; i < list->count; i++)
        TRY(request_remove(catalog, ids[i], err));
    return true;
}

bool request_remove_old(struct catalog *catalog, int64_t now_ms, int64_t limit, int64_t *ret_count,
                        struct err *err)
{
    ASSERT(limit > 0);
    ASSERT(limit <= JOB_ROWS_PER_TRANSACTION);
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct catalog_list ids = {0};
    TRY(request_find_old(catalog, now_ms, limit, &arena, &ids, err));
    if (ids.count > 0)
        TRY(catalog_run(catalog, request_remove_body, &ids, err));
    *ret_count = (int64_t)ids.count;
    return true;
}
