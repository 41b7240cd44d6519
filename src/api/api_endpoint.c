// SPDX-License-Identifier: Apache-2.0
#include "api/api_endpoint.h"

#include "api/api_reply.h"

// A customer's name server may answer as slowly as it likes, and writer threads are few.
#define API_RESOLVE_TIMEOUT_MS INT64_C(2000)

bool api_endpoint_open(struct api *api, struct err *err)
{
    const struct option_list *networks = &api->config.settings.allowed_networks;
    atomic_init(&api->resolving_count, 0);
    TRY(address_guard_new(networks->items, networks->count, &api->guard, err));
    return address_guard_new(NULL, 0, &api->public_guard, err);
}

void api_endpoint_close(struct api *api)
{
    address_guard_free(&api->guard);
    address_guard_free(&api->public_guard);
}

// Numeric, and allowed by a network that the operator named alone: there the operator answers for
// the wire.
static bool api_endpoint_is_inside(const struct api *api, const struct endpoint *endpoint)
{
    struct err err;
    struct endpoint secure = *endpoint;
    secure.is_https = true;
    return endpoint_check(&secure, api->guard, &err) &&
           !endpoint_check(&secure, api->public_guard, &err);
}

bool api_check_not_own(const struct api_call *call, const struct endpoint *endpoint,
                       struct err *err)
{
    const struct api *api = call->api;
    struct endpoint own;
    struct err ignored; // an address that cannot be asked for cannot be ours
    for (size_t i = 0; api->has_base_url && i < api->base_urls.count; i++) {
        if (endpoint_parse(slice_text(api->base_urls.items[i]), call->arena, &own, &ignored))
            TRY(endpoint_check_other(endpoint, &own, err));
    }
    const char *listen = arena_format(call->arena, "http://%s", api->config.listen_address);
    if (endpoint_parse(slice_text(listen), call->arena, &own, &ignored) &&
        own.port == endpoint->port)
        TRY(endpoint_check_other(endpoint, &own, err));
    return true;
}

// Half of the writers at most wait for names.
bool api_resolve_endpoint(struct api_call *call, const struct endpoint *endpoint,
                          const struct address_guard *guard, struct err *err)
{
    struct api *api = call->api;
    const int64_t limit = (api->config.settings.writer_count + 1) / 2;
    bool is_allowed = false;
    const bool has_room = atomic_fetch_add(&api->resolving_count, 1) < limit;
    if (has_room)
        is_allowed = endpoint_resolve(endpoint, guard, API_RESOLVE_TIMEOUT_MS, err);
    atomic_fetch_sub(&api->resolving_count, 1);
    return has_room ? is_allowed : api_refuse(call, err, 503, "Overloaded");
}

static bool api_judge_endpoint(struct api_call *call, struct slice url, struct err *err)
{
    struct endpoint endpoint;
    TRY(endpoint_parse(url, call->arena, &endpoint, err));
    if (endpoint.is_https || !api_endpoint_is_inside(call->api, &endpoint))
        TRY(endpoint_check(&endpoint, call->api->guard, err));
    TRY(api_check_not_own(call, &endpoint, err));
    if (call->api->config.settings.notify.has_proxy ||
        api_resolve_endpoint(call, &endpoint, call->api->guard, err))
        return true;
    return err->kind == ERR_UNAVAILABLE ? api_refuse(call, err, 400, "Endpoint cannot be resolved")
                                        : false;
}

bool api_refuse_endpoint(struct api_call *call, const struct err *err)
{
    if (call->refusal_status == 0 && err->kind == ERR_DENIED)
        call->refusal_status = 400;
    return false;
}

bool api_check_endpoint(struct api_call *call, struct slice url, struct err *err)
{
    return api_judge_endpoint(call, url, err) || api_refuse_endpoint(call, err);
}
