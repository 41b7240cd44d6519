// SPDX-License-Identifier: Apache-2.0
// Claims of notices. Who goes first: organizations with the fewest notices in flight, of them the
// one that was served longest ago; of that one the notification without a notice in flight whose
// next one is due longest. Organizations and notifications are found by skipping from one to the
// next in an index, so a flood of one costs the others nothing.
//
// The search takes no lock. What it found is taken in a write transaction, if the organization has
// as many in flight as the search saw, and else the search begins anew.
// Upholds INV-21 (docs/invariants.md).
#include "base/check.h"
#include "base/hex.h"
#include "base/mem.h"
#include "catalog/notices_internal.h"

enum notice_claim_limits {
    NOTICE_CLAIM_BYTES = 16,
    NOTICE_CLAIM_ATTEMPTS = 100, // each is lost to another who claimed something
};

// --- Searching

// Of a claimed notice c; $1 now, $2 lease. A lease that ends far beyond any from now was given
// under a wrong clock and counts as lapsed.
#define NOTICE_IS_IN_FLIGHT                                                                        \
    "c.state = 0 AND c.claim_id IS NOT NULL"                                                       \
    " AND c.lease_until_ms > $1 AND c.lease_until_ms <= $1 + 2 * $2"

struct notice_candidate {
    int64_t number; // 0: none
    const char *organization_id;
    int64_t busy_count; // of the organization
};

// $3: twice the longest back-off. A try that is further away was put off under a wrong clock.
#define NOTICE_TIMES(request)                                                                      \
    db_int64((request)->now_ms), db_int64((request)->lease_ms),                                    \
        db_int64(2 * (request)->back_off_max_ms)

static bool notice_query_turns(struct catalog *catalog, const struct notice_claim_request *request,
                               struct db_rows **ret_rows, struct err *err)
{
    const struct db_value values[] = {NOTICE_TIMES(request), db_int64(request->share)};
    return db_query(catalog->db,
                    "WITH RECURSIVE waiting(id) AS ("
                    " SELECT min(organization_id) FROM notices WHERE state = 0"
                    " UNION ALL"
                    " SELECT (SELECT min(n.organization_id) FROM notices n"
                    "  WHERE n.state = 0 AND n.organization_id > waiting.id)"
                    " FROM waiting WHERE waiting.id IS NOT NULL)"
                    " SELECT id, busy_count FROM (SELECT o.id AS id, o.last_notice AS last_notice,"
                    "  (SELECT count(*) FROM notices c WHERE c.organization_id = o.id"
                    "   AND " NOTICE_IS_IN_FLIGHT ") AS busy_count"
                    "  FROM waiting CROSS JOIN organizations o"
                    "  WHERE o.id = waiting.id AND o.disabled_at_ms = 0) AS turns"
                    " WHERE busy_count < $4 AND $3 > 0 ORDER BY busy_count, last_notice, id",
                    values, ARRAY_COUNT(values), ret_rows, err);
}

#define NOTICE_FIRST_OF                                                                            \
    "SELECT n.id FROM notices n WHERE n.state = 0 AND n.organization_id = $4"                      \
    " AND n.notification_id = those.id"

static bool notice_find_ready(struct catalog *catalog, const struct notice_claim_request *request,
                              const char *organization_id, int64_t *ret_number, struct err *err)
{
    const struct db_value values[] = {NOTICE_TIMES(request), db_text(organization_id)};
    return catalog_query_int64(
        catalog,
        "WITH RECURSIVE those(id) AS ("
        " SELECT min(notification_id) FROM notices WHERE state = 0 AND organization_id = $4"
        " UNION ALL"
        " SELECT (SELECT min(n.notification_id) FROM notices n WHERE n.state = 0"
        "  AND n.organization_id = $4 AND n.notification_id > those.id)"
        " FROM those WHERE those.id IS NOT NULL)"
        " SELECT d.id FROM those CROSS JOIN notices d"
        " WHERE those.id IS NOT NULL AND d.id = coalesce("
        "  (" NOTICE_FIRST_OF
        " AND n.next_try_at_ms <= $1 ORDER BY n.next_try_at_ms, n.id LIMIT 1),"
        "  (" NOTICE_FIRST_OF " AND n.next_try_at_ms > $1 + $3"
        "   ORDER BY n.next_try_at_ms, n.id LIMIT 1))"
        " AND NOT EXISTS (SELECT 1 FROM notices c WHERE c.organization_id = $4"
        "  AND c.notification_id = those.id AND " NOTICE_IS_IN_FLIGHT ")"
        " ORDER BY d.next_try_at_ms, d.id LIMIT 1",
        values, ARRAY_COUNT(values), ret_number, err);
}

