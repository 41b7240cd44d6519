// SPDX-License-Identifier: Apache-2.0
// Rows of the table of jobs, in and out, and the ids of jobs.
#include <inttypes.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"

const char job_reason_past_retention[] = "events of this window are past lake.retention_days";

const char *job_state_name(enum job_state state)
{
    switch (state) {
    case JOB_PENDING_GENERATION:
        return "PENDING_GENERATION";
    case JOB_RUNNING:
        return "RUNNING";
    case JOB_PENDING_UPLOAD:
        return "PENDING_UPLOAD";
    case JOB_SUCCEEDED:
        return "SUCCEEDED";
    case JOB_FAILED:
        return "FAILED";
    }
    check_failed("state of a job", __FILE__, __LINE__);
    return NULL;
}

static enum job_state job_state_from(int64_t number)
{
    ASSERT(number >= JOB_PENDING_GENERATION);
    ASSERT(number <= JOB_FAILED);
    return (enum job_state)number;
}

static enum job_kind job_kind_from(int64_t number)
{
    ASSERT(number >= JOB_SAMPLE);
    ASSERT(number <= JOB_RETRY);
    return (enum job_kind)number;
}

void job_read_file(const struct db_rows *rows, size_t first_column, struct arena *arena,
                   struct job_file *ret_file)
{
    *ret_file = (struct job_file){
        .part = db_rows_int64(rows, first_column),
        .key = catalog_row_text(rows, first_column + 1, arena),
        .row_count = db_rows_int64(rows, first_column + 2),
        .byte_count = db_rows_int64(rows, first_column + 3),
        .sha256 = catalog_row_text(rows, first_column + 4, arena),
    };
}

void job_read_row(const struct db_rows *rows, struct arena *arena, struct job *ret_job)
{
    size_t column = 0;
    struct job job = {0};
    job.id = catalog_row_text(rows, column++, arena);
    job.subscription_id = catalog_row_text(rows, column++, arena);
    job.organization_id = catalog_row_text(rows, column++, arena);
    job.app_id = catalog_row_text(rows, column++, arena);
    job.subscription_version = db_rows_int64(rows, column++);
    job.topic_id = db_rows_int64(rows, column++);
    job.start_ms = db_rows_int64(rows, column++);
    job.end_ms = db_rows_int64(rows, column++);
    job.revision = db_rows_int64(rows, column++);
    job.kind = job_kind_from(db_rows_int64(rows, column++));
    job.state = job_state_from(db_rows_int64(rows, column++));
    job.is_visible = db_rows_int64(rows, column++) != 0;
    job.seq_lo = db_rows_int64(rows, column++);
    job.seq_hi = db_rows_int64(rows, column++);
    job.fence = db_rows_int64(rows, column++);
    // The row remembers the last claim, to know a repeated call by it; it holds nothing any more.
    const bool is_held = job.state == JOB_RUNNING || job.state == JOB_PENDING_UPLOAD;
    job.claim_id = is_held ? catalog_row_text(rows, column, arena) : NULL;
    column++;
    job.lost_count = db_rows_int64(rows, column++);
    job.created_at_ms = db_rows_int64(rows, column++);
    job.finished_at_ms = db_rows_int64(rows, column++);
    job.expires_at_ms = db_rows_int64(rows, column++);
    job.is_expired = db_rows_int64(rows, column++) != 0;
    job.row_count = db_rows_int64(rows, column++);
    job.byte_count = db_rows_int64(rows, column++);
    job.reason = catalog_row_text(rows, column++, arena);
    job.first_failed_at_ms = db_rows_int64(rows, column++);
    job.is_restoring = db_rows_int64(rows, column++) != 0;
    job.is_spooled = db_rows_int64(rows, column++) != 0;
    // Its files are made: whether somebody is delivering them just now is no other state.
    if (job.is_spooled && job.state == JOB_PENDING_GENERATION)
        job.state = JOB_PENDING_UPLOAD;
    job.recipe = catalog_row_text(rows, column++, arena);
    ASSERT(column == JOB_COLUMN_COUNT);
    *ret_job = job;
}

