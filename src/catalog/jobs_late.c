// SPDX-License-Identifier: Apache-2.0
// Late revisions. Rows that are sealed after the range of a window's last job was frozen need a
// next revision, whose range starts where that one ended:
//
//   revision 0   (0 .......... S0]
//   revision 1                   (S0 .... S1]      ranges tile, so every row is in exactly one
//
// Looking at all windows on every tick would cost more than all else together. So each new segment
// is looked at once, and what it means is kept as hints (topic, app, hour, seq_max). A hint is
//
//   made     when the last revision of a window over the hour has frozen a seq_hi below seq_max
//   kept     while that revision runs, or min_gap has not passed since it was made
//   dropped  when there is no such window any more: the next revision is made (it freezes later, so
//            above seq_max), or the last one FAILED (its retry freezes later as well), or nobody is
//            subscribed
//
// A range that freezes later than a segment was sealed includes the segment: hence a hint that is
// not needed never becomes needed, and all looking can be done outside of write transactions. A
// compacted segment has a new id and old rows, which lie below every seq_hi.
// Upholds INV-10 (docs/invariants.md).
#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "catalog/jobs_internal.h"
#include "catalog/segments.h"

enum job_late_limits {
    JOB_LATE_SEGMENTS_PER_STEP = 64, // as many as one seal makes
};

// A version v of a subscription u and the last revision j of its window over the hour of h, where j
// has a range that ended before the rows of h. A window starts at its hour or its day. CROSS JOIN
// fixes the order of looking, from hints to jobs: a planner that knows no counts would start at the
// jobs.
#define JOB_LATE_WINDOWS                                                                           \
    " v.topic_id = h.topic_id AND u.id = v.subscription_id AND u.kind = 0"                         \
    " AND u.status IN (0, 1) AND u.app_id IN ('', CAST(h.app_id AS TEXT))"                         \
    " AND j.subscription_id = u.id AND j.subscription_version = v.version"                         \
    " AND j.start_ms IN (h.hour_ms, h.hour_ms - h.hour_ms % 86400000)"                             \
    " AND j.end_ms > h.hour_ms AND j.revision >= 0 AND j.state <> 4"                               \
    " AND j.seq_hi >= 0 AND j.seq_hi < h.seq_max"                                                  \
    " AND NOT EXISTS (SELECT 1 FROM jobs n WHERE n.subscription_id = j.subscription_id"            \
    "  AND n.start_ms = j.start_ms AND n.revision > j.revision)"

struct job_late_hint {
    int64_t topic_id;
    int64_t app_id;
    int64_t hour_ms;
    int64_t seq_max;
};

struct job_late_hints {
    const struct job_late_hint *items;
    size_t count;
};

static bool job_late_query_hints(struct catalog *catalog, const char *sql,
                                 const struct db_value *values, size_t value_count,
                                 struct arena *arena, struct job_late_hints *ret_hints,
                                 struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db, sql, values, value_count, &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct job_late_hint *hint = catalog_list_add(&list, arena, sizeof *hint);
        hint->topic_id = db_rows_int64(rows, 0);
        hint->app_id = db_rows_int64(rows, 1);
        hint->hour_ms = db_rows_int64(rows, 2);
        hint->seq_max = db_rows_int64(rows, 3);
    }
    TRY(err->kind == ERR_NONE);
    *ret_hints = (struct job_late_hints){list.items, list.count};
    return true;
}

// --- From new segments to hints

struct job_late_noting {
    struct job_late_hints hints; // of this transaction
    int64_t checked_segment_id;  // 0: more hints of these segments follow
};

static bool job_late_note_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct job_late_noting *noting = context;
    for (size_t i = 0; i < noting->hints.count; i++) {
        const struct job_late_hint *hint = &noting->hints.items[i];
        const struct db_value values[] = {db_int64(hint->topic_id), db_int64(hint->app_id),
                                          db_int64(hint->hour_ms), db_int64(hint->seq_max)};
        TRY(db_exec(catalog->db,
                    "INSERT INTO late_hints(topic_id, app_id, hour_ms, seq_max)"
                    " VALUES($1, $2, $3, $4) ON CONFLICT(topic_id, app_id, hour_ms)"
                    " DO UPDATE SET seq_max = excluded.seq_max"
                    " WHERE excluded.seq_max > late_hints.seq_max",
                    values, ARRAY_COUNT(values), NULL, err));
    }
    if (noting->checked_segment_id == 0)
        return true;
    char text[NUMBER_CHARS_MAX + 1] = {0};
    (void)number_format_int64(noting->checked_segment_id, text);
    const struct db_value values[] = {db_text(text)};
    return db_exec(catalog->db,
                   "INSERT INTO meta(name, value) VALUES('late_checked_segment', $1)"
                   " ON CONFLICT(name) DO UPDATE SET value = excluded.value",
                   values, ARRAY_COUNT(values), NULL, err);
}

