// SPDX-License-Identifier: Apache-2.0
// Claiming. Lapsed leases come first; then priorities in order, in each the organization that was
// served longest ago, and of that one the oldest window that need not wait. What somebody waits for
// goes before windows at every other claim only: one organization can ask faster than workers can
// answer, and the windows of the others must not wait for its end. Organizations are found
// by skipping from one to the next in the index of pending jobs, and jobs that wait (for their
// bound, or for their next try) are passed over inside that index: so one organization's ten
// thousand cost the others nothing.
// Upholds INV-10, INV-11 (docs/invariants.md).
#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/number.h"
#include "catalog/jobs_internal.h"
#include "catalog/segments.h"

enum job_claim_limits {
    JOB_CLAIM_ID_BYTES = 16,
    // Jobs that turn out not to be run any more and are settled on the way, in one transaction.
    JOB_CLAIM_SETTLED_MAX = 50,
};

struct job_candidate {
    const char *id;
    const char *subscription_id;
    const char *organization_id;
    enum job_kind kind;
    int64_t status; // of the subscription
    int64_t lost_count;
    bool is_restoring;
    bool is_lapsed; // a worker lost it
};

// In the order in which job_read_candidate reads.
#define JOB_CANDIDATE_COLUMNS                                                                      \
    "j.id, j.subscription_id, j.organization_id, j.kind, j.lost_count,"                            \
    " (SELECT u.status FROM subscriptions u WHERE u.id = j.subscription_id), j.is_restoring"

static void job_read_candidate(const struct db_rows *rows, struct arena *arena,
                               struct job_candidate *ret_candidate)
{
    *ret_candidate = (struct job_candidate){
        .id = catalog_row_text(rows, 0, arena),
        .subscription_id = catalog_row_text(rows, 1, arena),
        .organization_id = catalog_row_text(rows, 2, arena),
        .kind = (enum job_kind)db_rows_int64(rows, 3),
        .lost_count = db_rows_int64(rows, 4),
        .status = db_rows_int64(rows, 5),
        .is_restoring = db_rows_int64(rows, 6) != 0,
    };
}

// A lease that ends far beyond any lease from now was given under a wrong clock and counts as
// lapsed; twice the lease leaves room for workers that read the clock a little apart.
#define JOB_IS_LAPSED "state IN (1, 2) AND (lease_until_ms < $1 OR lease_until_ms > $1 + 2 * $2)"

// Twice the largest back-off, in the same way: a retry that is further away was put off under a
// wrong clock. $1 is now here as above.
#define JOB_RETRY_IS_DUE "(retry_at_ms <= $1 OR retry_at_ms > $1 + 600000)"

struct job_moment {
    const struct job_claim_request *request;
    int64_t seal_seq;
    bool has_others; // organizations
};

// Deliveries of the organization that somebody works on.
static bool job_count_deliveries(struct catalog *catalog, const char *organization_id,
                                 int64_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_text(organization_id)};
    return catalog_query_int64(catalog,
                               "SELECT count(*) FROM jobs WHERE organization_id = $1"
                               " AND is_spooled = 1 AND state = 2",
                               values, ARRAY_COUNT(values), ret_count, err);
}

// own_count: of them, those that ask.
static bool job_leaves_deliveries(struct catalog *catalog, const struct job_moment *moment,
                                  const char *organization_id, int64_t own_count, bool *ret_leaves,
                                  struct err *err)
{
    const int64_t limit = moment->request->delivery_limit;
    int64_t count = 0;
    *ret_leaves = moment->has_others && moment->request->is_reserve;
    if (!moment->has_others || *ret_leaves || limit == 0)
        return true;
    TRY(job_count_deliveries(catalog, organization_id, &count, err));
    *ret_leaves = count - own_count >= limit;
    return true;
}

