// SPDX-License-Identifier: Apache-2.0
// What customers want to be told about. A webhook's secret is made here, shown once, and kept
// sealed. What is sent, and how: src/notify.
#include "api/api_admin_members.h"
#include "api/api_destination.h"
#include "api/api_endpoint.h"
#include "api/api_handlers.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "catalog/notices.h"
#include "model/report_destination.h"

#define API_RECIPIENTS_MAX       ((size_t)10)
#define API_DELIVERIES_LIMIT     ((size_t)100)
#define API_WEBHOOK_SECRET_CHARS ((size_t)40)
#define API_RECIPIENTS_BYTES     ((size_t)4096)

// --- Bodies

static void api_write_events(struct json_text *json, unsigned events)
{
    json_text_key(json, "events");
    json_text_open(json, '[');
    for (size_t i = 0; i < NOTICE_EVENT_COUNT; i++) {
        if ((events & 1U << i) != 0)
            json_text_string(json, slice_text(notice_event_name((enum notice_event)i)));
    }
    json_text_close(json, ']');
}

static void api_write_recipients(struct json_text *json, const char *target)
{
    struct slice rest = slice_text(target);
    struct slice address;
    json_text_key(json, "recipient_emails");
    json_text_open(json, '[');
    while (notification_next_address(&rest, &address))
        json_text_string(json, address);
    json_text_close(json, ']');
}

// *secret is shown, as null when there is none; secret NULL: it is not spoken of.
static void api_write_notification(const struct api_call *call, struct json_text *json,
                                   const struct notification *notification,
                                   const char *const *secret)
{
    const bool is_webhook = notification->kind == NOTIFICATION_WEBHOOK;
    json_text_open(json, '{');
    json_text_member_text(json, "notification_id", notification->id);
    json_text_member_text(json, "type", notification_kind_name(notification->kind));
    if (is_webhook)
        json_text_member_text(json, "url", notification->target);
    else
        api_write_recipients(json, notification->target);
    if (is_webhook && secret != NULL)
        json_text_member_text(json, "secret", *secret);
    api_write_events(json, notification->events);
    json_text_member_text(json, "organization_id", notification->organization_id);
    json_text_member_text(json, "app_id", notification->app_id);
    json_text_member_text(json, "subscription_id", notification->subscription_id);
    api_write_time(json, "created_at", notification->created_at_ms);
    if (notification->previous_until_ms > call->now_ms)
        api_write_time(json, "grace_until", notification->previous_until_ms);
    json_text_close(json, '}');
}

// --- What may be asked for

static bool api_take_events(struct api_call *call, const struct json_node *body,
                            unsigned *ret_events, struct err *err)
{
    const struct json_node *list = json_node_get(body, "events");
    if (json_node_kind(list) == JSON_KIND_NULL)
        return true;
    if (json_node_kind(list) != JSON_KIND_ARRAY)
        return api_refuse(call, err, 400, "Invalid type: array expected");
    if (json_node_count(list) == 0)
        return api_refuse(call, err, 400, "Missing required field: events");
    unsigned events = 0;
    for (size_t i = 0; i < json_node_count(list); i++) {
        const struct json_node *item = json_node_at(list, i);
        enum notice_event event;
        if (json_node_kind(item) != JSON_KIND_TEXT)
            return api_refuse(call, err, 400, "Invalid type: string expected");
        if (!notice_event_parse(json_node_text(item), &event))
            return api_refuse(call, err, 400, "Unknown event: %s",
                              slice_chars(json_node_text(item)));
        events |= 1U << event;
    }
    *ret_events = events;
    return true;
}

static bool api_take_url(struct api_call *call, const struct json_node *body,
                         const char **ret_target, struct err *err)
{
    struct slice url;
    TRY(api_call_text_member(call, body, "url", &url, err));
    TRY(api_check_endpoint(call, url, err));
    *ret_target = arena_copy_slice(call->arena, url);
    return true;
}

static bool api_is_repeated(const struct json_node *list, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (slice_equal(json_node_text(json_node_at(list, i)),
                        json_node_text(json_node_at(list, index))))
            return true;
    }
    return false;
}

// As of destinations, with the same texts.
static bool api_take_recipients(struct api_call *call, const struct json_node *body,
                                const char **ret_target, struct err *err)
{
    const struct json_node *list = json_node_get(body, "recipient_emails");
    const size_t count = json_node_count(list);
    if (json_node_kind(list) != JSON_KIND_NULL && json_node_kind(list) != JSON_KIND_ARRAY)
        return api_refuse(call, err, 400, "Invalid type: array expected");
    if (count == 0)
        return api_refuse(call, err, 400, "Missing required field: recipient_emails");
    if (count > API_RECIPIENTS_MAX)
        return api_refuse(call, err, 400, "Too many recipients");
    struct buf target CLEANUP(buf_clear);
    buf_init(&target, API_RECIPIENTS_BYTES);
    for (size_t i = 0; i < count; i++) {
        const struct json_node *item = json_node_at(list, i);
        if (json_node_kind(item) != JSON_KIND_TEXT)
            return api_refuse(call, err, 400, "Invalid type: string expected");
        if (!report_mail_is_valid(json_node_text(item)))
            return api_refuse(call, err, 400, "Invalid e-mail address");
        if (api_is_repeated(list, i))
            continue;
        buf_append_text(&target, i == 0 ? "" : " ");
        buf_append(&target, json_node_text(item));
    }
    TRY(buf_check(&target, err));
    if (!call->api->config.settings.notify.has_mail)
        return api_refuse(call, err, 400, "Notifications by e-mail are not enabled on this server");
    for (size_t i = 0; i < count; i++)
        TRY(api_check_recipient(call, json_node_text(json_node_at(list, i)), err));
    *ret_target = arena_copy_slice(call->arena, buf_slice(&target));
    return true;
}

