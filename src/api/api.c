// SPDX-License-Identifier: Apache-2.0
// Opening and closing, and the way of a request:
//
//   head      match the route; ingest authenticates here and refuses before the body comes, and so
//             does every call whose client waits to be asked for the body
//   body      kept (JSON calls) or streamed into the batch (ingest)
//   complete  authenticate -> INLINE: run, reply
//                          -> DEFERRED: suspend, queue; a writer thread runs, replies, resumes
//                             either may wait for jobs first: suspended, then as DEFERRED again
//                          -> BUCKET: reply, or as DEFERRED for a file not read yet
//                          -> STREAMED: suspend, submit; the committer replies, resumes
//   ended     free, count, log
//
// Whoever resumes does so with its last touch of the call: ended may follow at once.
#include "api/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "api/api_actor.h"
#include "api/api_auth.h"
#include "api/api_bucket.h"
#include "api/api_budget.h"
#include "api/api_cors.h"
#include "api/api_destination.h"
#include "api/api_digests.h"
#include "api/api_endpoint.h"
#include "api/api_executor.h"
#include "api/api_idempotency.h"
#include "api/api_log.h"
#include "api/api_rate.h"
#include "api/api_reply.h"
#include "api/api_wait.h"
#include "base/check.h"
#include "base/mem.h"

#define API_REPLY_BYTES_MAX ((size_t)32 * 1024 * 1024)

static bool api_is_streamed(const struct api_call *call)
{
    return call->match.route != NULL && call->match.route->mode == API_MODE_STREAMED;
}

static bool api_is_bucket(const struct api_call *call)
{
    return call->match.route != NULL && call->match.route->mode == API_MODE_BUCKET;
}

static void api_return_catalog(struct api_call *call)
{
    if (call->handle.catalog == NULL)
        return;
    api_handles_give(call->api->handles, &call->handle);
    call->catalog = NULL;
}

static void api_refuse_now(struct api_call *call, const struct err *err)
{
    api_stage_failure(call, err);
    api_send(call);
}

// A path that no row has, or a method that the path does not take. "OPTIONS *", TRACE and unknown
// methods are the server's affair.
static void api_reply_unmatched(struct api_call *call)
{
    const bool is_known = call->match.allow[0] != '\0';
    if (is_known)
        http_add_header(call->request, "Allow", call->match.allow);
    if (is_known && slice_equal_text(http_method(call->request), "OPTIONS")) {
        api_cors_preflight(call, call->match.allow);
        call->status = 204;
        http_reply(call->request, 204, slice_of(NULL, 0));
        return;
    }
    if (api_bucket_is_client(call)) {
        api_bucket_send_unmatched(call);
        return;
    }
    api_stage_error(call, is_known ? 405 : 404, is_known ? "Method not allowed" : "Not found");
    api_send(call);
}

static bool api_check_encoding(struct api_call *call, struct err *err)
{
    size_t count = 0;
    const struct slice encoding = http_header(call->request, "Content-Encoding", &count);
    if (count == 0 || slice_equal_text(encoding, "identity"))
        return true;
    return api_refuse(call, err, 415, "Unsupported content encoding");
}

// Judges a call by its head. True: it may run; false: it has its reply. Twice is no harm.
static bool api_admit(struct api_call *call)
{
    struct err err;
    if (call->match.route == NULL) {
        api_reply_unmatched(call);
        return false;
    }
    if (api_is_bucket(call)) {
        const bool is_served = api_bucket_serve(call);
        api_return_catalog(call);
        return !is_served;
    }
    if (api_check_encoding(call, &err) && api_authenticate(call, &err) &&
        api_take_budget(call, &err))
        return true;
    api_return_catalog(call);
    api_refuse_now(call, &err);
    return false;
}

