// SPDX-License-Identifier: Apache-2.0
#include "catalog/subscriptions.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/leases.h"
#include "catalog/notices_internal.h"
#include "catalog/subscriptions_internal.h"

// Far above what an API body of at most 64 KiB grows to when its filter is kept with types as well.
#define SUBSCRIPTION_TEXT_BYTES_MAX ((size_t)16 << 20)

// For `FROM subscriptions s JOIN subscription_versions v`, in the order of subscription_read_row.
#define SUBSCRIPTION_COLUMNS                                                                       \
    "s.id, s.organization_id, nullif(s.app_id, ''), s.kind, v.version, s.is_paused,"               \
    " s.change_count, s.status, s.reason, v.report, v.topic_id, s.created_at_ms,"                  \
    " s.deactivated_at_ms, s.live_from_ms, s.scheduled_to_ms, s.probed_at_ms, s.probe_failure"
#define SUBSCRIPTION_LATEST                                                                        \
    "subscriptions s JOIN subscription_versions v"                                                 \
    " ON v.subscription_id = s.id AND v.version = s.version"

// $2 organization, $3 app or null, $4 whether what is of the whole organization is seen as well.
#define SUBSCRIPTION_IS_IN_SCOPE                                                                   \
    "s.organization_id = $2 AND s.kind = 0"                                                        \
    " AND (s.app_id <> '' AND s.app_id = coalesce($3, s.app_id) OR s.app_id = '' AND $4 = 1)"

const char subscription_deactivated_reason[] = "subscription was deactivated";

const char *subscription_status_name(enum subscription_status status)
{
    switch (status) {
    case SUBSCRIPTION_PENDING:
        return "PENDING";
    case SUBSCRIPTION_ACTIVE:
        return "ACTIVE";
    case SUBSCRIPTION_FAILED:
        return "FAILED";
    case SUBSCRIPTION_INACTIVE:
        return "INACTIVE";
    }
    check_failed("status of a subscription", __FILE__, __LINE__);
    return NULL;
}

static enum subscription_status subscription_status_from(int64_t number)
{
    ASSERT(number >= SUBSCRIPTION_PENDING);
    ASSERT(number <= SUBSCRIPTION_INACTIVE);
    return (enum subscription_status)number;
}

static enum subscription_kind subscription_kind_from(int64_t number)
{
    ASSERT(number >= SUBSCRIPTION_SCHEDULED);
    ASSERT(number <= SUBSCRIPTION_PREVIEW);
    return (enum subscription_kind)number;
}

static bool subscription_read_row(const struct db_rows *rows, struct arena *arena,
                                  struct subscription *ret_subscription, struct err *err)
{
    struct subscription subscription = {
        .id = catalog_row_text(rows, 0, arena),
        .organization_id = catalog_row_text(rows, 1, arena),
        .app_id = catalog_row_text(rows, 2, arena),
        .kind = subscription_kind_from(db_rows_int64(rows, 3)),
        .version = db_rows_int64(rows, 4),
        .is_paused = db_rows_int64(rows, 5) != 0,
        .change_count = db_rows_int64(rows, 6),
        .status = subscription_status_from(db_rows_int64(rows, 7)),
        .reason = catalog_row_text(rows, 8, arena),
        .topic_id = db_rows_int64(rows, 10),
        .created_at_ms = db_rows_int64(rows, 11),
        .deactivated_at_ms = db_rows_int64(rows, 12),
        .live_from_ms = db_rows_int64(rows, 13),
        .scheduled_to_ms = db_rows_int64(rows, 14),
        .probed_at_ms = db_rows_int64(rows, 15),
        .probe_failure = catalog_row_text(rows, 16, arena),
    };
    if (!report_load(db_rows_text(rows, 9), arena, &subscription.report, err))
        return err_wrap(err, "subscription %s", subscription.id);
    *ret_subscription = subscription;
    return true;
}

bool subscription_set_not_found(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "Subscription not found");
}

bool subscription_is_live(enum subscription_status status)
{
    return status == SUBSCRIPTION_PENDING || status == SUBSCRIPTION_ACTIVE;
}

// --- Making