static bool api_take_type(struct api_call *call, const struct json_node *body,
                          enum notification_kind *ret_kind, struct err *err)
{
    struct slice type;
    TRY(api_call_text_member(call, body, "type", &type, err));
    if (slice_equal_text(type, notification_kind_name(NOTIFICATION_WEBHOOK)))
        *ret_kind = NOTIFICATION_WEBHOOK;
    else if (slice_equal_text(type, notification_kind_name(NOTIFICATION_EMAIL)))
        *ret_kind = NOTIFICATION_EMAIL;
    else
        return api_refuse(call, err, 400, "Invalid notification type");
    return true;
}

static bool api_take_target(struct api_call *call, const struct json_node *body,
                            enum notification_kind kind, const char **ret_target, struct err *err)
{
    const char *other = kind == NOTIFICATION_WEBHOOK ? "recipient_emails" : "url";
    if (json_node_kind(json_node_get(body, other)) != JSON_KIND_NULL)
        return api_refuse(call, err, 400, "Notifications of type %s have no %s",
                          notification_kind_name(kind), other);
    return kind == NOTIFICATION_WEBHOOK ? api_take_url(call, body, ret_target, err)
                                        : api_take_recipients(call, body, ret_target, err);
}

// --- Secrets

static const char *api_seal_secret(struct api_call *call, const char *notification_id,
                                   const char *secret)
{
    ASSERT(call->api->config.secret_key_count > 0);
    return notification_seal(&call->api->config.secret_keys[0], notification_id, slice_text(secret),
                             call->arena);
}

static const char *api_new_secret(struct api_call *call)
{
    char random[API_WEBHOOK_SECRET_CHARS + 1];
    rng_text(rng_system(), random, API_WEBHOOK_SECRET_CHARS);
    return arena_format(call->arena, "whsec_%s", random);
}

// --- Calls

static bool api_find_notification(struct api_call *call, struct notification *ret_notification,
                                  struct err *err)
{
    const struct subscription_scope scope = api_call_scope(call);
    TRY(api_call_catalog(call, err));
    return notification_get(call->catalog, &scope, call->match.params[0], call->arena,
                            ret_notification, err);
}

