// SPDX-License-Identifier: Apache-2.0
// From format 1 to format 2 of the catalog: users and rotation, limits and ends of tenants, the
// audit log, versions and pauses of subscriptions, requests that are made once, restored jobs.
#include "catalog/catalog_internal.h"

static const char catalog_schema_2_tenants[] =
    // Null: the server's own limit.
    "ALTER TABLE organizations ADD COLUMN subscription_limit INTEGER;"
    "ALTER TABLE organizations ADD COLUMN disabled_at_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE apps ADD COLUMN deleted_at_ms INTEGER NOT NULL DEFAULT 0;"
    // A secret that was rotated is good until its grace ends.
    "ALTER TABLE apps ADD COLUMN previous_secret_sha256 TEXT;"
    "ALTER TABLE apps ADD COLUMN previous_until_ms INTEGER NOT NULL DEFAULT 0;"

    "CREATE TABLE users("
    " id INTEGER PRIMARY KEY, organization_id TEXT REFERENCES organizations(id),"
    " name TEXT NOT NULL, email TEXT, created_at_ms INTEGER NOT NULL,"
    " disabled_at_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX users_by_organization ON users(organization_id, id);"
    "INSERT INTO users(id, organization_id, name, created_at_ms)"
    " SELECT user_id, organization_id, name, created_at_ms FROM tokens;"

    // Made anew because a user may have several tokens now.
    "CREATE TABLE tokens_2("
    " key_id TEXT PRIMARY KEY, token_sha256 TEXT NOT NULL,"
    " organization_id TEXT REFERENCES organizations(id), app_id TEXT REFERENCES apps(id),"
    " name TEXT NOT NULL, user_id INTEGER NOT NULL REFERENCES users(id),"
    " permissions INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
    " last_used_at_ms INTEGER NOT NULL DEFAULT 0, revoked_at_ms INTEGER NOT NULL DEFAULT 0,"
    " expires_at_ms INTEGER NOT NULL DEFAULT 0, previous_sha256 TEXT,"
    " previous_until_ms INTEGER NOT NULL DEFAULT 0) STRICT;"
    "INSERT INTO tokens_2(key_id, token_sha256, organization_id, app_id, name, user_id,"
    " permissions, created_at_ms, last_used_at_ms, revoked_at_ms)"
    " SELECT key_id, token_sha256, organization_id, app_id, name, user_id, permissions,"
    " created_at_ms, last_used_at_ms, revoked_at_ms FROM tokens;"
    "DROP TABLE tokens;"
    "ALTER TABLE tokens_2 RENAME TO tokens;"
    "CREATE INDEX tokens_by_organization ON tokens(organization_id, created_at_ms);"
    "CREATE INDEX tokens_by_user ON tokens(user_id);"

    // Who changed what; rows are never changed.
    "CREATE TABLE audit_entries("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, organization_id TEXT,"
    " key_id TEXT NOT NULL, user_id INTEGER NOT NULL, peer TEXT NOT NULL,"
    " request_id TEXT NOT NULL, action TEXT NOT NULL, object_id TEXT NOT NULL,"
    " details TEXT) STRICT;"
    "CREATE INDEX audit_entries_by_organization ON audit_entries(organization_id, id);";

static const char catalog_schema_2_jobs[] =
    // Kinds of enum subscription_kind. An app_id of '' stands for all apps of the organization.
    "ALTER TABLE subscriptions ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE subscriptions ADD COLUMN is_paused INTEGER NOT NULL DEFAULT 0;"
    // Counts every change, for ETags.
    "ALTER TABLE subscriptions ADD COLUMN change_count INTEGER NOT NULL DEFAULT 0;"
    // A version is for windows that start at from_ms or later, up to the next version's.
    "CREATE TABLE subscription_versions("
    " subscription_id TEXT NOT NULL REFERENCES subscriptions(id), version INTEGER NOT NULL,"
    " from_ms INTEGER NOT NULL, cadence INTEGER NOT NULL, topic_id INTEGER NOT NULL,"
    " report TEXT NOT NULL, created_at_ms INTEGER NOT NULL,"
    " PRIMARY KEY(subscription_id, version)) STRICT;"
    "CREATE INDEX subscription_versions_by_topic"
    " ON subscription_versions(topic_id, subscription_id);"
    "INSERT INTO subscription_versions(subscription_id, version, from_ms, cadence, topic_id,"
    " report, created_at_ms)"
    " SELECT id, version, 0, cadence, topic_id, report, created_at_ms FROM subscriptions;"
    "DROP INDEX subscriptions_by_topic;"
    "ALTER TABLE subscriptions DROP COLUMN topic_id;"
    "ALTER TABLE subscriptions DROP COLUMN report;"
    // Windows that end in (from, to] are left out; to_ms 9223372036854775807: until resumed.
    "CREATE TABLE subscription_pauses("
    " subscription_id TEXT NOT NULL REFERENCES subscriptions(id), from_ms INTEGER NOT NULL,"
    " to_ms INTEGER NOT NULL, PRIMARY KEY(subscription_id, from_ms)) STRICT;"
    // 1: it SUCCEEDED once, its files expired, and they are being made again.
    "ALTER TABLE jobs ADD COLUMN is_restoring INTEGER NOT NULL DEFAULT 0;"
    // What is asked for once is removed when it is long over.
    "CREATE INDEX subscriptions_made_once ON subscriptions(created_at_ms) WHERE kind > 0;";

const char *const catalog_schema_2_sql[] = {
    catalog_schema_2_tenants,
    catalog_schema_2_jobs,
    NULL,
};