static void api_head(struct http_request *request, void *context)
{
    struct api *api = context;
    struct arena *arena = http_arena(request);
    struct api_call *call = arena_alloc(arena, sizeof *call);
    call->api = api;
    call->request = request;
    call->arena = arena;
    call->now_ms = clock_wall_ms(api->config.clock);
    call->started_boot_ms = clock_boot_ms(api->config.clock);
    buf_init(&call->body, (size_t)api->config.settings.body_bytes);
    buf_init(&call->reply, API_REPLY_BYTES_MAX);
    json_text_init(&call->json, &call->reply);
    http_set_state(request, call);
    api_route_match(http_method(request), http_path(request), &call->match);
    api_cors_begin(call);
    if (!api_is_streamed(call)) {
        http_set_body_limit(request, api->config.settings.body_bytes);
        // Uploads to the bucket are refused before they come.
        const bool is_upload = call->match.route == NULL && api_bucket_is_client(call);
        if ((is_upload || http_expects_continue(request)) && api_admit(call))
            api_return_catalog(call);
        return;
    }
    http_set_body_limit(request, api->config.settings.ingest_body_bytes);
    struct err err;
    const bool is_wanted = api_authenticate(call, &err) && api_take_budget(call, &err) &&
                           api_ingest_head(call, &err);
    api_return_catalog(call);
    if (!is_wanted)
        api_refuse_now(call, &err);
}

static size_t api_body(struct http_request *request, struct slice bytes, void *context)
{
    (void)context;
    struct api_call *call = http_state(request);
    if (!api_is_streamed(call)) {
        buf_append(&call->body, bytes);
        return bytes.size_bytes;
    }
    struct err err;
    size_t taken_bytes = 0;
    if (!api_ingest_body(call, bytes, &taken_bytes, &err))
        api_refuse_now(call, &err);
    return taken_bytes;
}

// The handler, or what it left for when it has waited.
static bool api_handle(struct api_call *call, struct err *err)
{
    const struct api_route *route = call->match.route;
    bool (*resume)(struct api_call * call, struct err * err) = call->suspension.resume;
    call->suspension = (struct api_suspension){0};
    if (resume != NULL)
        return resume(call, err);
    return route->replay == NULL ? route->handler(call, err) : api_create_once(call, err);
}

// Stages the handler's reply, or leaves call->suspension.
static void api_run(struct api_call *call)
{
    struct err err;
    call->status = 200;
    if (api_handle(call, &err))
        return;
    call->suspension = (struct api_suspension){0};
    api_stage_failure(call, &err);
}

// Who has no place to wait in gets what would come when the time is over.
static bool api_may_wait(struct api_call *call)
{
    if (api_wait_reserve(call->api->wait, call->identity.organization_id))
        return true;
    call->is_there = false;
    while (call->suspension.resume != NULL) // each step may want to wait again
        api_run(call);
    return false;
}

// The connection is suspended, and a place is taken. The last touch of the call.
static void api_begin_waiting(struct api_call *call)
{
    const struct api_suspension *suspension = &call->suspension;
    const struct api_wait_entry entry = {
        .item = call,
        .organization_id = call->identity.organization_id,
        .job_ids = suspension->job_ids,
        .job_count = suspension->job_count,
        .seal_seq = suspension->seal_seq,
        .until_boot_ms = call->started_boot_ms + suspension->timeout_ms,
    };
    api_wait_add(call->api->wait, &entry);
}

static void api_run_deferred(void *item, struct catalog *catalog)
{
    struct api_call *call = item;
    if (api_is_streamed(call)) {
        api_ingest_finish(call);
        return;
    }
    ASSERT(call->catalog == NULL);
    call->catalog = catalog;
    bool waits = false;
    if (api_is_bucket(call)) {
        api_bucket_read_and_serve(call);
    } else {
        api_actor_enter(call);
        api_run(call);
        waits = call->suspension.resume != NULL && api_may_wait(call);
        api_actor_leave(call);
    }
    call->catalog = NULL;
    if (waits) {
        api_begin_waiting(call);
        return;
    }
    if (!api_is_bucket(call))
        api_send(call);
    http_resume(call->request);
}

// What the call waited for is there, or its time is over: on with it, on a writer thread when there
// is room.
static void api_waited(void *item, bool is_there, struct catalog *catalog)
{
    struct api_call *call = item;
    struct api_executor *executor = call->api->executor;
    const char *organization_id = call->identity.organization_id;
    call->is_there = is_there;
    if (api_executor_reserve(executor, organization_id))
        api_executor_add(executor, organization_id, call);
    else
        api_run_deferred(call, catalog);
}

