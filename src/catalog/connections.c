// SPDX-License-Identifier: Apache-2.0
#include "catalog/connections.h"

#include "base/check.h"
#include "base/json_tree.h"
#include "base/mem.h"
#include "catalog/catalog_internal.h"
#include "catalog/connections_internal.h"
#include "catalog/tenant_internal.h"

#define CONNECTION_SETTINGS_BYTES_MAX ((size_t)16 * 1024)
#define CONNECTION_COLUMNS                                                                         \
    "name, kind, organization_id, settings, sealed_secret, created_at_ms, changed_at_ms"

static bool connection_set_not_found(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no such connection");
}

// --- Rows

const char *const connection_style_names[] = {
    [CONNECTION_STYLE_BY_ENDPOINT] = NULL,
    [CONNECTION_STYLE_PATH] = "path",
    [CONNECTION_STYLE_HOST] = "host",
};

void connection_write_optional(struct json_text *json, const char *key, const char *text)
{
    if (text != NULL)
        json_text_member_text(json, key, text);
}

bool connection_write_settings(const struct connection *connection, struct arena *arena,
                               const char **ret_text, struct err *err)
{
    const struct connection_settings *settings = &connection->settings;
    struct buf text CLEANUP(buf_clear);
    struct json_text json;
    buf_init(&text, CONNECTION_SETTINGS_BYTES_MAX);
    json_text_init(&json, &text);
    json_text_open(&json, '{');
    connection_write_optional(&json, "endpoint", settings->endpoint);
    connection_write_optional(&json, "region", settings->region);
    connection_write_optional(&json, "ca_file", settings->ca_file);
    connection_write_optional(&json, "style", connection_style_names[settings->style]);
    connection_write_optional(&json, "access_key_id", connection->access_key_id);
    connection_write_optional(&json, "account", connection->account);
    json_text_close(&json, '}');
    TRY(buf_check(&text, err));
    *ret_text = arena_copy_slice(arena, buf_slice(&text));
    return true;
}

static const char *connection_read_text(const struct json_node *settings, const char *key,
                                        struct arena *arena)
{
    const struct slice text = json_node_text(json_node_get(settings, key));
    return slice_is_empty(text) ? NULL : arena_copy_slice(arena, text);
}

static enum connection_style connection_read_style(const struct json_node *settings)
{
    const struct slice name = json_node_text(json_node_get(settings, "style"));
    for (size_t i = 1; i < CONNECTION_STYLES; i++) {
        if (slice_equal_text(name, connection_style_names[i]))
            return (enum connection_style)i;
    }
    return CONNECTION_STYLE_BY_ENDPOINT;
}

static bool connection_read_row(const struct db_rows *rows, struct arena *arena,
                                struct connection *ret_connection, struct err *err)
{
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    const char *name = catalog_row_text(rows, 0, arena);
    if (!json_tree_parse(db_rows_text(rows, 3), &tree, err)) {
        err->kind = ERR_CORRUPT;
        return err_wrap(err, "connection %s", name);
    }
    const struct json_node *settings = json_tree_root(tree);
    const int64_t kind = db_rows_int64(rows, 1);
    ASSERT(kind >= CONNECTION_S3);
    ASSERT(kind <= CONNECTION_GCS_KEY);
    *ret_connection = (struct connection){
        .name = name,
        .kind = (enum connection_kind)kind,
        .organization_id = catalog_row_text(rows, 2, arena),
        .settings = {.endpoint = connection_read_text(settings, "endpoint", arena),
                     .region = connection_read_text(settings, "region", arena),
                     .ca_file = connection_read_text(settings, "ca_file", arena),
                     .style = connection_read_style(settings)},
        .access_key_id = connection_read_text(settings, "access_key_id", arena),
        .account = connection_read_text(settings, "account", arena),
        .sealed_secret = catalog_row_text(rows, 4, arena),
        .created_at_ms = db_rows_int64(rows, 5),
        .changed_at_ms = db_rows_int64(rows, 6),
    };
    return true;
}

// --- Secrets

static struct slice connection_context(const char *name, struct arena *arena)
{
    return slice_text(arena_format(arena, "connection:%s", name));
}

const char *connection_seal(const struct connection_ring *ring, const char *name,
                            struct slice secret, struct arena *arena)
{
    ASSERT(ring->key_count > 0);
    return cipher_seal(&ring->keys[0], connection_context(name, arena), secret, arena);
}

bool connection_open_secret(const struct connection *connection, const struct connection_ring *ring,
                            struct secret *ret_secret, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    struct slice plain;
    arena_init(&arena);
    if (!cipher_open(ring->keys, ring->key_count, connection_context(connection->name, &arena),
                     slice_text(connection->sealed_secret), &arena, &plain, err))
        return err_wrap(err, "connection %s", connection->name);
    secret_init(ret_secret, plain);
    return true;
}

// --- Making

bool connection_record(struct catalog *catalog, const struct connection *connection,
                       const char *action, struct audit_note *note, struct err *err)
{
    const struct audit_change change = {
        .organization_id = connection->organization_id,
        .action = action,
        .object_id = connection->name,
        .is_creation = strcmp(action, "connection.create") == 0,
    };
    return audit_record_note(catalog, change, note, err);
}

