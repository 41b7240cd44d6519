// SPDX-License-Identifier: Apache-2.0
// From format 2 to format 3 of the catalog: deliveries to other places than the hosted bucket,
// the connections that they go by, and what customers are told about their jobs.
#include "catalog/catalog_internal.h"

static const char catalog_schema_3_deliveries[] =
    // 1: its files are made and listed in job_files, and are still to be delivered.
    "ALTER TABLE jobs ADD COLUMN is_spooled INTEGER NOT NULL DEFAULT 0;"
    // 1: it was said that it is late.
    "ALTER TABLE jobs ADD COLUMN is_late INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX jobs_spooled ON jobs(organization_id) WHERE is_spooled = 1;"
    "CREATE INDEX jobs_to_be_late ON jobs(created_at_ms)"
    " WHERE state IN (0, 1, 2) AND is_late = 0 AND is_visible = 1 AND is_restoring = 0;"
    // Uploads in parts that were begun and not ended, in stores of others: to be aborted.
    "CREATE TABLE job_uploads("
    " job_id TEXT NOT NULL REFERENCES jobs(id), key TEXT NOT NULL, upload_id TEXT NOT NULL,"
    " created_at_ms INTEGER NOT NULL, PRIMARY KEY(job_id, key, upload_id)) STRICT;"
    // Who got the mail of a job. state 0: not yet, 1: sent, 2: refused, with the reason.
    "CREATE TABLE job_recipients("
    " job_id TEXT NOT NULL REFERENCES jobs(id), address TEXT NOT NULL, state INTEGER NOT NULL,"
    " reason TEXT, PRIMARY KEY(job_id, address)) STRICT;"
    // For lists of an organization's or an app's files, by key. app_id '': of all apps.
    "ALTER TABLE job_files ADD COLUMN organization_id TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE job_files ADD COLUMN app_id TEXT NOT NULL DEFAULT '';"
    "UPDATE job_files SET (organization_id, app_id) ="
    " (SELECT j.organization_id, j.app_id FROM jobs j WHERE j.id = job_files.job_id);"
    "CREATE INDEX job_files_by_organization ON job_files(organization_id, key);"
    "CREATE INDEX job_files_by_app ON job_files(organization_id, app_id, key);"
    // Whose files may be fetched: lists of them need not read the jobs, whose rows are large.
    "CREATE INDEX jobs_served ON jobs(id, finished_at_ms)"
    " WHERE state = 3 AND is_visible = 1 AND is_expired = 0 AND expires_at_ms > 0;"
    // Whether its destination could be written to when that was last tried; 0: it is not tried.
    "ALTER TABLE subscriptions ADD COLUMN probed_at_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE subscriptions ADD COLUMN probe_failure TEXT;"
    "CREATE INDEX subscriptions_by_probe ON subscriptions(probed_at_ms)"
    " WHERE status = 1 AND probed_at_ms > 0;";

static const char catalog_schema_3_connections[] =
    // kind: enum connection_kind. organization_id null: for all. settings: JSON without secrets.
    "CREATE TABLE connections("
    " name TEXT PRIMARY KEY, kind INTEGER NOT NULL,"
    " organization_id TEXT REFERENCES organizations(id), settings TEXT NOT NULL,"
    " sealed_secret TEXT NOT NULL, created_at_ms INTEGER NOT NULL,"
    " changed_at_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX connections_by_organization ON connections(organization_id, name);";

static const char catalog_schema_3_notices[] =
    // app_id '': of the whole organization. subscription_id null: of all subscriptions. kind,
    // events: enum notification_kind, bits of enum notice_event. target: a URL, or addresses with a
    // space between them.
    "CREATE TABLE notifications("
    " id TEXT PRIMARY KEY, organization_id TEXT NOT NULL REFERENCES organizations(id),"
    " app_id TEXT NOT NULL, subscription_id TEXT REFERENCES subscriptions(id),"
    " kind INTEGER NOT NULL, target TEXT NOT NULL, events INTEGER NOT NULL,"
    " sealed_secret TEXT, previous_sealed_secret TEXT,"
    " previous_until_ms INTEGER NOT NULL DEFAULT 0, created_at_ms INTEGER NOT NULL,"
    " deleted_at_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX notifications_by_organization ON notifications(organization_id, created_at_ms)"
    " WHERE deleted_at_ms = 0;"
    "CREATE INDEX notifications_deleted ON notifications(deleted_at_ms) WHERE deleted_at_ms > 0;"
    // The outbox. state: enum notice_state. A notice that somebody sends has a claim and a lease.
    // recipient null: of a webhook.
    "CREATE TABLE notices("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, notice_id TEXT NOT NULL UNIQUE,"
    " notification_id TEXT NOT NULL REFERENCES notifications(id),"
    " organization_id TEXT NOT NULL, event INTEGER NOT NULL, recipient TEXT, body TEXT NOT NULL,"
    " created_at_ms INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0,"
    " next_try_at_ms INTEGER NOT NULL, lease_until_ms INTEGER NOT NULL DEFAULT 0,"
    " claim_id TEXT, try_count INTEGER NOT NULL DEFAULT 0,"
    " finished_at_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX notices_to_send"
    " ON notices(organization_id, notification_id, next_try_at_ms, id) WHERE state = 0;"
    "CREATE INDEX notices_by_time ON notices(next_try_at_ms)"
    " WHERE state = 0 AND claim_id IS NULL;"
    "CREATE INDEX notices_claimed ON notices(organization_id, notification_id, lease_until_ms)"
    " WHERE state = 0 AND claim_id IS NOT NULL;"
    "CREATE INDEX notices_by_notification ON notices(notification_id);"
    "CREATE INDEX notices_finished ON notices(finished_at_ms) WHERE state > 0;"
    // The delivery log: every try and what came of it.
    "CREATE TABLE notice_tries("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, notification_id TEXT NOT NULL,"
    " notice INTEGER NOT NULL REFERENCES notices(id), number INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, took_ms INTEGER NOT NULL, status INTEGER NOT NULL, reason TEXT)"
    " STRICT;"
    "CREATE INDEX notice_tries_by_notification ON notice_tries(notification_id, id);"
    "CREATE INDEX notice_tries_by_notice ON notice_tries(notice);"
    // Round robin of claims, as with jobs: the one that was served longest ago comes first.
    "ALTER TABLE organizations ADD COLUMN last_notice INTEGER NOT NULL DEFAULT 0;";

const char *const catalog_schema_3_sql[] = {
    catalog_schema_3_deliveries,
    catalog_schema_3_connections,
    catalog_schema_3_notices,
    NULL,
};