// False when the organization has no place in the queue.
static bool api_defer(struct api_call *call)
{
    struct api_executor *executor = call->api->executor;
    // Another thread may end the call before api_executor_add returns.
    const char *organization_id = call->identity.organization_id;
    TRY(api_executor_reserve(executor, organization_id));
    http_suspend(call->request);
    api_executor_add(executor, organization_id, call);
    return true;
}

static void api_complete_streamed(struct api_call *call)
{
    struct err err;
    if (api_ingest_is_large(call) && api_defer(call))
        return;
    if (!api_ingest_complete(call, &err))
        api_refuse_now(call, &err);
}

static void api_refuse_overload(struct api_call *call)
{
    if (api_is_bucket(call)) {
        api_bucket_overloaded(call);
        return;
    }
    call->failure = "the queue for writers is full";
    api_stage_error(call, 503, "Overloaded");
    api_send(call);
}

static void api_complete(struct http_request *request, void *context)
{
    (void)context;
    struct api_call *call = http_state(request);
    if (api_is_streamed(call)) {
        api_complete_streamed(call);
        return;
    }
    if (!api_admit(call))
        return;
    if (call->match.route->mode == API_MODE_DEFERRED || api_is_bucket(call)) {
        api_return_catalog(call);
        if (!api_defer(call))
            api_refuse_overload(call);
        return;
    }
    ASSERT(call->match.route->mode == API_MODE_INLINE);
    api_run(call);
    const bool waits = call->suspension.resume != NULL && api_may_wait(call);
    api_return_catalog(call);
    if (!waits) {
        api_send(call);
        return;
    }
    http_suspend(request);
    api_begin_waiting(call);
}

static void api_count(const struct api_call *call, int status)
{
    const struct api_route *route = call->match.route;
    const size_t row = route == NULL ? api_route_count : (size_t)(route - api_routes);
    const size_t class = status >= 100 && status < 600 ? (size_t)status / 100 : 0;
    atomic_fetch_add_explicit(&call->api->request_counts[row * API_STATUS_CLASSES + class], 1,
                              memory_order_relaxed);
}

static void api_ended(struct http_request *request, void *context)
{
    (void)context;
    struct api_call *call = http_state(request);
    if (call == NULL)
        return;
    const int status = http_has_reply(request) ? http_reply_status(request) : 0;
    api_count(call, status);
    api_log_request(call, status);
    api_ingest_ended(call);
    api_return_catalog(call);
    json_tree_free(&call->tree);
    buf_clear(&call->body);
    buf_clear(&call->reply);
    http_set_state(request, NULL);
}

static void api_error_body(int status, const char *message, struct arena *arena,
                           struct slice *ret_body, void *context)
{
    (void)context;
    struct buf body;
    buf_init(&body, 4096);
    api_write_error(&body, status, message, NULL);
    const struct slice bytes = buf_slice(&body);
    *ret_body = slice_of(arena_copy_slice(arena, bytes), bytes.size_bytes);
    buf_clear(&body);
}

// --- Opening

static bool api_base_url_is_valid(struct slice url)
{
    const struct slice http = slice_text("http://");
    const struct slice https = slice_text("https://");
    if (slice_starts_with(url, https))
        url = slice_from(url, https.size_bytes);
    else if (slice_starts_with(url, http))
        url = slice_from(url, http.size_bytes);
    else
        return false;
    const char *bytes = slice_chars(url);
    for (size_t i = 0; i < url.size_bytes; i++) {
        if (bytes[i] <= ' ' || bytes[i] >= 127 || strchr("/?#@\"\\<>", bytes[i]) != NULL)
            return false;
    }
    return url.size_bytes > 0 && url.size_bytes <= 512;
}

