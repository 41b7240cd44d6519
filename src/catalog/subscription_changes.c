// SPDX-License-Identifier: Apache-2.0
// Changes that a client makes to a subscription: another report from a later window on, pausing,
// resuming.
//
// What was made stays: a new version is for windows that nobody can have made yet.
//
//        window that is open now
//   -----|-------------x-------|-----------------|--------
//        version 1     edit    version 2 (same cadence)
//                                         ... |midnight: version 2 (other cadence)
//
// A version that is still to come is replaced by the next edit, not followed by it: an edit is of
// the whole report, and its cadence decides when all of it acts.
// Upholds INV-9 (docs/invariants.md).
#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/subscriptions_internal.h"

struct subscription_changing {
    const struct subscription_change *change;
    const struct subscription_texts *texts; // of the new report
    struct arena *arena;
    struct subscription subscription; // before, and in the end after
    bool is_changed;
};

// --- Another version

static bool subscription_is_same_report(struct catalog *catalog,
                                        const struct subscription_changing *changing,
                                        bool *ret_is_same, struct err *err)
{
    const struct db_value values[] = {db_text(changing->subscription.id),
                                      db_int64(changing->subscription.version),
                                      db_slice(buf_slice(&changing->texts->document))};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM subscription_versions"
                            " WHERE subscription_id = $1 AND version = $2 AND report = $3",
                            values, ARRAY_COUNT(values), &count, err));
    *ret_is_same = count > 0;
    return true;
}

// The start of the first window that the new version is for. Windows that start before
// scheduled_to_ms have been gone through, even when that was under a clock that ran ahead.
static bool subscription_find_turn(struct catalog *catalog,
                                   const struct subscription_changing *changing,
                                   int64_t *ret_instant_ms, int64_t *ret_from_ms, struct err *err)
{
    const struct subscription_change *change = changing->change;
    const int64_t gone_ms = changing->subscription.scheduled_to_ms - 1;
    const int64_t instant_ms = change->now_ms > gone_ms ? change->now_ms : gone_ms;
    struct subscription_piece piece = {0};
    TRY(subscription_piece_at(catalog, changing->subscription.id, instant_ms, &piece, err));
    const enum cadence step = piece.cadence == change->report->cadence ? piece.cadence
                                                                       : CADENCE_DAILY;
    *ret_instant_ms = instant_ms;
    *ret_from_ms = window_start_of(step, instant_ms) + cadence_ms(step);
    return true;
}

