// SPDX-License-Identifier: Apache-2.0
#include "catalog/notifications.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/mem.h"
#include "catalog/jobs_internal.h"
#include "catalog/notices_internal.h"

// $2 organization, $3 app or null, $4 whether what is of the whole organization is seen as well.
#define NOTIFICATION_IS_IN_SCOPE                                                                   \
    "n.organization_id = $2 AND n.deleted_at_ms = 0"                                               \
    " AND (n.app_id <> '' AND n.app_id = coalesce($3, n.app_id) OR n.app_id = '' AND $4 = 1)"

const char *notification_kind_name(enum notification_kind kind)
{
    return kind == NOTIFICATION_WEBHOOK ? "webhook" : "email";
}

// --- Rows

void notification_read_row(const struct db_rows *rows, struct arena *arena,
                           struct notification *ret_notification)
{
    size_t column = 0;
    struct notification notification = {0};
    notification.id = catalog_row_text(rows, column++, arena);
    notification.organization_id = catalog_row_text(rows, column++, arena);
    notification.app_id = catalog_row_text(rows, column++, arena);
    notification.subscription_id = catalog_row_text(rows, column++, arena);
    const int64_t kind = db_rows_int64(rows, column++);
    ASSERT(kind == NOTIFICATION_WEBHOOK || kind == NOTIFICATION_EMAIL);
    notification.kind = (enum notification_kind)kind;
    notification.target = catalog_row_text(rows, column++, arena);
    notification.events = (unsigned)db_rows_int64(rows, column++);
    notification.sealed_secret = catalog_row_text(rows, column++, arena);
    notification.previous_sealed_secret = catalog_row_text(rows, column++, arena);
    notification.previous_until_ms = db_rows_int64(rows, column++);
    notification.created_at_ms = db_rows_int64(rows, column++);
    ASSERT(column == NOTIFICATION_COLUMN_COUNT);
    *ret_notification = notification;
}

bool notification_next_address(struct slice *rest, struct slice *ret_address)
{
    if (slice_is_empty(*rest))
        return false;
    const char *space = memchr(rest->data, ' ', rest->size_bytes);
    const size_t size = space == NULL ? rest->size_bytes : (size_t)(space - slice_chars(*rest));
    *ret_address = slice_part(*rest, 0, size);
    *rest = slice_from(*rest, space == NULL ? size : size + 1);
    return true;
}

static bool notification_record(struct catalog *catalog, const struct notification *notification,
                                struct audit_change change, struct err *err)
{
    // Not the target: URLs of webhooks often hold a secret.
    struct audit_note note CLEANUP(audit_note_clear);
    audit_note_init(&note);
    json_text_member_text(&note.json, "type", notification_kind_name(notification->kind));
    json_text_member_text(&note.json, "app_id", notification->app_id);
    json_text_member_text(&note.json, "subscription_id", notification->subscription_id);
    change.organization_id = notification->organization_id;
    change.object_id = notification->id;
    return audit_record_note(catalog, change, &note, err);
}

// --- Reading

bool notification_get(struct catalog *catalog, const struct subscription_scope *scope,
                      struct slice id, struct arena *arena, struct notification *ret_notification,
                      struct err *err)
{
    const struct db_value values[] = {db_slice(id), db_text(scope->organization_id),
                                      db_text(scope->app_id),
                                      db_int64(scope->sees_organization ? 1 : 0)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    bool found = false;
    TRY(catalog_query_row(catalog,
                          "SELECT " NOTIFICATION_COLUMNS " FROM notifications n"
                          " WHERE n.id = $1 AND " NOTIFICATION_IS_IN_SCOPE,
                          values, ARRAY_COUNT(values), &rows, &found, err));
    if (!found)
        return err_set(err, ERR_NOT_FOUND, "Notification not found");
    notification_read_row(rows, arena, ret_notification);
    return true;
}

bool notification_list(struct catalog *catalog, const struct subscription_scope *scope,
                       struct arena *arena, struct notification **ret_notifications,
                       size_t *ret_count, struct err *err)
{
    ASSERT(scope->app_id != NULL || scope->sees_organization);
    const struct db_value values[] = {db_text(scope->organization_id), db_text(scope->app_id)};
    struct db_rows *rows CLEANUP(db_rows_close) = NULL;
    TRY(db_query(catalog->db,
                 "SELECT " NOTIFICATION_COLUMNS " FROM notifications n"
                 " WHERE n.organization_id = $1 AND n.deleted_at_ms = 0"
                 " AND n.app_id = coalesce($2, n.app_id) ORDER BY n.created_at_ms, n.id",
                 values, ARRAY_COUNT(values), &rows, err));
    struct catalog_list list = {0};
    while (db_rows_next(rows, err))
        notification_read_row(rows, arena,
                              catalog_list_add(&list, arena, sizeof(struct notification)));
    TRY(err->kind == ERR_NONE);
    *ret_notifications = list.items;
    *ret_count = list.count;
    return true;
}

// --- Making

const char *notification_make_id(struct arena *arena)
{
    char id[CATALOG_UUID_CHARS + 1];
    catalog_new_uuid(rng_system(), id);
    return arena_copy_text(arena, id);
}

static struct slice notification_context(const char *id, struct arena *arena)
{
    return slice_text(arena_format(arena, "notification:%s", id));
}

const char *notification_seal(const struct cipher_key *key, const char *id, struct slice secret,
                              struct arena *arena)
{
    return cipher_seal(key, notification_context(id, arena), secret, arena);
}

bool notification_open_secret(const char *id, const char *sealed, const struct cipher_key *keys,
                              size_t key_count, struct secret *ret_secret, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    struct slice plain;
    arena_init(&arena);
    if (!cipher_open(keys, key_count, notification_context(id, &arena), slice_text(sealed), &arena,
                     &plain, err))
        return err_wrap(err, "secret of notification %s", id);
    secret_init(ret_secret, plain);
    return true;
}

static bool notification_check_limit(struct catalog *catalog,
                                     const struct notification_request *request, struct err *err)
{
    const struct db_value values[] = {db_text(request->scope.organization_id)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM notifications"
                            " WHERE organization_id = $1 AND deleted_at_ms = 0",
                            values, ARRAY_COUNT(values), &count, err));
    if (count >= request->limit)
        return err_set(err, ERR_LIMIT, "Notification limit reached: %" PRId64, request->limit);
    return true;
}