static bool job_find_lapsed(struct catalog *catalog, const struct job_moment *moment,
                            struct arena *arena, bool *ret_found,
                            struct job_candidate *ret_candidate, struct err *err)
{
    const struct job_claim_request *request = moment->request;
    const int64_t spooled_max = moment->has_others && request->is_reserve ? 0 : 1;
    const struct db_value values[] = {db_int64(request->now_ms), db_int64(request->lease_ms),
                                      db_text(request->supervisor_id), db_int64(spooled_max)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(catalog_query_row(catalog,
                          "SELECT " JOB_CANDIDATE_COLUMNS
                          ", CASE WHEN j.supervisor_id = $3 THEN 1 ELSE 0 END"
                          " FROM jobs j WHERE " JOB_IS_LAPSED
                          " AND j.is_spooled <= $4 ORDER BY lease_until_ms LIMIT 1",
                          values, ARRAY_COUNT(values), &rows, ret_found, err));
    if (!*ret_found)
        return true;
    job_read_candidate(rows, arena, ret_candidate);
    ret_candidate->is_lapsed = true;
    ret_candidate->lost_count += db_rows_int64(rows, 7);
    return true;
}

// The oldest window of the organization that need not wait. The chain of revisions is kept by those
// who make them; it is checked here again because a break would deliver rows twice.
static bool job_find_ready(struct catalog *catalog, int64_t priority, const char *organization_id,
                           const struct job_moment *moment, struct arena *arena, bool *ret_found,
                           struct job_candidate *ret_candidate, struct err *err)
{
    bool leaves_deliveries = false;
    TRY(job_leaves_deliveries(catalog, moment, organization_id, 0, &leaves_deliveries, err));
    const struct db_value values[] = {db_int64(moment->request->now_ms), db_int64(priority),
                                      db_text(organization_id), db_int64(moment->seal_seq),
                                      db_int64(leaves_deliveries ? 1 : 0)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(catalog_query_row(catalog,
                          "SELECT " JOB_CANDIDATE_COLUMNS " FROM jobs j"
                          " WHERE j.state = 0 AND j.priority = $2 AND j.organization_id = $3"
                          " AND j.bound_seq >= 0 AND j.bound_seq <= $4 AND " JOB_RETRY_IS_DUE
                          " AND (j.revision <= 0 OR NOT EXISTS (SELECT 1 FROM jobs p"
                          "  WHERE p.subscription_id = j.subscription_id"
                          "  AND p.start_ms = j.start_ms AND p.revision >= 0"
                          "  AND p.revision < j.revision AND p.state IN (0, 1, 2)"
                          "  AND p.is_restoring = 0))"
                          " AND ($5 = 0 OR j.ordinal NOT IN (SELECT s.ordinal FROM jobs s"
                          "  WHERE s.organization_id = $3 AND s.is_spooled = 1))"
                          " ORDER BY j.start_ms LIMIT 1",
                          values, ARRAY_COUNT(values), &rows, ret_found, err));
    if (*ret_found)
        job_read_candidate(rows, arena, ret_candidate);
    return true;
}

// Organizations with pending jobs of the priority, the one that was served longest ago first.
static bool job_query_turns(struct catalog *catalog, int64_t priority, struct db_rows **ret_rows,
                            struct err *err)
{
    const struct db_value values[] = {db_int64(priority)};
    return db_query(catalog->db,
                    "WITH RECURSIVE waiting(id) AS ("
                    " SELECT min(organization_id) FROM jobs WHERE state = 0 AND priority = $1"
                    " UNION ALL"
                    " SELECT (SELECT min(j.organization_id) FROM jobs j WHERE j.state = 0"
                    "  AND j.priority = $1 AND j.organization_id > waiting.id)"
                    " FROM waiting WHERE waiting.id IS NOT NULL)"
                    " SELECT waiting.id FROM waiting"
                    " LEFT JOIN organizations o ON o.id = waiting.id"
                    " WHERE waiting.id IS NOT NULL"
                    " ORDER BY coalesce(o.last_claim, 0), waiting.id",
                    values, ARRAY_COUNT(values), ret_rows, err);
}

// One row for each claim in turn. Windows go first at every other one, and always before backfills;
// backfills go before what somebody waits for at every fourth.
#define JOB_PRIORITY_COUNT ((size_t)4)
static const enum job_priority job_claim_orders[][JOB_PRIORITY_COUNT] = {
    {JOB_PRIORITY_SAMPLE, JOB_PRIORITY_REQUEST, JOB_PRIORITY_LIVE, JOB_PRIORITY_BACKFILL},
    {JOB_PRIORITY_LIVE, JOB_PRIORITY_SAMPLE, JOB_PRIORITY_REQUEST, JOB_PRIORITY_BACKFILL},
    {JOB_PRIORITY_REQUEST, JOB_PRIORITY_SAMPLE, JOB_PRIORITY_LIVE, JOB_PRIORITY_BACKFILL},
    {JOB_PRIORITY_LIVE, JOB_PRIORITY_BACKFILL, JOB_PRIORITY_SAMPLE, JOB_PRIORITY_REQUEST},
};

static bool job_find_pending(struct catalog *catalog, const struct job_moment *moment,
                             struct arena *arena, bool *ret_found,
                             struct job_candidate *ret_candidate, struct err *err)
{
    int64_t turn = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last_claim'",
                            NULL, 0, &turn, err));
    const enum job_priority *order =
        job_claim_orders[turn % (int64_t)ARRAY_COUNT(job_claim_orders)];
    for (size_t i = 0; i < JOB_PRIORITY_COUNT; i++) {
        const int64_t priority = (int64_t)order[i];
        if (moment->has_others && moment->request->is_reserve && order[i] == JOB_PRIORITY_BACKFILL)
            continue;
        struct db_rows *turns CLEANUP(db_rows_close) = NULL;
        TRY(job_query_turns(catalog, priority, &turns, err));
        while (db_rows_next(turns, err)) {
            bool found = false;
            const char *organization_id = catalog_row_text(turns, 0, arena);
            TRY(job_find_ready(catalog, priority, organization_id, moment, arena, &found,
                               ret_candidate, err));
            if (found) {
                *ret_found = true;
                return true;
            }
        }
        TRY(err->kind == ERR_NONE);
    }
    *ret_found = false;
    return true;
}