bool api_notification_list(struct api_call *call, struct err *err)
{
    struct notification *notifications = NULL;
    size_t count = 0;
    struct api_page page;
    const struct subscription_scope scope = api_call_scope(call);
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(api_call_catalog(call, err));
    TRY(notification_list(call->catalog, &scope, call->arena, &notifications, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++) {
        const struct api_place place = {notifications[i].created_at_ms, notifications[i].id};
        if (api_page_takes(&page, place))
            api_write_notification(call, &call->json, &notifications[i], NULL);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

bool api_notification_get(struct api_call *call, struct err *err)
{
    struct notification notification;
    TRY(api_find_notification(call, &notification, err));
    api_write_notification(call, &call->json, &notification, NULL);
    return true;
}

bool api_notification_replay(struct api_call *call, const char *id, struct err *err)
{
    struct notification notification;
    const char *secret = NULL; // it was shown once
    const struct subscription_scope scope = api_call_scope(call);
    TRY(notification_get(call->catalog, &scope, slice_text(id), call->arena, &notification, err));
    api_write_notification(call, &call->json, &notification, &secret);
    return true;
}

bool api_notification_create(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct slice subscription_id;
    struct notification_request request = {
        .id = notification_make_id(call->arena),
        .scope = api_call_scope(call),
        .events = NOTICE_ALL_EVENTS,
        .limit = call->api->config.settings.notify.limit,
        .now_ms = call->now_ms,
    };
    TRY(api_call_object(call, &body, err));
    TRY(api_take_type(call, body, &request.kind, err));
    TRY(api_take_events(call, body, &request.events, err));
    TRY(api_call_id_member(call, body, "subscription_id", &subscription_id, err));
    if (!slice_is_empty(subscription_id))
        request.subscription_id = arena_copy_slice(call->arena, subscription_id);
    TRY(api_take_target(call, body, request.kind, &request.target, err));
    const bool is_webhook = request.kind == NOTIFICATION_WEBHOOK;
    const char *secret = is_webhook ? api_new_secret(call) : NULL;
    request.sealed_secret = is_webhook ? api_seal_secret(call, request.id, secret) : NULL;
    struct notification made;
    if (!notification_create(call->catalog, &request, call->arena, &made, err))
        return err->kind == ERR_NOT_FOUND ? api_refuse(call, err, 404, "Subscription not found")
                                          : false;
    api_write_notification(call, &call->json, &made, &secret);
    return true;
}

// What it is about and how it is told stay as they were made.
static bool api_refuse_fixed(struct api_call *call, const struct json_node *body,
                             const struct notification *notification, struct err *err)
{
    const struct json_node *subscription = json_node_get(body, "subscription_id");
    enum notification_kind kind = notification->kind;
    if (json_node_kind(json_node_get(body, "type")) != JSON_KIND_NULL)
        TRY(api_take_type(call, body, &kind, err));
    if (kind != notification->kind)
        return api_refuse(call, err, 400, "type cannot be changed");
    if (json_node_kind(subscription) != JSON_KIND_NULL &&
        !slice_equal(json_node_text(subscription), slice_text(notification->subscription_id)))
        return api_refuse(call, err, 400, "subscription_id cannot be changed");
    return true;
}

bool api_notification_update(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct notification notification;
    struct notification_change change = {.scope = api_call_scope(call),
                                         .id = call->match.params[0]};
    TRY(api_find_notification(call, &notification, err));
    TRY(api_call_object(call, &body, err));
    TRY(api_refuse_fixed(call, body, &notification, err));
    TRY(api_take_events(call, body, &change.events, err));
    const bool is_webhook = notification.kind == NOTIFICATION_WEBHOOK;
    const char *member = is_webhook ? "url" : "recipient_emails";
    const char *other = is_webhook ? "recipient_emails" : "url";
    if (json_node_get(body, member) != NULL ||
        json_node_kind(json_node_get(body, other)) != JSON_KIND_NULL)
        TRY(api_take_target(call, body, notification.kind, &change.target, err));
    else if (change.events == 0)
        return api_refuse(call, err, 400, "Missing required field: %s", member);
    TRY(notification_update(call->catalog, &change, call->arena, &notification, err));
    api_write_notification(call, &call->json, &notification, NULL);
    return true;
}

bool api_notification_rotate(struct api_call *call, struct err *err)
{
    struct notification notification;
    struct notification_rotation rotation = {
        .scope = api_call_scope(call), .id = call->match.params[0], .now_ms = call->now_ms};
    const char *secret = api_new_secret(call);
    TRY(api_admin_grace(call, &rotation.grace_ms, err));
    TRY(api_find_notification(call, &notification, err));
    rotation.sealed_secret = api_seal_secret(call, notification.id, secret);
    TRY(notification_rotate(call->catalog, &rotation, call->arena, &notification, err));
    api_write_notification(call, &call->json, &notification, &secret);
    return true;
}

bool api_notification_delete(struct api_call *call, struct err *err)
{
    const struct subscription_scope scope = api_call_scope(call);
    TRY(notification_delete(call->catalog, &scope, call->match.params[0], call->now_ms, err));
    api_write_success(call, "Notification deleted");
    return true;
}

bool api_notification_test(struct api_call *call, struct err *err)
{
    const struct subscription_scope scope = api_call_scope(call);
    const char *notice_id = NULL;
    TRY(notification_test(call->catalog, &scope, call->match.params[0], call->now_ms, call->arena,
                          &notice_id, err));
    json_text_open(&call->json, '{');
    json_text_member_text(&call->json, "notice_id", notice_id);
    json_text_close(&call->json, '}');
    api_call_changed(call);
    return true;
}

// --- The delivery log

static void api_write_delivery(struct json_text *json, const struct notice_try *one)
{
    json_text_open(json, '{');
    json_text_member_text(json, "notice_id", one->notice_id);
    json_text_member_text(json, "event", notice_event_name(one->event));
    json_text_member_text(json, "notice_status", notice_state_name(one->state));
    if (one->recipient != NULL)
        json_text_member_text(json, "recipient", one->recipient);
    json_text_member_int64(json, "attempt", one->number);
    api_write_time(json, "at", one->at_ms);
    json_text_member_int64(json, "took_ms", one->took_ms);
    json_text_key(json, "status");
    if (one->status == 0)
        json_text_null(json);
    else
        json_text_int64(json, one->status);
    json_text_member_text(json, "reason", one->reason);
    json_text_close(json, '}');
}

bool api_notification_deliveries(struct api_call *call, struct err *err)
{
    struct notification notification;
    struct notice_try *tries = NULL;
    struct api_page page;
    size_t count = 0;
    TRY(api_page_open(call, API_PAGE_DESCENDING, &page, err));
    TRY(api_find_notification(call, &notification, err));
    if (!page.has_limit) // it may be long
        page.limit = API_DELIVERIES_LIMIT;
    const struct notice_tries_query query = {
        .notification_id = notification.id,
        .before_id = page.has_start ? page.start.number : 0,
        .limit = (int64_t)page.limit + 1, // whether there are more
    };
    TRY(notice_tries(call->catalog, &query, call->arena, &tries, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++) {
        if (api_page_takes(&page, (struct api_place){tries[i].id, NULL}))
            api_write_delivery(&call->json, &tries[i]);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}