bool subscription_texts_init(struct subscription_texts *texts, const struct report *report,
                             struct err *err)
{
    buf_init(&texts->document, SUBSCRIPTION_TEXT_BYTES_MAX);
    buf_init(&texts->duplicate_key, SUBSCRIPTION_TEXT_BYTES_MAX);
    report_store(report, &texts->document);
    report_append_duplicate_key(report, &texts->duplicate_key);
    TRY(buf_check(&texts->document, err));
    return buf_check(&texts->duplicate_key, err);
}

void subscription_texts_clear(struct subscription_texts *texts)
{
    buf_clear(&texts->document);
    buf_clear(&texts->duplicate_key);
}

bool subscription_check_duplicate(struct catalog *catalog,
                                  const struct subscription_duplicate *duplicate, struct err *err)
{
    const struct db_value values[] = {db_text(duplicate->organization_id),
                                      db_text(duplicate->app_id), db_slice(duplicate->key),
                                      db_text(duplicate->id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT id FROM subscriptions WHERE organization_id = $1"
                          " AND app_id = coalesce($2, '') AND kind = 0 AND status IN (0, 1)"
                          " AND duplicate_key = $3 AND id <> coalesce($4, '')"
                          " ORDER BY created_at_ms, id",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return true;
    const struct slice id = db_rows_text(rows, 0);
    return err_set(err, ERR_CONFLICT, "Duplicate of subscription %.*s", (int)id.size_bytes,
                   slice_chars(id));
}

bool subscription_insert_version(struct catalog *catalog,
                                 const struct subscription_version_row *row, struct err *err)
{
    const struct db_value values[] = {
        db_text(row->subscription_id),   db_int64(row->version),  db_int64(row->from_ms),
        db_int64((int64_t)row->cadence), db_int64(row->topic_id), db_slice(row->document),
        db_int64(row->now_ms),
    };
    return db_exec(catalog->db,
                   "INSERT INTO subscription_versions(subscription_id, version, from_ms, cadence,"
                   " topic_id, report, created_at_ms) VALUES($1, $2, $3, $4, $5, $6, $7)",
                   values, ARRAY_COUNT(values), NULL, err);
}

struct subscription_creation {
    const struct subscription_request *request;
    const struct subscription_texts *texts;
    char id[CATALOG_UUID_CHARS + 1];
    int64_t live_from_ms;
};

static bool subscription_check_limit(struct catalog *catalog,
                                     const struct subscription_request *request, struct err *err)
{
    if (request->limit == 0)
        return true;
    const struct db_value values[] = {db_text(request->organization_id), db_text(request->app_id)};
    int64_t count = 0;
    TRY(catalog_query_int64(
        catalog,
        "SELECT count(*) FROM subscriptions"
        " WHERE organization_id = $1 AND app_id = coalesce($2, '') AND status IN (0, 1)"
        " AND kind = 0",
        values, ARRAY_COUNT(values), &count, err));
    if (count >= request->limit)
        return err_set(err, ERR_LIMIT, "Subscription limit reached: %" PRId64, request->limit);
    return true;
}

static bool subscription_check_new(struct catalog *catalog,
                                   const struct subscription_creation *creation, struct err *err)
{
    const struct subscription_duplicate duplicate = {
        .organization_id = creation->request->organization_id,
        .app_id = creation->request->app_id,
        .key = buf_slice(&creation->texts->duplicate_key),
    };
    TRY(subscription_check_limit(catalog, creation->request, err));
    return subscription_check_duplicate(catalog, &duplicate, err);
}

static bool subscription_insert(struct catalog *catalog,
                                const struct subscription_creation *creation, struct err *err)
{
    const struct subscription_request *request = creation->request;
    const enum cadence cadence = request->report->cadence;
    const struct db_value values[] = {
        db_text(creation->id),
        db_text(request->organization_id),
        db_text(request->app_id),
        db_slice(buf_slice(&creation->texts->duplicate_key)),
        db_int64((int64_t)cadence),
        db_int64(request->now_ms),
        db_int64(creation->live_from_ms),
        db_int64(creation->live_from_ms + cadence_ms(cadence)),
    };
    TRY(db_exec(catalog->db,
                "INSERT INTO subscriptions(id, organization_id, app_id, version, status,"
                " duplicate_key, cadence, created_at_ms, live_from_ms, scheduled_to_ms,"
                " next_end_ms) VALUES($1, $2, coalesce($3, ''), 1, 0, $4, $5, $6, $7, $7, $8)",
                values, ARRAY_COUNT(values), NULL, err));
    // The first version is also for the windows before it, which a backfill may ask for.
    const struct subscription_version_row row = {
        .subscription_id = creation->id,
        .version = 1,
        .cadence = cadence,
        .topic_id = request->topic_id,
        .document = buf_slice(&creation->texts->document),
        .now_ms = request->now_ms,
    };
    return subscription_insert_version(catalog, &row, err);
}

// Its bound is 0: it reads what is sealed when it is claimed.
static bool subscription_insert_sample(struct catalog *catalog,
                                       const struct subscription_creation *creation,
                                       struct err *err)
{
    const struct subscription_request *request = creation->request;
    const enum cadence cadence = request->report->cadence;
    const int64_t start_ms = window_last_complete(cadence, request->now_ms);
    const struct job_row row = {
        .subscription_id = creation->id,
        .organization_id = request->organization_id,
        .app_id = request->app_id,
        .subscription_version = 1,
        .topic_id = request->topic_id,
        .start_ms = start_ms,
        .end_ms = start_ms + cadence_ms(cadence),
        .revision = JOB_SAMPLE_REVISION,
        .kind = JOB_SAMPLE,
        .priority = JOB_PRIORITY_SAMPLE,
        .now_ms = request->now_ms,
    };
    struct job_key key;
    bool is_created = false;
    TRY(job_key_load(catalog, &key, err));
    TRY(job_insert(catalog, &key, &row, &is_created, err));
    ASSERT(is_created);
    return true;
}

static bool subscription_create_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct subscription_creation *creation = context;
    TRY(subscription_check_new(catalog, creation, err));
    TRY(subscription_insert(catalog, creation, err));
    TRY(subscription_insert_sample(catalog, creation, err));
    const struct audit_change change = {
        .organization_id = creation->request->organization_id,
        .action = "subscription.create",
        .object_id = creation->id,
        .is_creation = true,
    };
    return audit_record(catalog, &change, err);
}

bool subscription_create(struct catalog *catalog, const struct subscription_request *request,
                         struct arena *arena, struct subscription *ret_subscription,
                         struct err *err)
{
    ASSERT(request->limit >= 0);
    struct subscription_texts texts CLEANUP(subscription_texts_clear) = {0};
    TRY(subscription_texts_init(&texts, request->report, err));
    struct subscription_creation creation = {.request = request, .texts = &texts};
    creation.live_from_ms = window_first_ending_after(request->report->cadence, request->now_ms);
    catalog_new_uuid(rng_system(), creation.id);
    TRY(catalog_run(catalog, subscription_create_body, &creation, err));
    return subscription_get_any(catalog, creation.id, 0, arena, ret_subscription, err);
}

// --- Reading

bool subscription_get(struct catalog *catalog, const struct subscription_scope *scope,
                      struct slice id, struct arena *arena, struct subscription *ret_subscription,
                      struct err *err)
{
    const struct db_value values[] = {db_slice(id), db_text(scope->organization_id),
                                      db_text(scope->app_id),
                                      db_int64(scope->sees_organization ? 1 : 0)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT " SUBSCRIPTION_COLUMNS " FROM " SUBSCRIPTION_LATEST
                          " WHERE s.id = $1 AND " SUBSCRIPTION_IS_IN_SCOPE,
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return subscription_set_not_found(err);
    return subscription_read_row(rows, arena, ret_subscription, err);
}

bool subscription_get_any(struct catalog *catalog, const char *id, int64_t version,
                          struct arena *arena, struct subscription *ret_subscription,
                          struct err *err)
{
    const struct db_value values[] = {db_text(id), db_int64(version)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT " SUBSCRIPTION_COLUMNS
                          " FROM subscriptions s JOIN subscription_versions v"
                          " ON v.subscription_id = s.id"
                          " AND v.version = CASE $2 WHEN 0 THEN s.version ELSE $2 END"
                          " WHERE s.id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return subscription_set_not_found(err);
    return subscription_read_row(rows, arena, ret_subscription, err);
}

bool subscription_list(struct catalog *catalog, const struct subscription_scope *scope,
                       struct arena *arena, struct subscription **ret_subscriptions,
                       size_t *ret_count, struct err *err)
{
    ASSERT(scope->app_id != NULL || scope->sees_organization);
    const struct db_value values[] = {db_text(scope->organization_id), db_text(scope->app_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT " SUBSCRIPTION_COLUMNS " FROM " SUBSCRIPTION_LATEST
                 " WHERE s.organization_id = $1 AND s.app_id = coalesce($2, s.app_id)"
                 " AND s.status <> 3 AND s.kind = 0 ORDER BY s.created_at_ms, s.id",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct subscription *subscription = catalog_list_add(&list, arena, sizeof *subscription);
        TRY(subscription_read_row(rows, arena, subscription, err));
    }
    TRY(err->kind == ERR_NONE);
    *ret_subscriptions = list.items;
    *ret_count = list.count;
    return true;
}

// --- Ending

struct subscription_ending {
    const struct subscription_scope *scope;
    const char *id;
    int64_t now_ms;
    int64_t canceled_count; // of the last transaction
};

static bool subscription_cancel_body(struct catalog *catalog, void *context, struct err *err)
{
    struct subscription_ending *ending = context;
    return job_cancel_pending(catalog, ending->id, subscription_deactivated_reason, ending->now_ms,
                              &ending->canceled_count, err);
}

static bool subscription_record_end(struct catalog *catalog, const char *organization_id,
                                    const char *id, struct err *err)
{
    const struct audit_change change = {
        .organization_id = organization_id,
        .action = "subscription.deactivate",
        .object_id = id,
    };
    return audit_record(catalog, &change, err);
}

static bool subscription_deactivate_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct subscription_ending *ending = context;
    const struct subscription_scope *scope = ending->scope;
    const struct db_value values[] = {
        db_text(ending->id), db_text(scope->organization_id), db_text(scope->app_id),
        db_int64(scope->sees_organization ? 1 : 0), db_int64(ending->now_ms)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE subscriptions AS s SET status = 3, deactivated_at_ms = $5,"
                " change_count = change_count + 1"
                " WHERE s.id = $1 AND s.status <> 3 AND " SUBSCRIPTION_IS_IN_SCOPE,
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return subscription_set_not_found(err);
    TRY(subscription_record_end(catalog, scope->organization_id, ending->id, err));
    return subscription_cancel_body(catalog, context, err);
}

bool subscription_deactivate(struct catalog *catalog, const struct subscription_scope *scope,
                             struct slice id, int64_t now_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct subscription_ending ending = {scope, arena_copy_slice(&arena, id), now_ms, 0};
    TRY(catalog_run(catalog, subscription_deactivate_body, &ending, err));
    while (ending.canceled_count == JOB_ROWS_PER_TRANSACTION) {
        // It is INACTIVE now, whatever happens here: job_claim cancels what is left pending.
        struct err ignored = {0};
        if (!catalog_run(catalog, subscription_cancel_body, &ending, &ignored))
            break;
    }
    return true;
}

// --- The sample's outcome

bool subscription_settle_pending(struct catalog *catalog, const char *id, bool is_active,
                                 const char *reason, int64_t now_ms, struct err *err)
{
    const struct db_value values[] = {
        db_text(id),
        db_int64(is_active ? SUBSCRIPTION_ACTIVE : SUBSCRIPTION_FAILED),
        is_active ? db_null() : db_text(reason),
    };
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE subscriptions SET status = $2, reason = $3 WHERE id = $1 AND status = 0",
                values, ARRAY_COUNT(values), &changed, err));
    return is_active || changed == 0 ||
           notice_emit_subscription_failed(catalog, id, reason, now_ms, err);
}

struct subscription_settlement {
    const char *id;
    bool is_active;
    const char *reason;
    int64_t now_ms;
};

static bool subscription_settle_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct subscription_settlement *settlement = context;
    const struct db_value values[] = {db_text(settlement->id)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog, "SELECT count(*) FROM subscriptions WHERE id = $1", values,
                            ARRAY_COUNT(values), &count, err));
    if (count == 0)
        return subscription_set_not_found(err);
    return subscription_settle_pending(catalog, settlement->id, settlement->is_active,
                                       settlement->reason, settlement->now_ms, err);
}

bool subscription_settle(struct catalog *catalog, const char *id, bool is_active,
                         const char *reason, int64_t now_ms, struct err *err)
{
    ASSERT(is_active || reason != NULL);
    struct subscription_settlement settlement = {id, is_active, reason, now_ms};
    return catalog_run(catalog, subscription_settle_body, &settlement, err);
}
