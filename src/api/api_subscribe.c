// SPDX-License-Identifier: Apache-2.0
// Subscribing: shape -> topic -> fields and filter -> permissions -> catalog. The catalog makes the
// subscription and its sample job in one step; this file only decides whether it may.
#include "api/api_auth.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "base/mem.h"

static bool api_check_destination(struct api_call *call, const struct report *report,
                                  struct err *err)
{
    switch (report->destination) {
    case REPORT_BRANCH:
        return true;
    case REPORT_CLOUD:
        return api_refuse(call, err, 400, "Destination not enabled on this server: cloud");
    case REPORT_EMAIL:
        break;
    }
    return api_refuse(call, err, 400, "Destination not enabled on this server: email");
}

struct api_sensitive {
    const struct schema *schema;
    const char *found; // first sensitive field, or NULL
};

static void api_look_at_column(const struct column *column, void *context)
{
    struct api_sensitive *look = context;
    const struct schema_field *field = schema_find(look->schema, slice_text(column->name));
    if (look->found == NULL && field != NULL && field->is_sensitive)
        look->found = column->name;
}

// A filter over a sensitive field tells its values as well as a column does.
static bool api_find_sensitive(struct api_call *call, const struct report *report,
                               struct api_sensitive *look, struct err *err)
{
    for (size_t i = 0; i < report->field_count && !report->wants_all; i++)
        api_look_at_column(&(struct column){.name = report->fields[i]}, look);
    if (look->found != NULL || report->filter_typed == NULL)
        return true;
    struct json_tree *tree CLEANUP(json_tree_free) = NULL;
    const struct filter *filter = NULL;
    TRY(json_tree_parse(slice_text(report->filter_typed), &tree, err));
    TRY(filter_load(json_tree_root(tree), call->arena, &filter, err));
    if (filter != NULL)
        filter_each_column(filter, api_look_at_column, look);
    return true;
}

static bool api_check_permissions(struct api_call *call, const struct report *report,
                                  const struct schema *schema, struct err *err)
{
    if (api_may(call, TENANT_SENSITIVE_DATA))
        return true;
    if (report->wants_all)
        return api_refuse(call, err, 400, "Not authorized for report_fields: all");
    struct api_sensitive look = {.schema = schema};
    TRY(api_find_sensitive(call, report, &look, err));
    if (look.found != NULL)
        return api_refuse(call, err, 400, "Not authorized for report_fields: %s", look.found);
    return true;
}

static bool api_check_report(struct api_call *call, struct report *report,
                             const struct schema *schema, struct err *err)
{
    struct report_bad_fields *bad_fields = arena_alloc(call->arena, sizeof *bad_fields);
    if (report_check(report, schema, call->arena, bad_fields, err))
        return api_check_permissions(call, report, schema, err);
    if (bad_fields->count > 0)
        call->bad_fields = bad_fields;
    return false;
}

static bool api_find_topic(struct api_call *call, const struct report *report,
                           const struct schema **ret_schema, struct err *err)
{
    if (topic_get(call->catalog, call->identity.organization_id, slice_text(report->topic_name),
                  call->arena, ret_schema, err))
        return true;
    if (err->kind == ERR_NOT_FOUND || err->kind == ERR_INVALID)
        return api_refuse(call, err, 400, "Invalid report_type");
    return false;
}

static bool api_find_subscribed_app(struct api_call *call, struct err *err)
{
    if (call->app_id == NULL) // an organization is named, and the token covers several apps
        return api_refuse(call, err, 400, "Missing required parameter: app_id");
    return true;
}

static void api_write_subscribed(struct api_call *call, const struct subscription *subscription)
{
    struct json_text *json = &call->json;
    json_text_open(json, '{');
    json_text_member_text(json, "subscription_id", subscription->id);
    json_text_member_text(json, "status", subscription_status_name(subscription->status));
    json_text_member_text(
        json, "description",
        "Generating sample report. Subscription will finish after Report is uploaded");
    json_text_member_text(
        json, "subscription_url",
        arena_format(call->arena, "%s/scheduled-exports/exports/logs/subscription/%s?app_id=%s",
                     api_base_url(call), subscription->id, subscription->app_id));
    json_text_close(json, '}');
}

bool api_subscribe(struct api_call *call, struct err *err)
{
    const struct json_node *body = NULL;
    struct report report = {0};
    const struct schema *schema = NULL;
    TRY(api_find_subscribed_app(call, err));
    TRY(api_call_object(call, &body, err));
    TRY(report_parse(body, call->arena, &report, err));
    TRY(api_check_destination(call, &report, err));
    TRY(api_find_topic(call, &report, &schema, err));
    TRY(api_check_report(call, &report, schema, err));
    const char *organization_id = call->identity.organization_id;
    if (schema->topic_id == 0) // a built-in topic that nobody of the organization used so far
        TRY(topic_learn(call->catalog, organization_id, slice_text(report.topic_name), NULL, 0,
                        call->now_ms, call->arena, &schema, err));
    int64_t limit = 0;
    TRY(tenant_subscription_limit(call->catalog, organization_id,
                                  call->api->config.settings.subscription_limit, &limit, err));
    const struct subscription_request request = {
        .organization_id = organization_id,
        .app_id = call->app_id,
        .report = &report,
        .topic_id = schema->topic_id,
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