static bool notice_search(struct catalog *catalog, const struct notice_claim_request *request,
                          struct arena *arena, struct notice_candidate *ret_candidate,
                          struct err *err)
{
    struct notice_candidate candidate = {0};
    struct db_rows *turns CLEANUP(db_rows_close) = NULL;
    TRY(notice_query_turns(catalog, request, &turns, err));
    while (candidate.number == 0 && db_rows_next(turns, err)) {
        candidate.organization_id = catalog_row_text(turns, 0, arena);
        candidate.busy_count = db_rows_int64(turns, 1);
        TRY(notice_find_ready(catalog, request, candidate.organization_id, &candidate.number, err));
    }
    TRY(err->kind == ERR_NONE);
    *ret_candidate = candidate;
    return true;
}

bool notice_is_due(struct catalog *catalog, const struct notice_claim_request *request,
                   bool *ret_is_due, struct err *err)
{
    const struct db_value values[] = {NOTICE_TIMES(request)};
    int64_t is_due = 0;
    TRY(catalog_query_int64(
        catalog,
        "SELECT CASE WHEN"
        " EXISTS (SELECT 1 FROM notices n WHERE n.state = 0 AND n.claim_id IS NULL"
        "  AND n.next_try_at_ms <= $1)"
        " OR EXISTS (SELECT 1 FROM notices n WHERE n.state = 0 AND n.claim_id IS NULL"
        "  AND n.next_try_at_ms > $1 + $3)"
        " OR EXISTS (SELECT 1 FROM notices c WHERE c.state = 0 AND c.claim_id IS NOT NULL"
        "  AND NOT (" NOTICE_IS_IN_FLIGHT "))"
        " THEN 1 ELSE 0 END",
        values, ARRAY_COUNT(values), &is_due, err));
    *ret_is_due = is_due != 0;
    return true;
}

// --- Taking

struct notice_taking {
    const struct notice_claim_request *request;
    const struct notice_candidate *candidate;
    struct arena *arena;
    struct notice *notice;
    bool is_taken;
};