// What it is about decides whose it is, so that all see it who see the subscription.
static bool notification_find_app(struct catalog *catalog,
                                  const struct notification_request *request, struct arena *arena,
                                  const char **ret_app_id, struct err *err)
{
    if (request->subscription_id == NULL) {
        *ret_app_id = request->scope.app_id;
        return true;
    }
    struct subscription subscription;
    TRY(subscription_get(catalog, &request->scope, slice_text(request->subscription_id), arena,
                         &subscription, err));
    if (subscription.status == SUBSCRIPTION_INACTIVE)
        return err_set(err, ERR_NOT_FOUND, "Subscription not found");
    *ret_app_id = subscription.app_id;
    return true;
}

static bool notification_create_body(struct catalog *catalog,
                                     const struct notification_request *request,
                                     struct arena *arena, struct notification *ret_notification,
                                     struct err *err)
{
    const char *app_id = NULL;
    TRY(notification_check_limit(catalog, request, err));
    TRY(notification_find_app(catalog, request, arena, &app_id, err));
    const struct db_value values[] = {
        db_text(request->id),
        db_text(request->scope.organization_id),
        db_text(app_id),
        db_text(request->subscription_id),
        db_int64((int64_t)request->kind),
        db_text(request->target),
        db_int64((int64_t)request->events),
        db_text(request->sealed_secret),
        db_int64(request->now_ms),
    };
    TRY(db_exec(catalog->db,
                "INSERT INTO notifications(id, organization_id, app_id, subscription_id, kind,"
                " target, events, sealed_secret, created_at_ms)"
                " VALUES($1, $2, coalesce($3, ''), $4, $5, $6, $7, $8, $9)",
                values, ARRAY_COUNT(values), NULL, err));
    TRY(notification_get(catalog, &request->scope, slice_text(request->id), arena, ret_notification,
                         err));
    const struct audit_change change = {.action = "notification.create", .is_creation = true};
    return notification_record(catalog, ret_notification, change, err);
}

bool notification_create(struct catalog *catalog, const struct notification_request *request,
                         struct arena *arena, struct notification *ret_notification,
                         struct err *err)
{
    ASSERT(request->limit > 0);
    ASSERT(request->events != 0);
    ASSERT((request->sealed_secret != NULL) == (request->kind == NOTIFICATION_WEBHOOK));
    struct notification notification = {0};
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, notification_create_body(catalog, request, arena, &notification, err),
                    err));
    *ret_notification = notification;
    return true;
}

// --- Changing

static bool notification_update_body(struct catalog *catalog,
                                     const struct notification_change *change, struct arena *arena,
                                     struct notification *ret_notification, struct err *err)
{
    struct notification *notification = ret_notification;
    TRY(notification_get(catalog, &change->scope, change->id, arena, notification, err));
    if (change->target != NULL)
        notification->target = change->target;
    if (change->events != 0)
        notification->events = change->events;
    const struct db_value values[] = {db_text(notification->id), db_text(notification->target),
                                      db_int64((int64_t)notification->events)};
    TRY(db_exec(catalog->db, "UPDATE notifications SET target = $2, events = $3 WHERE id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    return notification_record(catalog, notification,
                               (struct audit_change){.action = "notification.update"}, err);
}

bool notification_update(struct catalog *catalog, const struct notification_change *change,
                         struct arena *arena, struct notification *ret_notification,
                         struct err *err)
{
    struct notification notification = {0};
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, notification_update_body(catalog, change, arena, &notification, err),
                    err));
    *ret_notification = notification;
    return true;
}

