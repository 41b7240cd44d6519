// SPDX-License-Identifier: Apache-2.0
// Upholds INV-12, INV-13, INV-19 (docs/invariants.md).
#include "catalog/deliveries.h"

#include "base/check.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/notices_internal.h"

// --- Spooled files

struct job_spooling {
    const struct job_claim *claim;
    const struct job_result *result;
};

static bool job_spool_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct job_spooling *spooling = context;
    const struct job_claim *claim = spooling->claim;
    const struct job_result *result = spooling->result;
    const struct db_value values[] = {
        db_text(claim->job_id),      db_int64(claim->fence),       db_text(claim->claim_id),
        db_int64(result->row_count), db_int64(result->byte_count), db_text(result->manifest),
    };
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE jobs SET state = 2, is_spooled = 1, row_count = $4, byte_count = $5,"
                " manifest = CASE is_restoring WHEN 1 THEN manifest ELSE $6 END,"
                " is_visible = CASE WHEN kind = 3 AND $4 > 0 THEN 1 ELSE is_visible END"
                " WHERE " JOB_IS_HELD " AND is_spooled = 0",
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return job_set_claim_lost(claim, err);
    return job_insert_files(catalog, claim->job_id, result, err);
}

bool job_spool(struct catalog *catalog, const struct job_claim *claim,
               const struct job_result *result, struct err *err)
{
    ASSERT(result->manifest != NULL);
    struct job_spooling spooling = {claim, result};
    return catalog_run(catalog, job_spool_body, &spooling, err);
}

static bool job_unspool_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct job_claim *claim = context;
    const struct db_value values[] = {db_text(claim->job_id), db_int64(claim->fence),
                                      db_text(claim->claim_id)};
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "UPDATE jobs SET state = 1, is_spooled = 0, file_count = 0 WHERE " JOB_IS_HELD,
                values, ARRAY_COUNT(values), &changed, err));
    if (changed == 0)
        return job_set_claim_lost(claim, err);
    return db_exec(catalog->db, "DELETE FROM job_files WHERE job_id = $1", values, 1, NULL, err);
}

bool job_unspool(struct catalog *catalog, const struct job_claim *claim, struct err *err)
{
    struct job_claim copy = *claim;
    return catalog_run(catalog, job_unspool_body, &copy, err);
}