// Asked only where it matters.
static bool job_has_others(struct catalog *catalog, const struct job_claim_request *request,
                           bool *ret_has_others, struct err *err)
{
    int64_t count = 0;
    if (request->is_reserve || request->delivery_limit > 0)
        TRY(catalog_query_int64(catalog,
                                "SELECT count(*) FROM (SELECT 1 FROM organizations"
                                " WHERE disabled_at_ms = 0 LIMIT 2) AS some",
                                NULL, 0, &count, err));
    *ret_has_others = count > 1;
    return true;
}

bool job_may_deliver(struct catalog *catalog, const struct job_claim_request *request,
                     const struct job *job, bool *ret_may, struct err *err)
{
    struct job_moment moment = {.request = request};
    bool leaves_deliveries = false;
    TRY(job_has_others(catalog, request, &moment.has_others, err));
    TRY(job_leaves_deliveries(catalog, &moment, job->organization_id, 1, &leaves_deliveries, err));
    *ret_may = !leaves_deliveries;
    return true;
}

// --- Taking

struct job_claiming {
    const struct job_claim_request *request;
    struct arena *arena;
    bool is_settling; // the transaction settled as many as it may: call again
    bool found;
    struct job *job;
};

// The organization goes to the end of the round.
static bool job_count_turn(struct catalog *catalog, const char *organization_id, struct err *err)
{
    TRY(db_exec(catalog->db,
                "INSERT INTO meta(name, value) VALUES('last_claim', '1') ON CONFLICT(name)"
                " DO UPDATE SET value = CAST(CAST(meta.value AS INTEGER) + 1 AS TEXT)",
                NULL, 0, NULL, err));
    const struct db_value values[] = {db_text(organization_id)};
    return db_exec(catalog->db,
                   "UPDATE organizations SET last_claim ="
                   " (SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'last_claim')"
                   " WHERE id = $1",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool job_take(struct catalog *catalog, struct job_claiming *claiming,
                     const struct job_candidate *candidate, int64_t seal_seq, struct err *err)
{
    const struct job_claim_request *request = claiming->request;
    uint8_t bytes[JOB_CLAIM_ID_BYTES];
    rng_fill(rng_system(), bytes, sizeof bytes);
    char claim_id[2 * JOB_CLAIM_ID_BYTES + 1];
    hex_encode(slice_of(bytes, sizeof bytes), claim_id);
    const struct db_value values[] = {
        db_text(candidate->id),
        db_text(claim_id),
        db_text(request->worker_id),
        db_text(request->supervisor_id),
        db_int64(request->now_ms + request->lease_ms),
        db_int64(candidate->lost_count),
        db_int64(seal_seq),
    };
    int64_t changed = 0;
    TRY(db_exec(
        catalog->db,
        "UPDATE jobs SET state = 1 + is_spooled, fence = fence + 1, claim_id = $2, worker_id = $3,"
        " supervisor_id = $4, lease_until_ms = $5, progress = 0, lost_count = $6,"
        " seq_hi = CASE WHEN seq_hi < 0 THEN $7 ELSE seq_hi END WHERE id = $1",
        values, ARRAY_COUNT(values), &changed, err));
    ASSERT(changed == 1);
    TRY(job_count_turn(catalog, candidate->organization_id, err));
    claiming->found = true;
    return job_read(catalog, candidate->id, claiming->arena, claiming->job, err);
}

// Whether the candidate is one to run; if not, it is made FAILED.
static bool job_settle_candidate(struct catalog *catalog, const struct job_claim_request *request,
                                 const struct job_candidate *candidate, bool *ret_is_to_run,
                                 struct err *err)
{
    *ret_is_to_run = false;
    if (candidate->is_lapsed && candidate->lost_count >= request->lost_limit) {
        char reason[80];
        (void)snprintf(reason, sizeof reason,
                       "worker died %" PRId64 " times while running this job",
                       candidate->lost_count);
        const struct job_end end = {
            .job_id = candidate->id,
            .subscription_id = candidate->subscription_id,
            .kind = candidate->kind,
            .reason = reason,
            .now_ms = request->now_ms,
            .is_taken_away = true,
        };
        return job_end_failed(catalog, &end, err);
    }
    // Files that were delivered once may come again after the end.
    const bool is_ended = !candidate->is_restoring && (candidate->status == SUBSCRIPTION_FAILED ||
                                                       candidate->status == SUBSCRIPTION_INACTIVE);
    if (!candidate->is_lapsed && is_ended) {
        int64_t count = 0;
        return job_cancel_pending(catalog, candidate->subscription_id,
                                  candidate->status == SUBSCRIPTION_INACTIVE
                                      ? subscription_deactivated_reason
                                      : "subscription failed",
                                  request->now_ms, &count, err);
    }
    *ret_is_to_run = true;
    return true;
}

static bool job_claim_body(struct catalog *catalog, void *context, struct err *err)
{
    struct job_claiming *claiming = context;
    const struct job_claim_request *request = claiming->request;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_moment moment = {.request = request};
    TRY(segment_seal_point(catalog, &moment.seal_seq, err));
    TRY(job_has_others(catalog, request, &moment.has_others, err));
    for (int settled = 0; settled < JOB_CLAIM_SETTLED_MAX; settled++) {
        struct job_candidate candidate = {0};
        bool found = false;
        TRY(job_find_lapsed(catalog, &moment, &arena, &found, &candidate, err));
        if (!found)
            TRY(job_find_pending(catalog, &moment, &arena, &found, &candidate, err));
        if (!found)
            return true;
        bool is_to_run = false;
        TRY(job_settle_candidate(catalog, request, &candidate, &is_to_run, err));
        if (is_to_run)
            return job_take(catalog, claiming, &candidate, moment.seal_seq, err);
    }
    claiming->is_settling = true;
    return true;
}

// Idle workers ask often: they find out without the write lock that nothing is ready. The chain is
// left out here, so this may say yes for nothing.
static bool job_is_claimable(struct catalog *catalog, const struct job_claim_request *request,
                             bool *ret_is_claimable, struct err *err)
{
    int64_t seal_seq = 0;
    bool has_others = false;
    TRY(segment_seal_point(catalog, &seal_seq, err));
    TRY(job_has_others(catalog, request, &has_others, err));
    const bool leaves_backfills = has_others && request->is_reserve;
    const struct db_value values[] = {db_int64(request->now_ms), db_int64(request->lease_ms),
                                      db_int64(seal_seq),
                                      db_int64(leaves_backfills ? 0 : JOB_PRIORITY_BACKFILL)};
    int64_t is_claimable = 0;
    TRY(catalog_query_int64(
        catalog,
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM jobs WHERE " JOB_IS_LAPSED ")"
        " OR EXISTS (SELECT 1 FROM jobs WHERE state = 0 AND bound_seq >= 0"
        "  AND bound_seq <= $3 AND priority IN (0, 1, 3, $4) AND " JOB_RETRY_IS_DUE
        ") THEN 1 ELSE 0 END",
        values, ARRAY_COUNT(values), &is_claimable, err));
    *ret_is_claimable = is_claimable != 0;
    return true;
}

bool job_claim(struct catalog *catalog, const struct job_claim_request *request,
               struct arena *arena, bool *ret_found, struct job *ret_job, struct err *err)
{
    ASSERT(request->lease_ms > 0);
    ASSERT(request->lost_limit > 0);
    bool is_claimable = false;
    TRY(job_is_claimable(catalog, request, &is_claimable, err));
    struct job job = {0};
    struct job_claiming claiming = {.request = request, .arena = arena, .job = &job};
    if (is_claimable) {
        do {
            claiming.is_settling = false;
            TRY(catalog_run(catalog, job_claim_body, &claiming, err));
        } while (claiming.is_settling);
    }
    *ret_found = claiming.found;
    if (claiming.found)
        *ret_job = job;
    return true;
}
