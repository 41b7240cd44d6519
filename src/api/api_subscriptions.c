// SPDX-License-Identifier: Apache-2.0
// Calls about existing subscriptions, of both surfaces. Edits are in api_subscription_edit.c.
#include "api/api_subscriptions.h"
#include "api/api_handlers.h"

#include <inttypes.h>

#include "api/api_etag.h"
#include "api/api_page.h"
#include "api/api_reply.h"
#include "api/api_write.h"
#include "base/civil.h"
#include "catalog/subscription_windows.h"

#define API_VERSIONS_MAX 1000 // the newest ones are listed

static bool api_is_native(const struct api_call *call)
{
    return call->match.route->access == API_ACCESS_NATIVE;
}

const char *api_subscription_status(const struct subscription *subscription)
{
    // While the sample runs, whether it will ever be active comes first.
    if (subscription->is_paused && subscription->status == SUBSCRIPTION_ACTIVE)
        return "PAUSED";
    return subscription_status_name(subscription->status);
}

// --- Bodies

static void api_write_probe(struct json_text *json, const struct subscription *subscription)
{
    json_text_key(json, "probe");
    json_text_open(json, '{');
    if (subscription->probed_at_ms > 1) // 1: it is to be tried
        api_write_time(json, "probed_at", subscription->probed_at_ms);
    json_text_member_text(json, "failure", subscription->probe_failure);
    json_text_close(json, '}');
}

static void api_write_subscription(struct api_call *call, const struct subscription *subscription)
{
    struct json_text *json = &call->json;
    const char *status = api_subscription_status(subscription);
    json_text_open(json, '{');
    json_text_member_text(json, "subscription_id", subscription->id);
    json_text_member_text(json, "status", status);
    if (subscription->reason != NULL)
        json_text_member_text(json, "reason", subscription->reason);
    json_text_key(json, "report");
    json_text_open(json, '{');
    report_write_members(&subscription->report, json);
    json_text_member_text(json, "subscription_status", status);
    json_text_close(json, '}');
    json_text_key(json, "destination");
    json_text_raw(json, slice_text(subscription->report.destination_json));
    if (api_is_native(call)) {
        json_text_member_text(json, "app_id", subscription->app_id);
        json_text_member_text(json, "organization_id", subscription->organization_id);
        json_text_member_int64(json, "version", subscription->version);
        json_text_member_bool(json, "paused", subscription->is_paused);
        api_write_time(json, "created_at", subscription->created_at_ms);
        if (subscription->deactivated_at_ms != 0)
            api_write_time(json, "deactivated_at", subscription->deactivated_at_ms);
        if (subscription->report.destination == REPORT_CLOUD)
            api_write_probe(json, subscription);
    }
    json_text_close(json, '}');
}

// Changes with every change that a client makes, and with what became of the sample.
static const char *api_subscription_tag(const struct api_call *call,
                                        const struct subscription *subscription)
{
    return arena_format(call->arena, "\"%" PRId64 "-%s\"", subscription->change_count,
                        api_subscription_status(subscription));
}

void api_stage_subscription(struct api_call *call, const struct subscription *subscription)
{
    api_write_subscription(call, subscription);
    if (api_is_native(call))
        api_stage_etag(call, api_subscription_tag(call, subscription));
}

bool api_check_subscription_match(struct api_call *call, const struct subscription *subscription,
                                  bool *ret_is_conditional, struct err *err)
{
    size_t count = 0;
    (void)http_header(call->request, "If-Match", &count);
    TRY(api_check_if_match(call, api_subscription_tag(call, subscription),
                           "Subscription was changed by another request", err));
    *ret_is_conditional = count > 0;
    return true;
}

// --- Reading

bool api_find_subscription(struct api_call *call, struct subscription *ret_subscription,
                           struct err *err)
{
    const struct subscription_scope scope = api_call_scope(call);
    TRY(api_call_catalog(call, err));
    return subscription_get(call->catalog, &scope, call->match.params[0], call->arena,
                            ret_subscription, err);
}

bool api_subscription_get(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    bool is_conditional = false;
    TRY(api_find_subscription(call, &subscription, err));
    if (api_is_native(call))
        TRY(api_check_subscription_match(call, &subscription, &is_conditional, err));
    api_stage_subscription(call, &subscription);
    return true;
}