static bool job_late_note(struct catalog *catalog, struct job_late_hints hints,
                          int64_t checked_segment_id, struct err *err)
{
    while (hints.count > JOB_ROWS_PER_TRANSACTION) {
        struct job_late_noting noting = {{hints.items, JOB_ROWS_PER_TRANSACTION}, 0};
        TRY(catalog_run(catalog, job_late_note_body, &noting, err));
        hints.items += JOB_ROWS_PER_TRANSACTION;
        hints.count -= JOB_ROWS_PER_TRANSACTION;
    }
    struct job_late_noting noting = {hints, checked_segment_id};
    return catalog_run(catalog, job_late_note_body, &noting, err);
}

// Looks at the next segments. *ret_is_done: there were none.
static bool job_late_check_segments(struct catalog *catalog, bool *ret_is_done, struct err *err)
{
    int64_t checked_id = 0;
    int64_t last_id = 0;
    TRY(catalog_query_int64(
        catalog, "SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'late_checked_segment'",
        NULL, 0, &checked_id, err));
    const struct db_value values[] = {db_int64(checked_id), db_int64(JOB_LATE_SEGMENTS_PER_STEP)};
    TRY(catalog_query_int64(catalog,
                            "SELECT max(id) FROM (SELECT id FROM segments WHERE id > $1"
                            " ORDER BY id LIMIT $2) AS following",
                            values, ARRAY_COUNT(values), &last_id, err));
    *ret_is_done = last_id == 0;
    if (last_id == 0)
        return true;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct db_value range[] = {db_int64(checked_id), db_int64(last_id)};
    struct job_late_hints hints = {0};
    TRY(job_late_query_hints(
        catalog,
        "SELECT h.topic_id, h.app_id, h.hour_ms, max(h.seq_max)"
        " FROM segments g JOIN segment_slices h ON h.segment_id = g.id"
        " WHERE g.id > $1 AND g.id <= $2 AND g.retired_at_ms = 0"
        " AND EXISTS (SELECT 1 FROM subscription_versions v CROSS JOIN subscriptions u"
        " CROSS JOIN jobs j WHERE" JOB_LATE_WINDOWS ")"
        " GROUP BY h.topic_id, h.app_id, h.hour_ms",
        range, ARRAY_COUNT(range), &arena, &hints, err));
    return job_late_note(catalog, hints, last_id, err);
}

// --- From hints to jobs

struct job_late_making {
    const struct job *last_jobs; // the last revisions
    size_t last_count;
    int64_t now_ms;
    int64_t made_count;
};

// Windows that may have their next revision now. A first late batch need not wait; a revision that
// was made in the future was made under a wrong clock.
static bool job_late_find_windows(struct catalog *catalog, struct job_late_making *making,
                                  int64_t min_gap_ms, int64_t limit, struct arena *arena,
                                  struct err *err)
{
    const struct db_value values[] = {db_int64(making->now_ms), db_int64(min_gap_ms),
                                      db_int64(limit)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT DISTINCT " JOB_LIST_COLUMNS
                 " FROM late_hints h CROSS JOIN subscription_versions v CROSS JOIN subscriptions u"
                 " CROSS JOIN jobs j WHERE" JOB_LATE_WINDOWS
                 " AND (j.state = 3 OR j.is_restoring = 1) AND (j.revision = 0 AND j.kind IN (1, 2)"
                 "  OR j.created_at_ms <= $1 - $2 OR j.created_at_ms > $1)"
                 " ORDER BY j.start_ms, j.id LIMIT $3",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct job *job = catalog_list_add(&list, arena, sizeof *job);
        job_read_row(rows, arena, job);
    }
    TRY(err->kind == ERR_NONE);
    making->last_jobs = list.items;
    making->last_count = list.count;
    return true;
}