static bool connection_insert(struct catalog *catalog, const struct connection *connection,
                              const char *settings, struct err *err)
{
    if (connection->organization_id != NULL)
        TRY(tenant_check_organization(catalog, connection->organization_id, err));
    const struct db_value values[] = {
        db_text(connection->name),
        db_int64(connection->kind),
        db_text(connection->organization_id),
        db_text(settings),
        db_text(connection->sealed_secret),
        db_int64(connection->created_at_ms),
    };
    if (!db_exec(catalog->db,
                 "INSERT INTO connections(name, kind, organization_id, settings, sealed_secret,"
                 " created_at_ms, changed_at_ms) VALUES($1, $2, $3, $4, $5, $6, $6)",
                 values, ARRAY_COUNT(values), NULL, err))
        return err->kind == ERR_CONFLICT ? err_set(err, ERR_CONFLICT, "Connection exists") : false;
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "kind", connection_kind_name(connection->kind));
    connection_write_optional(&note.json, "endpoint", connection->settings.endpoint);
    connection_write_optional(&note.json, "access_key_id", connection->access_key_id);
    connection_write_optional(&note.json, "service_account", connection->account);
    return connection_record(catalog, connection, "connection.create", &note, err);
}

static const char *connection_copy(struct arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_copy_text(arena, text);
}

static struct connection_settings
connection_copy_settings(const struct connection_settings *settings, struct arena *arena)
{
    return (struct connection_settings){
        .endpoint = connection_copy(arena, settings->endpoint),
        .region = connection_copy(arena, settings->region),
        .ca_file = connection_copy(arena, settings->ca_file),
        .style = settings->style,
    };
}

bool connection_create(struct catalog *catalog, const struct connection_request *request,
                       const struct connection_ring *ring, int64_t now_ms, struct arena *arena,
                       struct connection *ret_connection, struct err *err)
{
    const char *account = NULL;
    const char *settings = NULL;
    TRY(connection_check_name(request->name, err));
    TRY(connection_check_settings(&request->settings, err));
    TRY(connection_check_key(request->kind, &request->key, arena, &account, err));
    const struct connection connection = {
        .name = arena_copy_text(arena, request->name),
        .kind = request->kind,
        .organization_id = connection_copy(arena, request->organization_id),
        .settings = connection_copy_settings(&request->settings, arena),
        .access_key_id = connection_copy(arena, request->key.access_key_id),
        .account = account,
        .sealed_secret = connection_seal(ring, request->name, request->key.secret, arena),
        .created_at_ms = now_ms,
        .changed_at_ms = now_ms,
    };
    TRY(connection_write_settings(&connection, arena, &settings, err));
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, connection_insert(catalog, &connection, settings, err), err));
    *ret_connection = connection;
    return true;
}

// --- Reading

static bool connection_read_one(struct catalog *catalog, const char *sql,
                                const struct db_value *values, size_t value_count,
                                struct arena *arena, struct connection *ret_connection,
                                struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog, sql, values, value_count, &rows, &found, err));
    if (!found)
        return connection_set_not_found(err);
    return connection_read_row(rows, arena, ret_connection, err);
}

bool connection_get(struct catalog *catalog, const char *name, struct arena *arena,
                    struct connection *ret_connection, struct err *err)
{
    const struct db_value values[] = {db_text(name)};
    return connection_read_one(catalog,
                               "SELECT " CONNECTION_COLUMNS " FROM connections WHERE name = $1",
                               values, ARRAY_COUNT(values), arena, ret_connection, err);
}

bool connection_find(struct catalog *catalog, const char *organization_id, const char *name,
                     struct arena *arena, struct connection *ret_connection, struct err *err)
{
    const struct db_value values[] = {db_text(name), db_text(organization_id)};
    return connection_read_one(catalog,
                               "SELECT " CONNECTION_COLUMNS " FROM connections WHERE name = $1"
                               " AND coalesce(organization_id, $2) = $2",
                               values, ARRAY_COUNT(values), arena, ret_connection, err);
}

bool connection_list(struct catalog *catalog, const char *organization_id, struct arena *arena,
                     struct connection **ret_connections, size_t *ret_count, struct err *err)
{
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    const struct db_value values[] = {db_text(organization_id)};
    const char *sql = organization_id == NULL ? "SELECT " CONNECTION_COLUMNS " FROM connections"
                                                " ORDER BY created_at_ms, name"
                                              : "SELECT " CONNECTION_COLUMNS " FROM connections"
                                                " WHERE coalesce(organization_id, $1) = $1"
                                                " ORDER BY created_at_ms, name";
    TRY(db_query(catalog->db, sql, values, organization_id == NULL ? 0 : 1, &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err)) {
        struct connection *connection = catalog_list_add(&list, arena, sizeof *connection);
        TRY(connection_read_row(rows, arena, connection, err));
    }
    TRY(err->kind == ERR_NONE);
    *ret_connections = list.items;
    *ret_count = list.count;
    return true;
}

// The account stands within the settings; there are few connections, and an index would need a
// column of its own.
bool connection_find_account(struct catalog *catalog, const char *organization_id,
                             const char *account, struct arena *arena,
                             struct connection *ret_connection, struct err *err)
{
    struct connection *connections = NULL;
    const struct connection *found = NULL;
    size_t count = 0;
    TRY(connection_list(catalog, organization_id, arena, &connections, &count, err));
    for (size_t i = 0; i < count; i++) {
        const struct connection *connection = &connections[i];
        if (connection->account == NULL || strcmp(connection->account, account) != 0)
            continue;
        if (found == NULL ||
            (found->organization_id == NULL && connection->organization_id != NULL))
            found = connection;
    }
    if (found == NULL)
        return connection_set_not_found(err);
    *ret_connection = *found;
    return true;
}