static bool job_spooled_manifest(struct catalog *catalog, const char *job_id, struct arena *arena,
                                 const char **ret_manifest, struct err *err)
{
    const struct db_value values[] = {db_text(job_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog, "SELECT manifest FROM jobs WHERE id = $1 AND is_spooled = 1",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "Job not found");
    *ret_manifest = catalog_row_text(rows, 0, arena);
    return true;
}

bool job_spooled_files(struct catalog *catalog, const char *job_id, struct arena *arena,
                       struct job_file **ret_files, size_t *ret_count, const char **ret_manifest,
                       struct err *err)
{
    TRY(job_spooled_manifest(catalog, job_id, arena, ret_manifest, err));
    const struct db_value values[] = {db_text(job_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT " JOB_FILE_COLUMNS " FROM job_files f WHERE f.job_id = $1 ORDER BY f.part",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err))
        job_read_file(rows, 0, arena, catalog_list_add(&list, arena, sizeof(struct job_file)));
    TRY(err->kind == ERR_NONE);
    *ret_files = list.items;
    *ret_count = list.count;
    return true;
}

bool job_spooled_bytes(struct catalog *catalog, const char *organization_id,
                       int64_t *ret_byte_count, struct err *err)
{
    const struct db_value values[] = {db_text(organization_id)};
    return catalog_query_int64(catalog,
                               "SELECT coalesce(sum(byte_count), 0) FROM jobs"
                               " WHERE organization_id = $1 AND is_spooled = 1",
                               values, ARRAY_COUNT(values), ret_byte_count, err);
}

// --- Uploads

bool job_upload_begun(struct catalog *catalog, const struct job_claim *claim,
                      const struct job_upload *upload, int64_t now_ms, struct err *err)
{
    const struct db_value values[] = {
        db_text(claim->job_id), db_int64(claim->fence),     db_text(claim->claim_id),
        db_text(upload->key),   db_text(upload->upload_id), db_int64(now_ms),
    };
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "INSERT INTO job_uploads(job_id, key, upload_id, created_at_ms)"
                " SELECT id, $4, $5, $6 FROM jobs WHERE " JOB_IS_HELD,
                values, ARRAY_COUNT(values), &changed, err));
    return changed > 0 || job_set_claim_lost(claim, err);
}

bool job_upload_over(struct catalog *catalog, const char *job_id, const struct job_upload *upload,
                     struct err *err)
{
    const struct db_value values[] = {db_text(job_id), db_text(upload->key),
                                      db_text(upload->upload_id)};
    return db_exec(catalog->db,
                   "DELETE FROM job_uploads WHERE job_id = $1 AND key = $2 AND upload_id = $3",
                   values, ARRAY_COUNT(values), NULL, err);
}

bool job_uploads(struct catalog *catalog, const char *job_id, struct arena *arena,
                 struct job_upload **ret_uploads, size_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_text(job_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT key, upload_id FROM job_uploads WHERE job_id = $1"
                 " ORDER BY created_at_ms, key, upload_id",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct job_upload *upload = catalog_list_add(&list, arena, sizeof *upload);
        upload->key = catalog_row_text(rows, 0, arena);
        upload->upload_id = catalog_row_text(rows, 1, arena);
    }
    TRY(err->kind == ERR_NONE);
    *ret_uploads = list.items;
    *ret_count = list.count;
    return true;
}

// --- Recipients

const char *job_recipient_state_name(enum job_recipient_state state)
{
    switch (state) {
    case JOB_RECIPIENT_WAITS:
        return "pending";
    case JOB_RECIPIENT_SENT:
        return "sent";
    case JOB_RECIPIENT_REFUSED:
        return "refused";
    }
    check_failed("state of a recipient", __FILE__, __LINE__);
    return NULL;
}

bool job_recipients(struct catalog *catalog, const char *job_id, struct arena *arena,
                    struct job_recipient **ret_recipients, size_t *ret_count, struct err *err)
{
    const struct db_value values[] = {db_text(job_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT address, state, reason FROM job_recipients WHERE job_id = $1"
                 " ORDER BY address",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct job_recipient *recipient = catalog_list_add(&list, arena, sizeof *recipient);
        recipient->address = catalog_row_text(rows, 0, arena);
        recipient->state = (enum job_recipient_state)db_rows_int64(rows, 1);
        recipient->reason = catalog_row_text(rows, 2, arena);
    }
    TRY(err->kind == ERR_NONE);
    *ret_recipients = list.items;
    *ret_count = list.count;
    return true;
}

bool job_settle_recipient(struct catalog *catalog, const struct job_claim *claim,
                          const struct job_recipient *recipient, struct err *err)
{
    const struct db_value values[] = {
        db_text(claim->job_id),
        db_int64(claim->fence),
        db_text(claim->claim_id),
        db_text(recipient->address),
        db_int64((int64_t)recipient->state),
        db_text(recipient->reason),
    };
    int64_t changed = 0;
    TRY(db_exec(catalog->db,
                "INSERT INTO job_recipients(job_id, address, state, reason)"
                " SELECT id, $4, $5, $6 FROM jobs WHERE " JOB_IS_HELD
                " ON CONFLICT(job_id, address)"
                " DO UPDATE SET state = excluded.state, reason = excluded.reason",
                values, ARRAY_COUNT(values), &changed, err));
    return changed > 0 || job_set_claim_lost(claim, err);
}

// --- Probes

// What was tried in the future was tried under a wrong clock.
#define SUBSCRIPTION_PROBE_IS_DUE                                                                  \
    "status = 1 AND probed_at_ms > 0 AND (probed_at_ms <= $1 - $2 OR probed_at_ms > $1 + $2)"

struct subscription_probing {
    int64_t now_ms;
    int64_t interval_ms;
    struct arena *arena;
    const char *id;
};

static bool subscription_claim_probe_body(struct catalog *catalog, void *context, struct err *err)
{
    struct subscription_probing *probing = context;
    const struct db_value values[] = {db_int64(probing->now_ms), db_int64(probing->interval_ms)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "UPDATE subscriptions SET probed_at_ms = $1 WHERE id ="
                          " (SELECT id FROM subscriptions WHERE " SUBSCRIPTION_PROBE_IS_DUE
                          "  ORDER BY probed_at_ms LIMIT 1) RETURNING id",
                          values, ARRAY_COUNT(values), &rows, &found, err));
    probing->id = found ? catalog_row_text(rows, 0, probing->arena) : NULL;
    return true;
}

// Idle workers ask often: they find out without the write lock.
bool subscription_claim_probe(struct catalog *catalog, int64_t now_ms, int64_t interval_ms,
                              struct arena *arena, const char **ret_id, struct err *err)
{
    ASSERT(interval_ms > 0);
    const struct db_value values[] = {db_int64(now_ms), db_int64(interval_ms)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM (SELECT 1 FROM subscriptions"
                            " WHERE " SUBSCRIPTION_PROBE_IS_DUE " LIMIT 1) AS some",
                            values, ARRAY_COUNT(values), &count, err));
    struct subscription_probing probing = {now_ms, interval_ms, arena, NULL};
    if (count > 0)
        TRY(catalog_run(catalog, subscription_claim_probe_body, &probing, err));
    *ret_id = probing.id;
    return true;
}

struct subscription_probed {
    const char *id;
    int64_t now_ms;
    const char *failure;
};

// A failure is news once, until it can be written to again; that of a sample is told as such.
static bool subscription_settle_probe_body(struct catalog *catalog, void *context, struct err *err)
{
    const struct subscription_probed *probed = context;
    const struct db_value values[] = {db_text(probed->id), db_int64(probed->now_ms),
                                      db_text(probed->failure)};
    int64_t is_new = 0;
    if (probed->failure != NULL)
        TRY(catalog_query_int64(catalog,
                                "SELECT count(*) FROM subscriptions WHERE id = $1 AND status = 1"
                                " AND probed_at_ms = $2 AND probe_failure IS NULL",
                                values, 2, &is_new, err));
    // An edit that came meanwhile has set another time: what was tried is its bucket no more.
    TRY(db_exec(catalog->db,
                "UPDATE subscriptions SET probed_at_ms = $2, probe_failure = $3"
                " WHERE id = $1 AND probed_at_ms IN (0, $2)",
                values, ARRAY_COUNT(values), NULL, err));
    return is_new == 0 || notice_emit_subscription_failed(catalog, probed->id, probed->failure,
                                                          probed->now_ms, err);
}

bool subscription_settle_probe(struct catalog *catalog, const char *id, int64_t now_ms,
                               const char *failure, struct err *err)
{
    ASSERT(now_ms > 0);
    struct subscription_probed probed = {id, now_ms, failure};
    return catalog_run(catalog, subscription_settle_probe_body, &probed, err);
}