// The scheduler finds a subscription by the cadence and the end of its next window.
static bool subscription_set_next_end(struct catalog *catalog,
                                      const struct subscription *subscription, struct err *err)
{
    struct subscription_piece piece = {0};
    TRY(subscription_piece_at(catalog, subscription->id, subscription->scheduled_to_ms, &piece,
                              err));
    const struct db_value values[] = {db_text(subscription->id), db_int64((int64_t)piece.cadence),
                                      db_int64(cadence_ms(piece.cadence))};
    return db_exec(catalog->db,
                   "UPDATE subscriptions SET cadence = $2, next_end_ms = scheduled_to_ms + $3"
                   " WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool subscription_record_edit(struct catalog *catalog,
                                     const struct subscription *subscription, int64_t version,
                                     int64_t from_ms, struct err *err)
{
    struct buf details CLEANUP(buf_clear) = {0};
    struct json_text json;
    char from[CIVIL_API_CHARS + 1];
    civil_format_api(from_ms, from);
    buf_init(&details, 256);
    json_text_init(&json, &details);
    json_text_open(&json, '{');
    json_text_member_int64(&json, "version", version);
    json_text_member_text(&json, "from", from);
    json_text_close(&json, '}');
    const struct audit_change change = {
        .organization_id = subscription->organization_id,
        .action = "subscription.edit",
        .object_id = subscription->id,
        .details = buf_text(&details),
    };
    return audit_record(catalog, &change, err);
}

static bool subscription_add_version(struct catalog *catalog,
                                     const struct subscription_changing *changing, struct err *err)
{
    const struct subscription_change *change = changing->change;
    const struct subscription *subscription = &changing->subscription;
    int64_t instant_ms = 0;
    int64_t from_ms = 0;
    TRY(subscription_find_turn(catalog, changing, &instant_ms, &from_ms, err));
    const struct db_value to_come[] = {db_text(subscription->id), db_int64(instant_ms)};
    TRY(db_exec(catalog->db,
                "DELETE FROM subscription_versions WHERE subscription_id = $1 AND from_ms > $2",
                to_come, ARRAY_COUNT(to_come), NULL, err));
    const struct subscription_version_row row = {
        .subscription_id = subscription->id,
        .version = subscription->version + 1, // numbers of replaced ones do not come again
        .from_ms = from_ms,
        .cadence = change->report->cadence,
        .topic_id = change->topic_id,
        .document = buf_slice(&changing->texts->document),
        .now_ms = change->now_ms,
    };
    TRY(subscription_insert_version(catalog, &row, err));
    const struct db_value values[] = {db_text(subscription->id), db_int64(row.version),
                                      db_slice(buf_slice(&changing->texts->duplicate_key))};
    TRY(db_exec(catalog->db,
                "UPDATE subscriptions SET version = $2, duplicate_key = $3 WHERE id = $1", values,
                ARRAY_COUNT(values), NULL, err));
    TRY(subscription_set_next_end(catalog, subscription, err));
    return subscription_record_edit(catalog, subscription, row.version, from_ms, err);
}

static bool subscription_edit(struct catalog *catalog, struct subscription_changing *changing,
                              struct err *err)
{
    const struct subscription *subscription = &changing->subscription;
    bool is_same = false;
    TRY(subscription_is_same_report(catalog, changing, &is_same, err));
    if (is_same)
        return true;
    const struct subscription_duplicate duplicate = {
        .organization_id = subscription->organization_id,
        .app_id = subscription->app_id,
        .id = subscription->id,
        .key = buf_slice(&changing->texts->duplicate_key),
    };
    TRY(subscription_check_duplicate(catalog, &duplicate, err));
    changing->is_changed = true;
    return subscription_add_version(catalog, changing, err);
}

// --- Pauses

static bool subscription_begin_pause(struct catalog *catalog,
                                     const struct subscription *subscription, int64_t now_ms,
                                     struct err *err)
{
    const struct db_value values[] = {db_text(subscription->id), db_int64(now_ms),
                                      db_int64(INT64_MAX)};
    TRY(db_exec(catalog->db,
                "INSERT INTO subscription_pauses(subscription_id, from_ms, to_ms)"
                " VALUES($1, $2, $3) ON CONFLICT(subscription_id, from_ms)"
                " DO UPDATE SET to_ms = excluded.to_ms",
                values, ARRAY_COUNT(values), NULL, err));
    return db_exec(catalog->db, "UPDATE subscriptions SET is_paused = 1 WHERE id = $1", values, 1,
                   NULL, err);
}

// Windows that were passed over stay left out, whatever the clock says now. A pause in which no
// hour ended left out nothing and is forgotten, so there is at most one per hour.
static bool subscription_end_pause(struct catalog *catalog, const struct subscription *subscription,
                                   int64_t now_ms, struct err *err)
{
    const int64_t gone_ms = subscription->scheduled_to_ms;
    const struct db_value values[] = {db_text(subscription->id),
                                      db_int64(now_ms > gone_ms ? now_ms : gone_ms),
                                      db_int64(INT64_MAX)};
    TRY(db_exec(catalog->db,
                "UPDATE subscription_pauses SET to_ms = $2"
                " WHERE subscription_id = $1 AND to_ms = $3",
                values, ARRAY_COUNT(values), NULL, err));
    TRY(db_exec(catalog->db,
                "DELETE FROM subscription_pauses WHERE subscription_id = $1"
                " AND to_ms / 3600000 <= from_ms / 3600000",
                values, 1, NULL, err));
    return db_exec(catalog->db, "UPDATE subscriptions SET is_paused = 0 WHERE id = $1", values, 1,
                   NULL, err);
}

static bool subscription_set_paused(struct catalog *catalog, struct subscription_changing *changing,
                                    struct err *err)
{
    const struct subscription *subscription = &changing->subscription;
    const bool pauses = changing->change->pausing == SUBSCRIPTION_PAUSE;
    if (subscription->is_paused == pauses)
        return true;
    changing->is_changed = true;
    const int64_t now_ms = changing->change->now_ms;
    TRY(pauses ? subscription_begin_pause(catalog, subscription, now_ms, err)
               : subscription_end_pause(catalog, subscription, now_ms, err));
    const struct audit_change change = {
        .organization_id = subscription->organization_id,
        .action = pauses ? "subscription.pause" : "subscription.resume",
        .object_id = subscription->id,
    };
    return audit_record(catalog, &change, err);
}

// --- All of it at once

static bool subscription_change_find(struct catalog *catalog,
                                     struct subscription_changing *changing, struct err *err)
{
    const struct subscription_change *change = changing->change;
    struct subscription *subscription = &changing->subscription;
    TRY(subscription_get(catalog, &change->scope, change->id, changing->arena, subscription, err));
    if (change->change_count >= 0 && change->change_count != subscription->change_count)
        return err_set(err, ERR_CANCELED, "Subscription was changed by another request");
    if (!subscription_is_live(subscription->status))
        return err_set(err, ERR_CONFLICT, "Subscription is not active");
    return true;
}

// A bucket that was named by an edit is tried soon; what is no bucket is not tried at all.
static bool subscription_watch_bucket(struct catalog *catalog, const char *id,
                                      const struct report *report, struct err *err)
{
    const struct db_value values[] = {db_text(id),
                                      db_int64(report->destination == REPORT_CLOUD ? 1 : 0)};
    return db_exec(catalog->db,
                   "UPDATE subscriptions SET probed_at_ms = $2, probe_failure = NULL WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool subscription_change_body(struct catalog *catalog, void *context, struct err *err)
{
    struct subscription_changing *changing = context;
    TRY(subscription_change_find(catalog, changing, err));
    if (changing->change->report != NULL)
        TRY(subscription_edit(catalog, changing, err));
    if (changing->change->pausing != SUBSCRIPTION_KEEP)
        TRY(subscription_set_paused(catalog, changing, err));
    if (!changing->is_changed)
        return true;
    const char *id = changing->subscription.id;
    if (changing->change->report != NULL)
        TRY(subscription_watch_bucket(catalog, id, changing->change->report, err));
    const struct db_value values[] = {db_text(id)};
    TRY(db_exec(catalog->db,
                "UPDATE subscriptions SET change_count = change_count + 1 WHERE id = $1", values,
                ARRAY_COUNT(values), NULL, err));
    return subscription_get_any(catalog, id, 0, changing->arena, &changing->subscription, err);
}

bool subscription_change(struct catalog *catalog, const struct subscription_change *change,
                         struct arena *arena, struct subscription *ret_subscription,
                         struct err *err)
{
    struct subscription_texts texts CLEANUP(subscription_texts_clear) = {0};
    if (change->report != NULL)
        TRY(subscription_texts_init(&texts, change->report, err));
    struct subscription_changing changing = {.change = change, .texts = &texts, .arena = arena};
    TRY(catalog_run(catalog, subscription_change_body, &changing, err));
    *ret_subscription = changing.subscription;
    return true;
}
