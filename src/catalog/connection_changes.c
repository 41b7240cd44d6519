// SPDX-License-Identifier: Apache-2.0
// What becomes of connections after they were made.
#include "base/check.h"
#include "base/mem.h"
#include "catalog/connections_internal.h"

static bool connection_is_same(const char *left, const char *right)
{
    return slice_equal(slice_text(left), slice_text(right));
}

static bool connection_alter_text(const char **text, const char *value, const char *key,
                                  struct json_text *json)
{
    if (connection_is_same(*text, value))
        return false;
    *text = value;
    json_text_member_text(json, key, value);
    return true;
}

// Applies the settings and notes what they alter. False: nothing.
static bool connection_alter_settings(struct connection_settings *settings,
                                      const struct connection_change *change,
                                      struct json_text *json)
{
    const struct connection_settings *wanted = &change->settings;
    bool is_altered = false;
    if (change->has_endpoint)
        is_altered |= connection_alter_text(&settings->endpoint, wanted->endpoint, "endpoint",
                                            json);
    if (change->has_region)
        is_altered |= connection_alter_text(&settings->region, wanted->region, "region", json);
    if (change->has_ca_file)
        is_altered |= connection_alter_text(&settings->ca_file, wanted->ca_file, "ca_file", json);
    if (change->has_style && settings->style != wanted->style) {
        settings->style = wanted->style;
        json_text_member_text(json, "style", connection_style_names[wanted->style]);
        is_altered = true;
    }
    return is_altered;
}

struct connection_update {
    const char *name;
    const struct connection_change *change;
    int64_t now_ms;
    struct arena *arena;
    // Of the change, made before the transaction.
    enum connection_kind kind;
    const char *account;
    const char *sealed_secret;
    struct connection connection;
};

// Trying a key out takes too long for a transaction, so it is done for what the connection is
// before it. One that was made anew in between, of another kind, is not changed.
static bool connection_prepare_key(struct connection_update *update, struct catalog *catalog,
                                   const struct connection_ring *ring, struct err *err)
{
    struct connection connection;
    TRY(connection_get(catalog, update->name, update->arena, &connection, err));
    struct connection_key key = *update->change->key;
    if (key.access_key_id == NULL)
        key.access_key_id = connection.access_key_id;
    TRY(connection_check_key(connection.kind, &key, update->arena, &update->account, err));
    update->kind = connection.kind;
    update->sealed_secret = connection_seal(ring, connection.name, key.secret, update->arena);
    return true;
}

static bool connection_alter_key(struct connection_update *update, struct json_text *json,
                                 struct err *err)
{
    struct connection *connection = &update->connection;
    const char *access_key_id = update->change->key->access_key_id;
    // Subscriptions may name the account.
    if (connection->kind != update->kind ||
        !connection_is_same(update->account, connection->account))
        return err_set(err, ERR_CONFLICT, "Key of another service account");
    if (access_key_id != NULL)
        connection->access_key_id = access_key_id;
    connection->sealed_secret = update->sealed_secret;
    json_text_member_bool(json, "key_changed", true);
    connection_write_optional(json, "access_key_id", access_key_id);
    return true;
}

static bool connection_update_body(struct catalog *catalog, void *context, struct err *err)
{
    struct connection_update *update = context;
    struct connection *connection = &update->connection;
    const char *settings = NULL;
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    TRY(connection_get(catalog, update->name, update->arena, connection, err));
    const bool is_altered = connection_alter_settings(&connection->settings, update->change,
                                                      &note.json);
    if (update->change->key != NULL)
        TRY(connection_alter_key(update, &note.json, err));
    else if (!is_altered)
        return true;
    connection->changed_at_ms = update->now_ms;
    TRY(connection_write_settings(connection, update->arena, &settings, err));
    const struct db_value values[] = {db_text(connection->name), db_text(settings),
                                      db_text(connection->sealed_secret),
                                      db_int64(connection->changed_at_ms)};
    TRY(db_exec(catalog->db,
                "UPDATE connections SET settings = $2, sealed_secret = $3, changed_at_ms = $4"
                " WHERE name = $1",
                values, ARRAY_COUNT(values), NULL, err));
    return connection_record(catalog, connection, "connection.update", &note, err);
}

bool connection_update(struct catalog *catalog, const char *name,
                       const struct connection_change *change, const struct connection_ring *ring,
                       int64_t now_ms, struct arena *arena, struct connection *ret_connection,
                       struct err *err)
{
    struct connection_update update = {
        .name = name, .change = change, .now_ms = now_ms, .arena = arena};
    TRY(connection_check_settings(&change->settings, err));
    if (change->key != NULL)
        TRY(connection_prepare_key(&update, catalog, ring, err));
    TRY(catalog_run(catalog, connection_update_body, &update, err));
    *ret_connection = update.connection;
    return true;
}

// --- Deleting

// Live subscriptions of which a version that is not over names it: an edit may have taken them
// elsewhere, but only from some window on. Stored reports are printed compactly, and their texts
// escape quotes, so the member stands nowhere else.
static bool connection_count_uses(struct catalog *catalog, const char *id, int64_t *ret_count,
                                  struct arena *arena, struct err *err)
{
    const char *pattern = arena_format(arena, "%%\"resource!_access!_id\":\"%s\"%%", id);
    const struct db_value values[] = {db_text(pattern)};
    return catalog_query_int64(
        catalog,
        "SELECT count(DISTINCT s.id) FROM subscriptions s JOIN subscription_versions v"
        " ON v.subscription_id = s.id WHERE s.kind = 0 AND s.status IN (0, 1)"
        " AND v.report LIKE $1 ESCAPE '!'"
        " AND NOT EXISTS (SELECT 1 FROM subscription_versions n"
        "  WHERE n.subscription_id = s.id AND n.version > v.version"
        "  AND n.from_ms <= s.scheduled_to_ms)",
        values, ARRAY_COUNT(values), ret_count, err);
}

static bool connection_delete_body(struct catalog *catalog, void *context, struct err *err)
{
    const char *const *name = context;
    struct arena arena CLEANUP(arena_clear);
    struct connection connection;
    int64_t count = 0;
    int64_t account_count = 0;
    arena_init(&arena);
    TRY(connection_get(catalog, *name, &arena, &connection, err));
    TRY(connection_count_uses(catalog, connection.name, &count, &arena, err));
    if (connection.account != NULL)
        TRY(connection_count_uses(catalog, connection.account, &account_count, &arena, err));
    count += account_count;
    if (count > 0)
        return err_set(err, ERR_CONFLICT, "Connection is in use by %lld subscription%s",
                       (long long)count, count == 1 ? "" : "s");
    const struct db_value values[] = {db_text(connection.name)};
    TRY(db_exec(catalog->db, "DELETE FROM connections WHERE name = $1", values, ARRAY_COUNT(values),
                NULL, err));
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "kind", connection_kind_name(connection.kind));
    return connection_record(catalog, &connection, "connection.delete", &note, err);
}

bool connection_delete(struct catalog *catalog, const char *name, struct err *err)
{
    return catalog_run(catalog, connection_delete_body, &name, err);
}
