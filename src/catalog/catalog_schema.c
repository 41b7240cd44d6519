// SPDX-License-Identifier: Apache-2.0
// The tables of the catalog, format 1. Times are milliseconds since 1970 UTC; 0 means "not".
// Numbers of states and kinds are those of the enums in the headers, which therefore never change
// their order.
#include "catalog/catalog_internal.h"

// One script per part: a literal has at most 4,095 characters.

static const char catalog_schema_tenants[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    // Named rights that one process holds at a time.
    "CREATE TABLE rights(name TEXT PRIMARY KEY, holder_id TEXT NOT NULL,"
    " until_ms INTEGER NOT NULL) STRICT;"

    "CREATE TABLE organizations("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, external_id TEXT NOT NULL,"
    " created_at_ms INTEGER NOT NULL,"
    // Round robin of claims: the organization that was served longest ago comes first.
    " last_claim INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE TABLE apps("
    " id TEXT PRIMARY KEY, organization_id TEXT NOT NULL REFERENCES organizations(id),"
    " name TEXT NOT NULL, branch_key TEXT NOT NULL UNIQUE, branch_secret_sha256 TEXT NOT NULL,"
    " created_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX apps_by_organization ON apps(organization_id, id);"
    "CREATE TABLE tokens("
    " key_id TEXT PRIMARY KEY, token_sha256 TEXT NOT NULL,"
    " organization_id TEXT REFERENCES organizations(id), app_id TEXT REFERENCES apps(id),"
    " name TEXT NOT NULL, user_id INTEGER NOT NULL UNIQUE, permissions INTEGER NOT NULL,"
    " created_at_ms INTEGER NOT NULL, last_used_at_ms INTEGER NOT NULL DEFAULT 0,"
    " revoked_at_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX tokens_by_organization ON tokens(organization_id, created_at_ms);"

    "CREATE TABLE topics("
    " id INTEGER PRIMARY KEY, organization_id TEXT NOT NULL, name TEXT NOT NULL,"
    " schema_id INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
    " UNIQUE(organization_id, name)) STRICT;"
    // Fields beyond the built-in ones, in the order in which they came.
    "CREATE TABLE topic_fields("
    " topic_id INTEGER NOT NULL REFERENCES topics(id), ordinal INTEGER NOT NULL,"
    " name TEXT NOT NULL, type INTEGER NOT NULL, origin INTEGER NOT NULL,"
    " is_sensitive INTEGER NOT NULL, is_wide INTEGER NOT NULL, schema_id INTEGER NOT NULL,"
    " PRIMARY KEY(topic_id, name)) STRICT;";

static const char catalog_schema_jobs[] =
    "CREATE TABLE subscriptions("
    " id TEXT PRIMARY KEY, organization_id TEXT NOT NULL, app_id TEXT NOT NULL,"
    " version INTEGER NOT NULL, status INTEGER NOT NULL, reason TEXT,"
    " report TEXT NOT NULL, duplicate_key TEXT NOT NULL, cadence INTEGER NOT NULL,"
    " topic_id INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
    " deactivated_at_ms INTEGER NOT NULL DEFAULT 0, live_from_ms INTEGER NOT NULL,"
    // Windows that start before it have their job row; the next one ends at next_end_ms.
    " scheduled_to_ms INTEGER NOT NULL, next_end_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX subscriptions_by_app ON subscriptions(organization_id, app_id, created_at_ms);"
    "CREATE INDEX subscriptions_by_next_end ON subscriptions(cadence, next_end_ms)"
    " WHERE status = 1;"
    "CREATE INDEX subscriptions_by_topic ON subscriptions(topic_id, app_id);"
    "CREATE TABLE backfills("
    " subscription_id TEXT NOT NULL REFERENCES subscriptions(id), start_ms INTEGER NOT NULL,"
    " end_ms INTEGER NOT NULL, PRIMARY KEY(subscription_id, start_ms, end_ms)) STRICT;"

    "CREATE TABLE jobs("
    // In the order of making: says which jobs were there when the log's end was read.
    " ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " subscription_id TEXT NOT NULL REFERENCES subscriptions(id),"
    " organization_id TEXT NOT NULL, app_id TEXT NOT NULL,"
    " subscription_version INTEGER NOT NULL, topic_id INTEGER NOT NULL,"
    " start_ms INTEGER NOT NULL, end_ms INTEGER NOT NULL, revision INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, priority INTEGER NOT NULL, state INTEGER NOT NULL,"
    " is_visible INTEGER NOT NULL,"
    // -1: not known yet. A job is claimable when the lake is sealed to its bound.
    " bound_seq INTEGER NOT NULL DEFAULT -1,"
    " seq_lo INTEGER NOT NULL DEFAULT 0, seq_hi INTEGER NOT NULL DEFAULT -1,"
    " recipe TEXT, manifest TEXT,"
    " fence INTEGER NOT NULL DEFAULT 0, claim_id TEXT, worker_id TEXT, supervisor_id TEXT,"
    " lease_until_ms INTEGER NOT NULL DEFAULT 0, progress INTEGER NOT NULL DEFAULT 0,"
    " lost_count INTEGER NOT NULL DEFAULT 0, retry_at_ms INTEGER NOT NULL DEFAULT 0,"
    " first_failed_at_ms INTEGER NOT NULL DEFAULT 0,"
    " created_at_ms INTEGER NOT NULL, finished_at_ms INTEGER NOT NULL DEFAULT 0,"
    " expires_at_ms INTEGER NOT NULL DEFAULT 0, is_expired INTEGER NOT NULL DEFAULT 0,"
    " row_count INTEGER NOT NULL DEFAULT 0, byte_count INTEGER NOT NULL DEFAULT 0,"
    // Rows of job_files that are left.
    " file_count INTEGER NOT NULL DEFAULT 0,"
    " reason TEXT, UNIQUE(subscription_id, start_ms, revision)) STRICT;"
    "CREATE INDEX jobs_waiting_for_bound ON jobs(ordinal) WHERE bound_seq < 0 AND state = 0;"
    // The last two columns let a claim pass over jobs that wait without reading them.
    "CREATE INDEX jobs_pending"
    " ON jobs(priority, organization_id, start_ms, bound_seq, retry_at_ms) WHERE state = 0;"
    "CREATE INDEX jobs_listed ON jobs(subscription_id, finished_at_ms) WHERE is_visible = 1;"
    "CREATE INDEX jobs_leased ON jobs(lease_until_ms) WHERE state IN (1, 2);"
    "CREATE INDEX jobs_to_expire ON jobs(expires_at_ms) WHERE state = 3 AND is_expired = 0;"
    "CREATE INDEX jobs_to_clean ON jobs(expires_at_ms) WHERE is_expired = 1 AND file_count > 0;"
    "CREATE TABLE job_files("
    " job_id TEXT NOT NULL REFERENCES jobs(id), part INTEGER NOT NULL, key TEXT NOT NULL UNIQUE,"
    " row_count INTEGER NOT NULL, byte_count INTEGER NOT NULL, sha256 TEXT NOT NULL,"
    " PRIMARY KEY(job_id, part)) STRICT;"
    // Hours in which sealed rows lie above the range of a window's last job: late revisions to
    // make.
    "CREATE TABLE late_hints("
    " topic_id INTEGER NOT NULL, app_id INTEGER NOT NULL, hour_ms INTEGER NOT NULL,"
    " seq_max INTEGER NOT NULL, PRIMARY KEY(topic_id, app_id, hour_ms)) STRICT, WITHOUT ROWID;";

static const char catalog_schema_segments[] =
    "CREATE TABLE log_files("
    " id INTEGER PRIMARY KEY, seq_lo INTEGER NOT NULL, seq_hi INTEGER NOT NULL,"
    " byte_count INTEGER NOT NULL, is_sealed INTEGER NOT NULL DEFAULT 0,"
    " is_corrupt INTEGER NOT NULL DEFAULT 0, is_forgotten INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX log_files_open ON log_files(id) WHERE is_sealed = 0;"
    "CREATE INDEX log_files_to_recycle ON log_files(id) WHERE is_sealed = 1 AND is_forgotten = 0;"
    "CREATE TABLE segments("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, columns TEXT NOT NULL,"
    " byte_count INTEGER NOT NULL, row_count INTEGER NOT NULL, sha256 TEXT NOT NULL,"
    " seq_lo INTEGER NOT NULL, seq_hi INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
    // Not 0: replaced or dropped then; its file goes once nothing pins it.
    " retired_at_ms INTEGER NOT NULL DEFAULT 0,"
    // Compaction leaves it alone; jobs still find it.
    " is_damaged INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX segments_retired ON segments(retired_at_ms) WHERE retired_at_ms > 0;"
    "CREATE INDEX segments_live ON segments(created_at_ms) WHERE retired_at_ms = 0;"
    "CREATE TABLE segment_slices("
    " segment_id INTEGER NOT NULL REFERENCES segments(id), topic_id INTEGER NOT NULL,"
    " app_id INTEGER NOT NULL, hour_ms INTEGER NOT NULL, time_min_ms INTEGER NOT NULL,"
    " time_max_ms INTEGER NOT NULL, seq_min INTEGER NOT NULL, seq_max INTEGER NOT NULL,"
    " row_count INTEGER NOT NULL,"
    " PRIMARY KEY(topic_id, app_id, hour_ms, segment_id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX segment_slices_by_segment ON segment_slices(segment_id);"
    "CREATE INDEX segment_slices_by_hour ON segment_slices(topic_id, hour_ms, segment_id);"
    // How many live segments that are not damaged touch a topic's hour: finds crowded ones without
    // a scan of all slices.
    "CREATE TABLE segment_hours("
    " topic_id INTEGER NOT NULL, hour_ms INTEGER NOT NULL, segment_count INTEGER NOT NULL,"
    " PRIMARY KEY(topic_id, hour_ms)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX segment_hours_by_count ON segment_hours(segment_count);"
    // Up to which seq retention has dropped rows of an hour: who asks for older ones is told so.
    "CREATE TABLE lake_floors("
    " topic_id INTEGER NOT NULL, app_id INTEGER NOT NULL, hour_ms INTEGER NOT NULL,"
    " seq_max INTEGER NOT NULL, PRIMARY KEY(topic_id, app_id, hour_ms)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE pins("
    " holder TEXT NOT NULL, segment_id INTEGER NOT NULL, until_ms INTEGER NOT NULL,"
    " PRIMARY KEY(holder, segment_id)) STRICT;"
    "CREATE INDEX pins_by_segment ON pins(segment_id);"
    "CREATE TABLE idempotency_keys("
    " scope TEXT PRIMARY KEY, body_sha256 TEXT NOT NULL, answer TEXT NOT NULL,"
    " expires_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys(expires_at_ms);";

const char *const catalog_schema_sql[] = {
    catalog_schema_tenants,
    catalog_schema_jobs,
    catalog_schema_segments,
    NULL,
};