// The candidate is free, and neither its notification nor its organization has got more in flight
// since the search. *ret_was_claimed: by somebody whose lease has lapsed.
static bool notice_is_free(struct catalog *catalog, const struct notice_taking *taking,
                           bool *ret_is_free, bool *ret_was_claimed, struct err *err)
{
    const struct db_value values[] = {
        db_int64(taking->request->now_ms), db_int64(taking->request->lease_ms),
        db_int64(taking->candidate->number), db_int64(taking->candidate->busy_count)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(catalog_query_row(catalog,
                          "SELECT n.claim_id IS NOT NULL FROM notices n"
                          " WHERE n.id = $3 AND n.state = 0"
                          " AND NOT EXISTS (SELECT 1 FROM notices c"
                          "  WHERE c.organization_id = n.organization_id"
                          "  AND c.notification_id = n.notification_id AND " NOTICE_IS_IN_FLIGHT ")"
                          " AND $4 = (SELECT count(*) FROM notices c"
                          "  WHERE c.organization_id = n.organization_id"
                          "  AND " NOTICE_IS_IN_FLIGHT ")",
                          values, ARRAY_COUNT(values), &rows, ret_is_free, err));
    *ret_was_claimed = *ret_is_free && db_rows_int64(rows, 0) != 0;
    return true;
}

// *ret_is_deleted: the notification.
static bool notice_read(struct catalog *catalog, int64_t number, struct arena *arena,
                        struct notice *ret_notice, bool *ret_is_deleted, struct err *err)
{
    const struct db_value values[] = {db_int64(number)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT " NOTIFICATION_COLUMNS
                          ", d.notice_id, d.claim_id, d.event, d.body, d.recipient,"
                          " d.created_at_ms, d.try_count, n.deleted_at_ms"
                          " FROM notices d JOIN notifications n ON n.id = d.notification_id"
                          " WHERE d.id = $1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    ASSERT(found);
    size_t column = NOTIFICATION_COLUMN_COUNT;
    struct notice notice = {.number = number};
    notification_read_row(rows, arena, &notice.notification);
    notice.id = catalog_row_text(rows, column++, arena);
    notice.claim_id = catalog_row_text(rows, column++, arena);
    notice.event = (enum notice_event)db_rows_int64(rows, column++);
    notice.body = catalog_row_text(rows, column++, arena);
    notice.recipient = catalog_row_text(rows, column++, arena);
    notice.created_at_ms = db_rows_int64(rows, column++);
    notice.try_count = db_rows_int64(rows, column++);
    *ret_is_deleted = db_rows_int64(rows, column) != 0;
    *ret_notice = notice;
    return true;
}

// A mail goes to who is an address of the notification now.
static bool notice_is_wanted(const struct notice *notice)
{
    if (notice->recipient == NULL)
        return true;
    struct slice rest = slice_text(notice->notification.target);
    struct slice address;
    while (notification_next_address(&rest, &address)) {
        if (slice_equal_text(address, notice->recipient))
            return true;
    }
    return false;
}

static bool notice_drop(struct catalog *catalog, int64_t number, int64_t now_ms, struct err *err)
{
    const struct db_value values[] = {db_int64(number), db_int64(now_ms)};
    return db_exec(catalog->db,
                   "UPDATE notices SET state = 2, finished_at_ms = $2, claim_id = NULL,"
                   " lease_until_ms = 0 WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

// The organization goes to the end of the round.
static bool notice_count_turn(struct catalog *catalog, const char *organization_id, struct err *err)
{
    TRY(db_exec(catalog->db,
                "INSERT INTO meta(name, value) VALUES('last_notice', '1') ON CONFLICT(name)"
                " DO UPDATE SET value = CAST(CAST(meta.value AS INTEGER) + 1 AS TEXT)",
                NULL, 0, NULL, err));
    const struct db_value values[] = {db_text(organization_id)};
    return db_exec(catalog->db,
                   "UPDATE organizations SET last_notice ="
                   " (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last_notice')"
                   " WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool notice_mark_claimed(struct catalog *catalog, const struct notice_taking *taking,
                                struct err *err)
{
    const struct notice_claim_request *request = taking->request;
    uint8_t bytes[NOTICE_CLAIM_BYTES];
    char random[2 * NOTICE_CLAIM_BYTES + 1];
    rng_fill(rng_system(), bytes, sizeof bytes);
    hex_encode(slice_of(bytes, sizeof bytes), random);
    const struct db_value values[] = {
        db_int64(taking->candidate->number),
        db_text(arena_format(taking->arena, "%s:%s", request->holder_id, random)),
        db_int64(request->now_ms + request->lease_ms),
    };
    TRY(db_exec(catalog->db,
                "UPDATE notices SET claim_id = $2, lease_until_ms = $3, try_count = try_count + 1"
                " WHERE id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    return notice_count_turn(catalog, taking->candidate->organization_id, err);
}

static bool notice_take_body(struct catalog *catalog, void *context, struct err *err)
{
    struct notice_taking *taking = context;
    const int64_t number = taking->candidate->number;
    const int64_t now_ms = taking->request->now_ms;
    bool is_free = false;
    bool was_claimed = false;
    bool is_deleted = false;
    struct notice notice = {0};
    TRY(notice_is_free(catalog, taking, &is_free, &was_claimed, err));
    if (!is_free)
        return true;
    if (was_claimed) {
        const struct notice_result lost = {.at_ms = now_ms, .reason = notice_interrupted_reason};
        TRY(notice_insert_try(catalog, number, &lost, err));
    }
    TRY(notice_read(catalog, number, taking->arena, &notice, &is_deleted, err));
    if (is_deleted || !notice_is_wanted(&notice))
        return notice_drop(catalog, number, now_ms, err);
    TRY(notice_mark_claimed(catalog, taking, err));
    taking->is_taken = true;
    return notice_read(catalog, number, taking->arena, taking->notice, &is_deleted, err);
}

bool notice_claim(struct catalog *catalog, const struct notice_claim_request *request,
                  struct arena *arena, bool *ret_found, struct notice *ret_notice, struct err *err)
{
    ASSERT(request->lease_ms > 0);
    ASSERT(request->back_off_max_ms > 0);
    ASSERT(request->share > 0);
    struct notice notice = {0};
    struct notice_candidate candidate = {0};
    struct notice_taking taking = {
        .request = request, .candidate = &candidate, .arena = arena, .notice = &notice};
    for (int i = 0; i < NOTICE_CLAIM_ATTEMPTS && !taking.is_taken; i++) {
        TRY(notice_search(catalog, request, arena, &candidate, err));
        if (candidate.number == 0)
            break;
        TRY(catalog_run(catalog, notice_take_body, &taking, err));
    }
    *ret_found = taking.is_taken;
    if (taking.is_taken)
        *ret_notice = notice;
    return true;
}