bool api_subscription_list(struct api_call *call, struct err *err)
{
    struct subscription *subscriptions = NULL;
    size_t count = 0;
    struct api_page page;
    const struct subscription_scope scope = api_call_scope(call);
    TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
    TRY(api_call_catalog(call, err));
    TRY(subscription_list(call->catalog, &scope, call->arena, &subscriptions, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++) {
        const struct api_place place = {subscriptions[i].created_at_ms, subscriptions[i].id};
        if (api_page_takes(&page, place))
            api_write_subscription(call, &subscriptions[i]);
    }
    json_text_close(&call->json, ']');
    api_page_close(&page);
    return true;
}

static void api_write_version(struct json_text *json, const struct subscription_version *version)
{
    json_text_open(json, '{');
    json_text_member_int64(json, "version", version->version);
    if (version->from_ms == 0)
        json_text_member_text(json, "from", NULL);
    else
        api_write_time(json, "from", version->from_ms);
    api_write_time(json, "created_at", version->created_at_ms);
    json_text_key(json, "report");
    json_text_open(json, '{');
    report_write_members(&version->report, json);
    json_text_close(json, '}');
    json_text_key(json, "destination");
    json_text_raw(json, slice_text(version->report.destination_json));
    json_text_close(json, '}');
}

bool api_subscription_versions(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    struct subscription_version *versions = NULL;
    size_t count = 0;
    TRY(api_find_subscription(call, &subscription, err));
    TRY(subscription_versions(call->catalog, subscription.id, API_VERSIONS_MAX, call->arena,
                              &versions, &count, err));
    json_text_open(&call->json, '[');
    for (size_t i = 0; i < count; i++)
        api_write_version(&call->json, &versions[i]);
    json_text_close(&call->json, ']');
    return true;
}

// --- Ending

bool api_subscription_delete(struct api_call *call, struct err *err)
{
    const struct subscription_scope scope = api_call_scope(call);
    TRY(subscription_deactivate(call->catalog, &scope, call->match.params[0], call->now_ms, err));
    api_write_success(call, "Subscription deactivated successfully");
    api_call_changed(call);
    return true;
}

// --- The organization's id in trust policies

bool api_subscription_external_id(struct api_call *call, struct err *err)
{
    struct tenant_organization organization = {0};
    TRY(api_call_catalog(call, err));
    TRY(tenant_get_organization(call->catalog, call->identity.organization_id, call->arena,
                                &organization, err));
    json_text_open(&call->json, '{');
    json_text_member_text(&call->json, "external_id", organization.external_id);
    json_text_close(&call->json, '}');
    return true;
}

// --- Past windows

static bool api_date_member(struct api_call *call, const struct json_node *body, const char *name,
                            int64_t *ret_time_ms, struct err *err)
{
    struct slice text;
    TRY(api_call_text_member(call, body, name, &text, err));
    if (!civil_parse(text, ret_time_ms))
        return api_refuse(call, err, 400, "Invalid date");
    return true;
}

bool api_subscription_backfill(struct api_call *call, struct err *err)
{
    struct subscription subscription = {0};
    const struct json_node *body = NULL;
    int64_t start_ms = 0;
    int64_t end_ms = 0;
    int64_t window_count = 0;
    int64_t created_count = 0;
    TRY(api_find_subscription(call, &subscription, err));
    TRY(api_call_object(call, &body, err));
    TRY(api_date_member(call, body, "start_date", &start_ms, err));
    TRY(api_date_member(call, body, "end_date", &end_ms, err));
    if (subscription.status == SUBSCRIPTION_INACTIVE || subscription.status == SUBSCRIPTION_FAILED)
        return api_refuse(call, err, 409, "Subscription is not active");
    TRY(job_backfill(call->catalog, subscription.id, start_ms, end_ms, call->now_ms, &window_count,
                     &created_count, err));
    json_text_open(&call->json, '{');
    json_text_member_int64(&call->json, "windows", window_count);
    json_text_member_int64(&call->json, "created", created_count);
    json_text_close(&call->json, '}');
    api_call_changed(call);
    return true;
}