bool job_read(struct catalog *catalog, const char *id, struct arena *arena, struct job *ret_job,
              struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    const struct db_value values[] = {db_text(id)};
    TRY(catalog_query_row(catalog, "SELECT " JOB_COLUMNS " FROM jobs j WHERE j.id = $1", values,
                          ARRAY_COUNT(values), &rows, &found, err));
    ASSERT(found);
    job_read_row(rows, arena, ret_job);
    return true;
}

// --- Ids

static bool job_key_make(struct catalog *catalog, struct job_key *ret_key, struct err *err)
{
    struct job_key key = {0};
    rng_fill(rng_system(), key.bytes, sizeof key.bytes);
    char text[2 * sizeof key.bytes + 1];
    hex_encode(slice_of(key.bytes, sizeof key.bytes), text);
    const struct db_value values[] = {db_text(text)};
    TRY(db_exec(catalog->db, "INSERT INTO meta(name, value) VALUES('job_key', $1)", values,
                ARRAY_COUNT(values), NULL, err));
    *ret_key = key;
    return true;
}

bool job_key_load(struct catalog *catalog, struct job_key *ret_key, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog, "SELECT value FROM meta WHERE name = 'job_key'", NULL, 0, &rows,
                          &found, err));
    if (!found)
        return job_key_make(catalog, ret_key, err);
    if (!hex_decode(db_rows_text(rows, 0), ret_key->bytes, sizeof ret_key->bytes))
        return err_set(err, ERR_CORRUPT, "the catalog's job_key is not 64 hexadecimal digits");
    return true;
}

void job_derive_id(const struct job_key *key, struct slice name,
                   char ret_id[CATALOG_UUID_CHARS + 1])
{
    uint8_t digest[32];
    hmac_sha256(slice_of(key->bytes, sizeof key->bytes), name, digest);
    digest[6] = (uint8_t)((digest[6] & 0x0f) | 0x50); // version 5: from a name by a hash
    digest[8] = (uint8_t)((digest[8] & 0x3f) | 0x80);
    catalog_format_uuid(digest, ret_id);
}

void job_make_id(const struct job_key *key, const struct job_row *row,
                 char ret_id[CATALOG_UUID_CHARS + 1])
{
    struct buf name CLEANUP(buf_clear) = {0};
    buf_init(&name, 1024);
    buf_append_format(&name, "%s|%" PRId64 "|%" PRId64 "|%d", row->subscription_id, row->start_ms,
                      row->revision, row->kind == JOB_SAMPLE);
    ASSERT(!name.overflowed);
    job_derive_id(key, buf_slice(&name), ret_id);
}

// --- Making

bool job_insert(struct catalog *catalog, const struct job_key *key, const struct job_row *row,
                bool *ret_created, struct err *err)
{
    ASSERT(row->start_ms < row->end_ms);
    ASSERT((row->kind == JOB_SAMPLE) == (row->revision == JOB_SAMPLE_REVISION));
    char id[CATALOG_UUID_CHARS + 1];
    job_make_id(key, row, id);
    const struct db_value values[] = {
        db_text(id),
        db_text(row->subscription_id),
        db_text(row->organization_id),
        db_text(row->app_id),
        db_int64(row->subscription_version),
        db_int64(row->topic_id),
        db_int64(row->start_ms),
        db_int64(row->end_ms),
        db_int64(row->revision),
        db_int64((int64_t)row->kind),
        db_int64((int64_t)row->priority),
        db_int64(row->is_visible ? 1 : 0),
        db_int64(row->bound_seq),
        db_int64(row->seq_lo),
        db_int64(row->now_ms),
    };
    int64_t changed = 0;
    TRY(db_exec(
        catalog->db,
        "INSERT INTO jobs(id, subscription_id, organization_id, app_id,"
        " subscription_version, topic_id, start_ms, end_ms, revision, kind, priority,"
        " state, is_visible, bound_seq, seq_lo, created_at_ms)"
        " VALUES($1, $2, $3, coalesce($4, ''), $5, $6, $7, $8, $9, $10, $11, 0, $12, $13, $14, $15)"
        " ON CONFLICT DO NOTHING",
        values, ARRAY_COUNT(values), &changed, err));
    *ret_created = changed > 0;
    return true;
}
