// SPDX-License-Identifier: Apache-2.0
// Changing a subscription: edits, pauses, resumes. An edit is made of the report as it is now, so
// the catalog takes it only if the subscription has not changed since it was read; else, unless the
// client set a condition of its own, it is made again of the newer one.
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "api/api_report.h"
#include "api/api_subscriptions.h"

#define API_EDIT_ATTEMPTS 10

struct api_edit {
    const struct json_node *patch; // NULL: the report stays
    enum subscription_pausing pausing;
};

static bool api_edit_once(struct api_call *call, const struct api_edit *edit,
                          bool *ret_is_conditional, struct subscription *ret_subscription,
                          struct err *err)
{
    struct subscription subscription = {0};
    struct report report = {0};
    struct subscription_change change = {
        .scope = api_call_scope(call),
        .id = call->match.params[0],
        .now_ms = call->now_ms,
        .pausing = edit->pausing,
    };
    TRY(api_find_subscription(call, &subscription, err));
    TRY(api_check_subscription_match(call, &subscription, ret_is_conditional, err));
    if (subscription.status == SUBSCRIPTION_INACTIVE || subscription.status == SUBSCRIPTION_FAILED)
        return api_refuse(call, err, 409, "Subscription is not active");
    change.change_count = subscription.change_count;
    if (edit->patch != NULL) {
        TRY(report_edit(&subscription.report, edit->patch, call->arena, &report, err));
        TRY(api_accept_report(call, &report, &change.topic_id, err));
        change.report = &report;
    }
    return subscription_change(call->catalog, &change, call->arena, ret_subscription, err);
}

static bool api_edit_subscription(struct api_call *call, const struct api_edit *edit,
                                  struct err *err)
{
    struct subscription subscription = {0};
    bool is_conditional = false;
    bool is_done = false;
    for (int i = 0; i < API_EDIT_ATTEMPTS && !is_done && !is_conditional; i++) {
        is_done = api_edit_once(call, edit, &is_conditional, &subscription, err);
        if (!is_done && err->kind != ERR_CANCELED)
            return false;
    }
    if (!is_done)
        return api_refuse(call, err, is_conditional ? 412 : 409, "%s", err->message);
    api_stage_subscription(call, &subscription);
    api_call_changed(call);
    return true;
}

static bool api_take_paused(struct api_call *call, const struct json_node *body,
                            struct api_edit *edit, struct err *err)
{
    const struct json_node *paused = json_node_get(body, "paused");
    if (json_node_kind(paused) == JSON_KIND_NULL)
        return true;
    if (json_node_kind(paused) != JSON_KIND_BOOL)
        return api_refuse(call, err, 400, "Invalid type: boolean expected");
    edit->pausing = json_node_bool(paused) ? SUBSCRIPTION_PAUSE : SUBSCRIPTION_RESUME;
    return true;
}

static bool api_has_member(const struct json_node *body, const char *name)
{
    return json_node_kind(json_node_get(body, name)) != JSON_KIND_NULL;
}

bool api_subscription_edit(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct api_edit edit = {.pausing = SUBSCRIPTION_KEEP};
    TRY(api_call_object(call, &body, err));
    TRY(api_take_paused(call, body, &edit, err));
    if (api_has_member(body, "report") || api_has_member(body, "destination"))
        edit.patch = body;
    if (edit.patch == NULL && edit.pausing == SUBSCRIPTION_KEEP)
        return api_refuse(call, err, 400, "Missing required field: report");
    return api_edit_subscription(call, &edit, err);
}

bool api_subscription_pause(struct api_call *call, struct err *err)
{
    return api_edit_subscription(call, &(struct api_edit){.pausing = SUBSCRIPTION_PAUSE}, err);
}

bool api_subscription_resume(struct api_call *call, struct err *err)
{
    return api_edit_subscription(call, &(struct api_edit){.pausing = SUBSCRIPTION_RESUME}, err);
}