static bool job_late_make(struct catalog *catalog, const struct job_key *key,
                          const struct job *last, int64_t now_ms, bool *ret_created,
                          struct err *err)
{
    // The rows are sealed already, so the bound need not come from the log.
    int64_t seal_seq = 0;
    TRY(segment_seal_point(catalog, &seal_seq, err));
    const struct job_row row = {
        .subscription_id = last->subscription_id,
        .organization_id = last->organization_id,
        .app_id = last->app_id,
        .subscription_version = last->subscription_version,
        .topic_id = last->topic_id,
        .start_ms = last->start_ms,
        .end_ms = last->end_ms,
        .revision = last->revision + 1,
        .kind = JOB_LATE,
        .priority = JOB_PRIORITY_LIVE,
        .is_visible = false,
        .bound_seq = seal_seq,
        .seq_lo = last->seq_hi,
        .now_ms = now_ms,
    };
    return job_insert(catalog, key, &row, ret_created, err);
}

static bool job_late_make_body(struct catalog *catalog, void *context, struct err *err)
{
    struct job_late_making *making = context;
    struct job_key key;
    TRY(job_key_load(catalog, &key, err));
    for (size_t i = 0; i < making->last_count; i++) {
        const struct job *last = &making->last_jobs[i];
        // SUCCEEDED is for ever; but the subscription may have ended since the look.
        const struct db_value values[] = {db_text(last->subscription_id)};
        int64_t live_count = 0;
        TRY(catalog_query_int64(
            catalog, "SELECT count(*) FROM subscriptions WHERE id = $1 AND status IN (0, 1)",
            values, ARRAY_COUNT(values), &live_count, err));
        bool is_created = false;
        if (live_count > 0)
            TRY(job_late_make(catalog, &key, last, making->now_ms, &is_created, err));
        making->made_count += is_created ? 1 : 0;
    }
    return true;
}

// --- Hints that nothing needs any more

static bool job_late_drop_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct job_late_hints *hints = context;
    for (size_t i = 0; i < hints->count; i++) {
        const struct job_late_hint *hint = &hints->items[i];
        const struct db_value values[] = {db_int64(hint->topic_id), db_int64(hint->app_id),
                                          db_int64(hint->hour_ms), db_int64(hint->seq_max)};
        // Not one that another scheduler has raised since.
        TRY(db_exec(catalog->db,
                    "DELETE FROM late_hints"
                    " WHERE topic_id = $1 AND app_id = $2 AND hour_ms = $3 AND seq_max = $4",
                    values, ARRAY_COUNT(values), NULL, err));
    }
    return true;
}

static bool job_late_drop(struct catalog *catalog, bool *ret_is_done, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct db_value values[] = {db_int64(JOB_ROWS_PER_TRANSACTION)};
    struct job_late_hints hints = {0};
    TRY(job_late_query_hints(catalog,
                             "SELECT h.topic_id, h.app_id, h.hour_ms, h.seq_max FROM late_hints h"
                             " WHERE NOT EXISTS"
                             " (SELECT 1 FROM subscription_versions v CROSS JOIN subscriptions u"
                             " CROSS JOIN jobs j WHERE" JOB_LATE_WINDOWS ")"
                             " LIMIT $1",
                             values, ARRAY_COUNT(values), &arena, &hints, err));
    *ret_is_done = hints.count < JOB_ROWS_PER_TRANSACTION;
    return hints.count == 0 || catalog_run(catalog, job_late_drop_body, &hints, err);
}

bool job_schedule_late(struct catalog *catalog, int64_t now_ms, int64_t min_gap_ms, int64_t limit,
                       int64_t *ret_count, struct err *err)
{
    ASSERT(limit > 0);
    ASSERT(limit <= JOB_ROWS_PER_TRANSACTION);
    ASSERT(min_gap_ms >= 0);
    bool is_done = false;
    while (!is_done)
        TRY(job_late_check_segments(catalog, &is_done, err));
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct job_late_making making = {.now_ms = now_ms};
    TRY(job_late_find_windows(catalog, &making, min_gap_ms, limit, &arena, err));
    if (making.last_count > 0)
        TRY(catalog_run(catalog, job_late_make_body, &making, err));
    is_done = false;
    while (!is_done)
        TRY(job_late_drop(catalog, &is_done, err));
    *ret_count = making.made_count;
    return true;
}
