// SPDX-License-Identifier: Apache-2.0
// Subscribing: shape -> topic -> fields and filter -> permissions -> catalog. The catalog makes the
// subscription and its sample job in one step; this file only decides whether it may.
#include "api/api_auth.h"
#include "api/api_handlers.h"
#include "api/api_reply.h"
#include "api/api_report.h"
#include "api/api_subscriptions.h"

static const char *api_subscribed_description(enum subscription_status status)
{
    switch (status) {
    case SUBSCRIPTION_PENDING:
        return "Generating sample report. Subscription will finish after Report is uploaded";
    case SUBSCRIPTION_ACTIVE:
        return "Sample report is uploaded. Subscription is active";
    case SUBSCRIPTION_FAILED:
        return "Sample report could not be made";
    case SUBSCRIPTION_INACTIVE:
        break;
    }
    return "Subscription is deactivated";
}

static void api_write_subscribed(struct api_call *call, const struct subscription *subscription)
{
    struct json_text *json = &call->json;
    const bool is_of_app = subscription->app_id != NULL;
    json_text_open(json, '{');
    json_text_member_text(json, "subscription_id", subscription->id);
    json_text_member_text(json, "status", api_subscription_status(subscription));
    json_text_member_text(json, "description", api_subscribed_description(subscription->status));
    json_text_member_text(
        json, "subscription_url",
        arena_format(call->arena, "%s/scheduled-exports/exports/logs/subscription/%s?%s=%s",
                     api_base_url(call), subscription->id, is_of_app ? "app_id" : "organization_id",
                     is_of_app ? subscription->app_id : subscription->organization_id));
    json_text_close(json, '}');
}

bool api_subscribe(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct report report = {0};
    int64_t topic_id = 0;
    int64_t limit = 0;
    TRY(api_call_object(call, &body, err));
    TRY(api_scope_to_body(call, body, err));
    TRY(report_parse(body, call->arena, &report, err));
    TRY(api_accept_report(call, &report, &topic_id, err));
    TRY(tenant_subscription_limit(call->catalog, call->identity.organization_id,
                                  call->api->config.settings.subscription_limit, &limit, err));
    const struct subscription_request request = {
        .organization_id = call->identity.organization_id,
        .app_id = call->app_id,
        .report = &report,
        .topic_id = topic_id,
        .now_ms = call->now_ms,
        .limit = limit,
    };
    struct subscription subscription = {0};
    TRY(subscription_create(call->catalog, &request, call->arena, &subscription, err));
    api_write_subscribed(call, &subscription);
    api_call_changed(call);
    return true;
}

bool api_subscribe_replay(struct api_call *call, const char *subscription_id, struct err *err)
{
    struct subscription subscription = {0};
    const struct subscription_scope scope = api_call_scope(call);
    TRY(subscription_get(call->catalog, &scope, slice_text(subscription_id), call->arena,
                         &subscription, err));
    api_write_subscribed(call, &subscription);
    return true;
}
