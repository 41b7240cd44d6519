// SPDX-License-Identifier: Apache-2.0
// Names, and what came of a claim (notices_claim.c): settled, or released when its holder died.
// Upholds INV-21 (docs/invariants.md).
#include "catalog/notices.h"

#include "base/check.h"
#include "base/mem.h"
#include "catalog/notices_internal.h"

const char notice_interrupted_reason[] = "the sender was interrupted";

// --- Names

static const char *const notice_event_names[] = {
    [NOTICE_JOB_SUCCEEDED] = "job_succeeded",
    [NOTICE_JOB_FAILED] = "job_failed",
    [NOTICE_LATE] = "late",
    [NOTICE_RECOVERED] = "recovered",
    [NOTICE_SUBSCRIPTION_FAILED] = "subscription_failed",
    [NOTICE_TEST] = "test",
};
static_assert(ARRAY_COUNT(notice_event_names) == NOTICE_EVENT_COUNT + 1, "and the test");

const char *notice_event_name(enum notice_event event)
{
    ASSERT((size_t)event < ARRAY_COUNT(notice_event_names));
    return notice_event_names[event];
}

bool notice_event_parse(struct slice name, enum notice_event *ret_event)
{
    for (size_t i = 0; i < NOTICE_EVENT_COUNT; i++) {
        if (slice_equal_text(name, notice_event_names[i])) {
            *ret_event = (enum notice_event)i;
            return true;
        }
    }
    return false;
}

const char *notice_state_name(enum notice_state state)
{
    switch (state) {
    case NOTICE_WAITING:
        return "WAITING";
    case NOTICE_SENT:
        return "SENT";
    case NOTICE_GIVEN_UP:
        return "GIVEN_UP";
    }
    check_failed("state of a notice", __FILE__, __LINE__);
    return NULL;
}

bool notice_insert_try(struct catalog *catalog, int64_t number, const struct notice_result *result,
                       struct err *err)
{
    const struct db_value values[] = {db_int64(number), db_int64(result->at_ms),
                                      db_int64(result->took_ms), db_int64(result->status),
                                      db_text(result->reason)};
    return db_exec(catalog->db,
                   "INSERT INTO notice_tries(notification_id, notice, number, at_ms, took_ms,"
                   " status, reason) SELECT notification_id, id, try_count, $2, $3, $4, $5"
                   " FROM notices WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

// --- Settling

struct notice_settling {
    const struct notice *notice;
    const struct notice_result *result;
};

static bool notice_settle_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct notice *notice = ((const struct notice_settling *)context)->notice;
    const struct notice_result *result = ((const struct notice_settling *)context)->result;
    const bool is_over = result->state != NOTICE_WAITING;
    const struct db_value values[] = {
        db_int64(notice->number),
        db_text(notice->claim_id),
        db_int64((int64_t)result->state),
        db_int64(is_over ? 0 : result->next_try_at_ms),
        db_int64(is_over ? result->at_ms + result->took_ms : 0),
    };
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE notices SET state = $3, next_try_at_ms = $4, finished_at_ms = $5,"
                " claim_id = NULL, lease_until_ms = 0"
                " WHERE id = $1 AND claim_id = $2 AND state = 0",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return err_set(err, ERR_CANCELED, "notice %s: the claim is lost", notice->id);
    return notice_insert_try(catalog, notice->number, result, err);
}

bool notice_settle(struct catalog *catalog, const struct notice *notice,
                   const struct notice_result *result, struct err *err)
{
    ASSERT(notice->claim_id != NULL);
    struct notice_settling settling = {notice, result};
    return catalog_run(catalog, notice_settle_body, &settling, err);
}

// --- After a holder's death

struct notice_releasing {
    const char *holder_id;
    int64_t now_ms;
    int64_t pause_ms;
};

static bool notice_find_held(struct catalog *catalog, const char *holder_id, struct arena *arena,
                             struct catalog_list *ret_numbers, struct err *err)
{
    const struct db_value values[] = {db_text(arena_format(arena, "%s:", holder_id))};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT id FROM notices WHERE state = 0 AND claim_id IS NOT NULL"
                 " AND substr(claim_id, 1, length($1)) = $1",
                 values, ARRAY_COUNT(values), &rows, err));
    while (db_rows_next(rows, err)) {
        int64_t *number = catalog_list_add(ret_numbers, arena, sizeof *number);
        *number = db_rows_int64(rows, 0);
    }
    return err->kind == ERR_NONE;
}

static bool notice_release_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct notice_releasing *releasing = context;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct catalog_list list = {0};
    TRY(notice_find_held(catalog, releasing->holder_id, &arena, &list, err));
    const int64_t *numbers = list.items;
    const struct notice_result lost = {.at_ms = releasing->now_ms,
                                       .reason = notice_interrupted_reason};
    for (size_t i = 0; i < list.count; i++) {
        const struct db_value values[] = {db_int64(numbers[i]),
                                          db_int64(releasing->now_ms + releasing->pause_ms)};
        TRY(notice_insert_try(catalog, numbers[i], &lost, err));
        TRY(db_exec(catalog->db,
                    "UPDATE notices SET claim_id = NULL, lease_until_ms = 0, next_try_at_ms = $2"
                    " WHERE id = $1",
                    values, ARRAY_COUNT(values), NULL, err));
    }
    return true;
}

bool notice_release(struct catalog *catalog, const char *holder_id, int64_t now_ms,
                    int64_t pause_ms, struct err *err)
{
    ASSERT(pause_ms >= 0);
    struct notice_releasing releasing = {holder_id, now_ms, pause_ms};
    return catalog_run(catalog, notice_release_body, &releasing, err);
}