static bool notification_rotate_body(struct catalog *catalog,
                                     const struct notification_rotation *rotation,
                                     struct arena *arena, struct notification *ret_notification,
                                     struct err *err)
{
    struct notification *notification = ret_notification;
    TRY(notification_get(catalog, &rotation->scope, rotation->id, arena, notification, err));
    if (notification->kind != NOTIFICATION_WEBHOOK)
        return err_set(err, ERR_INVALID, "Only webhooks have a secret");
    const bool has_grace = rotation->grace_ms > 0;
    notification->previous_sealed_secret = has_grace ? notification->sealed_secret : NULL;
    notification->previous_until_ms = has_grace ? rotation->now_ms + rotation->grace_ms : 0;
    notification->sealed_secret = rotation->sealed_secret;
    const struct db_value values[] = {
        db_text(notification->id),
        db_text(notification->sealed_secret),
        db_text(notification->previous_sealed_secret),
        db_int64(notification->previous_until_ms),
    };
    TRY(db_exec(catalog->db,
                "UPDATE notifications SET sealed_secret = $2, previous_sealed_secret = $3,"
                " previous_until_ms = $4 WHERE id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    return notification_record(catalog, notification,
                               (struct audit_change){.action = "notification.rotate"}, err);
}

bool notification_rotate(struct catalog *catalog, const struct notification_rotation *rotation,
                         struct arena *arena, struct notification *ret_notification,
                         struct err *err)
{
    ASSERT(rotation->grace_ms >= 0);
    struct notification notification = {0};
    TRY(db_begin(catalog->db, err));
    TRY(catalog_end(catalog, notification_rotate_body(catalog, rotation, arena, &notification, err),
                    err));
    *ret_notification = notification;
    return true;
}

// --- Ending

// Its notices that wait are passed over by claims.
static bool notification_delete_body(struct catalog *catalog,
                                     const struct subscription_scope *scope, struct slice id,
                                     int64_t now_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct notification notification = {0};
    TRY(notification_get(catalog, scope, id, &arena, &notification, err));
    const struct db_value values[] = {db_text(notification.id), db_int64(now_ms)};
    TRY(db_exec(catalog->db,
                "UPDATE notifications SET deleted_at_ms = $2, sealed_secret = NULL,"
                " previous_sealed_secret = NULL WHERE id = $1",
                values, ARRAY_COUNT(values), NULL, err));
    return notification_record(catalog, &notification,
                               (struct audit_change){.action = "notification.delete"}, err);
}

bool notification_delete(struct catalog *catalog, const struct subscription_scope *scope,
                         struct slice id, int64_t now_ms, struct err *err)
{
    ASSERT(now_ms > 0);
    TRY(db_begin(catalog->db, err));
    return catalog_end(catalog, notification_delete_body(catalog, scope, id, now_ms, err), err);
}

// --- Testing

struct notification_testing {
    const struct subscription_scope *scope;
    struct slice id;
    int64_t now_ms;
    char notice_id[CATALOG_UUID_CHARS + 1];
};

// Mail to addresses that may be anybody's goes out once a minute at most.
static bool notification_check_pause(struct catalog *catalog,
                                     const struct notification *notification, int64_t now_ms,
                                     struct err *err)
{
    if (notification->kind == NOTIFICATION_WEBHOOK)
        return true;
    const struct db_value values[] = {db_text(notification->id), db_int64(NOTICE_TEST),
                                      db_int64(now_ms - CIVIL_MINUTE_MS), db_int64(now_ms)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM notices WHERE notification_id = $1"
                            " AND event = $2 AND created_at_ms > $3 AND created_at_ms <= $4",
                            values, ARRAY_COUNT(values), &count, err));
    return count == 0 ||
           err_set(err, ERR_CONFLICT, "A test notice was sent less than a minute ago");
}

static bool notification_test_body(struct catalog *catalog, void *context, struct err *err)
{
    struct notification_testing *testing = context;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct notification notification = {0};
    TRY(notification_get(catalog, testing->scope, testing->id, &arena, &notification, err));
    const struct db_value values[] = {db_text(notification.organization_id),
                                      db_text(notification.id), db_int64(NOTICE_TEST)};
    int64_t count = 0;
    TRY(catalog_query_int64(catalog,
                            "SELECT count(*) FROM notices WHERE organization_id = $1"
                            " AND notification_id = $2 AND state = 0 AND event = $3",
                            values, ARRAY_COUNT(values), &count, err));
    if (count > 0)
        return err_set(err, ERR_CONFLICT, "A test notice is still to be sent");
    TRY(notification_check_pause(catalog, &notification, testing->now_ms, err));
    TRY(notice_emit_test(catalog, &notification, testing->now_ms, testing->notice_id, err));
    return notification_record(catalog, &notification,
                               (struct audit_change){.action = "notification.test"}, err);
}

bool notification_test(struct catalog *catalog, const struct subscription_scope *scope,
                       struct slice id, int64_t now_ms, struct arena *arena,
                       const char **ret_notice_id, struct err *err)
{
    struct notification_testing testing = {.scope = scope, .id = id, .now_ms = now_ms};
    TRY(catalog_run(catalog, notification_test_body, &testing, err));
    *ret_notice_id = arena_copy_text(arena, testing.notice_id);
    return true;
}
