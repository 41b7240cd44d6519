// SPDX-License-Identifier: Apache-2.0
#include "api/api_destination.h"

#include <strings.h>

#include "api/api_endpoint.h"
#include "api/api_reply.h"
#include "base/check.h"
#include "base/mem.h"
#include "catalog/connections.h"
#include "destination/destination.h"
#include "model/report_destination.h"
#include "net/address_guard.h"

// --- Settings

bool api_destination_check_settings(const struct api_destination_settings *settings,
                                    struct err *err)
{
    const struct option_list *recipients = &settings->mail_allowed_recipients;
    for (size_t i = 0; i < recipients->count; i++) {
        const struct slice text = slice_text(recipients->items[i]);
        const bool is_domain = slice_starts_with(text, slice_text("@"));
        if (is_domain ? !report_mail_domain_is_valid(slice_from(text, 1))
                      : !report_mail_is_valid(text))
            return err_set(err, ERR_INVALID, "allowed recipient %s: an address or @DOMAIN expected",
                           recipients->items[i]);
    }
    return true;
}

// --- Endpoints

// Of a store: an address without a path.
static bool api_endpoint_has_path(const struct endpoint *endpoint)
{
    return endpoint->path[0] != '\0' && strcmp(endpoint->path, "/") != 0;
}

// connection: that the endpoint stands beside, or NULL.
static bool api_judge_customer_endpoint(struct api_call *call, const char *text,
                                        const struct connection *connection, struct err *err)
{
    const struct api *api = call->api;
    const struct api_destination_settings *settings = &api->config.settings.destinations;
    struct endpoint endpoint;
    TRY(endpoint_parse(slice_text(text), call->arena, &endpoint, err));
    TRY(api_check_not_own(call, &endpoint, err));
    TRY(endpoint_check(&endpoint, api->guard, err));
    if (api_endpoint_has_path(&endpoint))
        return err_set(err, ERR_INVALID, "Invalid endpoint URL");
    if (!settings->customer_endpoints || connection == NULL ||
        connection->settings.endpoint != NULL)
        return err_set(err, ERR_DENIED, "Endpoint not allowed");
    if (settings->has_proxy) // it has names of its own
        return true;
    if (api_resolve_endpoint(call, &endpoint, api->guard, err))
        return true;
    return err->kind == ERR_UNAVAILABLE ? err_set(err, ERR_INVALID, "Endpoint cannot be resolved")
                                        : false;
}

bool api_check_operator_endpoint(struct api_call *call, const char *text, struct err *err)
{
    struct endpoint endpoint;
    TRY(endpoint_parse(slice_text(text), call->arena, &endpoint, err));
    if (api_endpoint_has_path(&endpoint))
        return err_set(err, ERR_INVALID, "Invalid endpoint URL");
    struct address_guard *guard CLEANUP(address_guard_free) = NULL;
    TRY(destination_operator_guard_new(&guard, err));
    if (api_resolve_endpoint(call, &endpoint, guard, err) || err->kind == ERR_UNAVAILABLE)
        return true;
    return api_refuse_endpoint(call, err);
}

// --- Clouds

static bool api_refuse_cloud(struct api_call *call, struct err *err)
{
    return api_refuse(call, err, 400, "Destination not enabled on this server: cloud");
}

static bool api_check_role(struct api_call *call, const struct report_cloud *cloud, struct err *err)
{
    const struct api_destination_settings *settings = &call->api->config.settings.destinations;
    const struct slice account = report_role_account(slice_text(cloud->resource_access_id));
    if (!settings->has_aws)
        return api_refuse_cloud(call, err);
    if (settings->aws_account_id != NULL && slice_equal_text(account, settings->aws_account_id))
        return api_refuse(call, err, 400, "Role account not allowed");
    return true;
}

static bool api_check_account(struct api_call *call, const struct report_cloud *cloud,
                              struct err *err)
{
    struct connection connection;
    if (call->api->config.settings.destinations.has_gcp ||
        connection_find_account(call->catalog, call->identity.organization_id,
                                cloud->resource_access_id, call->arena, &connection, err))
        return true;
    return err->kind == ERR_NOT_FOUND ? api_refuse_cloud(call, err) : false;
}

static bool api_find_connection(struct api_call *call, const struct report_cloud *cloud,
                                struct connection *ret_connection, struct err *err)
{
    if (!connection_find(call->catalog, call->identity.organization_id, cloud->resource_access_id,
                         call->arena, ret_connection, err))
        return err->kind == ERR_NOT_FOUND ? report_set_no_access(err, cloud->is_gcs) : false;
    if (connection_kind_is_gcs(ret_connection->kind) != cloud->is_gcs)
        return report_set_no_access(err, cloud->is_gcs);
    return true;
}

static bool api_check_cloud(struct api_call *call, const struct report *report, struct err *err)
{
    struct report_cloud cloud;
    struct connection connection;
    const struct connection *found = NULL;
    TRY(report_read_cloud(report, call->arena, &cloud, err));
    switch (cloud.access) {
    case REPORT_ROLE:
        TRY(api_check_role(call, &cloud, err));
        break;
    case REPORT_ACCOUNT:
        TRY(api_check_account(call, &cloud, err));
        break;
    case REPORT_CONNECTION:
        TRY(api_find_connection(call, &cloud, &connection, err));
        found = &connection;
        break;
    }
    if (cloud.endpoint == NULL || api_judge_customer_endpoint(call, cloud.endpoint, found, err))
        return true;
    return api_refuse_endpoint(call, err);
}

// --- E-mail

static bool api_recipient_is(struct slice address, const char *allowed)
{
    const char *at = memchr(address.data, '@', address.size_bytes);
    ASSERT(at != NULL);
    const size_t local_bytes = (size_t)(at - slice_chars(address));
    const char *allowed_at = strchr(allowed, '@');
    const struct slice allowed_local = slice_of(allowed, (size_t)(allowed_at - allowed));
    return strcasecmp(at, allowed_at) == 0 &&
           (slice_is_empty(allowed_local) ||
            slice_equal(allowed_local, slice_part(address, 0, local_bytes)));
}

bool api_check_recipient(struct api_call *call, struct slice address, struct err *err)
{
    const struct option_list *allowed =
        &call->api->config.settings.destinations.mail_allowed_recipients;
    for (size_t i = 0; i < allowed->count; i++) {
        if (api_recipient_is(address, allowed->items[i]))
            return true;
    }
    return allowed->count == 0 || api_refuse(call, err, 400, "Destination not verified");
}

static bool api_check_email(struct api_call *call, const struct report *report, struct err *err)
{
    const struct api_destination_settings *settings = &call->api->config.settings.destinations;
    struct report_email email;
    if (!settings->has_mail)
        return api_refuse(call, err, 400, "Destination not enabled on this server: email");
    TRY(report_read_email(report, call->arena, &email, err));
    for (size_t i = 0; i < email.count; i++)
        TRY(api_check_recipient(call, slice_text(email.addresses[i]), err));
    return true;
}

bool api_check_destination(struct api_call *call, const struct report *report, struct err *err)
{
    switch (report->destination) {
    case REPORT_BRANCH:
        return true;
    case REPORT_CLOUD:
        return api_check_cloud(call, report, err);
    case REPORT_EMAIL:
        break;
    }
    return api_check_email(call, report, err);
}