// Without a path: the signature covers the path, and clients of Branch have none before it either.
static bool api_set_base_urls(struct api *api, struct err *err)
{
    const struct option_list *given = &api->config.settings.base_urls;
    for (size_t i = 0; i < given->count; i++) {
        struct slice url = slice_text(given->items[i]);
        if (url.size_bytes > 0 && slice_chars(url)[url.size_bytes - 1] == '/')
            url = slice_part(url, 0, url.size_bytes - 1);
        if (!api_base_url_is_valid(url))
            return err_set(err, ERR_INVALID, "base URL %s: http(s)://HOST[:PORT] expected",
                           given->items[i]);
        api->base_urls.items[api->base_urls.count++] = arena_copy_slice(&api->arena, url);
    }
    api->has_base_url = api->base_urls.count > 0;
    if (api->has_base_url)
        return true;
    ASSERT(api->config.listen_address != NULL);
    api->base_urls.items[api->base_urls.count++] = arena_format(
        &api->arena, "%s://%s", api->config.tls_certificate_pem == NULL ? "http" : "https",
        api->config.listen_address);
    return true;
}

// What a proxy may have in an absolute-form target: the base URLs without their scheme.
static const char *const *api_authorities(struct api *api)
{
    const size_t count = api->base_urls.count;
    const char **authorities = arena_alloc_array(&api->arena, count, sizeof *authorities);
    for (size_t i = 0; i < count; i++)
        authorities[i] = strstr(api->base_urls.items[i], "://") + strlen("://");
    return authorities;
}

static bool api_start(struct api *api, struct err *err)
{
    const struct api_settings *settings = &api->config.settings;
    TRY(api_set_base_urls(api, err));
    TRY(api_cors_check(settings, err));
    TRY(api_endpoint_open(api, err));
    if (api_budget_is_limited(settings))
        api->rate = api_rate_new();
    TRY(api_destination_check_settings(&settings->destinations, err));
    api->digests = api_digests_new();
    api->handles = api_handles_new(api->config.catalog_path);
    const struct api_executor_config executor = {
        .catalog_path = api->config.catalog_path,
        .thread_count = (size_t)settings->writer_count,
        .queue_count = (size_t)settings->writer_queue_count,
        .run = api_run_deferred,
    };
    TRY(api_executor_open(&executor, &api->executor, err));
    const struct api_wait_config wait = {
        .catalog_path = api->config.catalog_path,
        .clock = api->config.clock,
        .limit = (size_t)settings->waiting_count,
        .run = api_waited,
    };
    TRY(api_wait_open(&wait, &api->wait, err));
    const struct http_server_config server = {
        .listen_fd = api->config.listen_fd,
        .thread_count = (int)settings->thread_count,
        .limits = settings->http,
        .tls_certificate_pem = api->config.tls_certificate_pem,
        .tls_key_pem = api->config.tls_key_pem,
        .authorities = api_authorities(api),
        .authority_count = api->base_urls.count,
        .handler =
            {
                .context = api,
                .head = api_head,
                .body = api_body,
                .complete = api_complete,
                .ended = api_ended,
                .error_body = api_error_body,
            },
    };
    api->config.listen_fd = -1;
    return http_server_open(&server, &api->server, err);
}

bool api_open(const struct api_config *config, struct api **ret_api, struct err *err)
{
    struct api *api = mem_alloc(sizeof *api);
    api->config = *config;
    api->started_at_ms = clock_wall_ms(config->clock);
    api->request_counts = mem_alloc_array((api_route_count + 1) * API_STATUS_CLASSES,
                                          sizeof *api->request_counts);
    arena_init(&api->arena);
    if (!api_start(api, err)) {
        api_close(&api, 0);
        return false;
    }
    *ret_api = api;
    return true;
}

void api_close(struct api **api, int64_t drain_ms)
{
    struct api *closing = *api;
    if (closing == NULL)
        return;
    // The server first: what it suspended is resumed by the executor and the log meanwhile, and who
    // waits for a job is told to come again.
    if (closing->wait != NULL)
        api_wait_drain(closing->wait);
    http_server_close(&closing->server, drain_ms);
    api_wait_close(&closing->wait);
    api_executor_close(&closing->executor);
    api_handles_free(&closing->handles);
    api_digests_free(&closing->digests);
    api_rate_free(&closing->rate);
    api_endpoint_close(closing);
    if (closing->config.listen_fd >= 0)
        (void)close(closing->config.listen_fd);
    arena_clear(&closing->arena);
    mem_free(closing->request_counts);
    mem_free(closing);
    *api = NULL;
}
