// SPDX-License-Identifier: Apache-2.0
// The server over libmicrohttpd, whose only user this file is. The library polls, does TLS, calls
// us and sends replies; of requests it only sees what the gate lets through (http_gate.h). The life
// of a request there:
//
//   answer, 1st     the head is complete                             checks, handler.head
//   answer, ...     a piece of the body                              handler.body
//   answer, last    the body is complete, again after each resume    handler.complete; reply
//   note_completed  done with it, replied or not                     handler.ended
//
// The library can take a reply in the first call, which always closes the connection afterwards
// (and is what keeps "100 Continue" back), and in the last one; never between. So a reply that is
// ready early waits for the last call unless a body is outstanding.
//
// Other traps of 0.9.75:
// - A connection that is suspended must not be suspended again: that corrupts the library's lists.
//   While a body is handled it may call again for the rest of its buffer after a suspension, unless
//   bytes of the piece were left to it. So we suspend in the last call, and to give others a turn
//   (http_yield), where bytes are left and the resumption follows at once.
// - Bytes that are left without a suspension stay until the client sends more: maybe for ever.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/http_internal.h"

// The memory of a connection holds what the gate makes of the head, in the head's size, and then
// pieces of the body or the head of the reply. Half of it is the first reading buffer. All of it is
// cleared after each request, which costs more than anything else that the library does for a short
// one.
#define HTTP_CONNECTION_SPARE_BYTES ((int64_t)48 * 1024)
#define HTTP_TLS_PRIORITIES         "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

const char *http_server_reason(int status)
{
    return MHD_get_reason_phrase_for((unsigned)status);
}

static struct http_connection *http_connection_of(struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    ASSERT(info != NULL);
    return info->socket_context;
}

// --- Connections

static void http_format_peer(const struct sockaddr *address, char *ret_peer, size_t size_bytes)
{
    ret_peer[0] = '\0';
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        (void)inet_ntop(AF_INET, &v4->sin_addr, ret_peer, (socklen_t)size_bytes); // cannot fail
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            (void)inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], ret_peer, (socklen_t)size_bytes);
        else
            (void)inet_ntop(AF_INET6, &v6->sin6_addr, ret_peer, (socklen_t)size_bytes);
    }
}

static void http_note_connection(void *context, struct MHD_Connection *library,
                                 void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        http_intake_remove(*socket_context);
        http_keeper_remove(server, (struct http_connection **)socket_context);
        return;
    }
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(library,
                                                                 MHD_CONNECTION_INFO_CONNECTION_FD);
    char peer[INET6_ADDRSTRLEN];
    http_format_peer(address->client_addr, peer, sizeof peer);
    struct http_connection *connection = http_keeper_add(server, fd->connect_fd, peer);
    http_intake_add(server, connection);
    *socket_context = connection;
}

bool http_server_adopt(struct http_server *server, int fd, const struct sockaddr *address,
                       socklen_t address_size)
{
    return MHD_add_connection(server->daemon, fd, address, address_size) == MHD_YES;
}

// --- Requests

static bool http_read_head(struct http_request *request, struct http_refusal *ret_refusal)
{
    const struct http_head *head = &request->message->head;
    *ret_refusal = request->message->refusal;
    if (ret_refusal->status != 0)
        return false;
    TRY(http_check_method(head->method, ret_refusal));
    const struct http_authorities authorities = {
        .host = http_header(request, "Host", NULL),
        .own = request->server->authorities,
        .own_count = request->server->authority_count,
    };
    TRY(http_target_parse(head->target, &authorities, &request->arena, &request->target,
                          ret_refusal));
    if (request->target.is_asterisk && !http_method_is(head->method, "OPTIONS")) {
        *ret_refusal = (struct http_refusal){400, "Invalid request target", true};
        return false;
    }
    return true;
}

// --- Replies

static void http_free_body(void *body)
{
    mem_free(body);
}

// Gives body or file away.
static struct MHD_Response *http_make_response(struct http_request *request)
{
    struct MHD_Response *response;
    if (request->file_fd >= 0)
        response = MHD_create_response_from_fd_at_offset64(
            request->file_size_bytes, request->file_fd, request->file_offset_bytes);
    else
        response = MHD_create_response_from_buffer_with_free_callback(
            request->body_size_bytes, request->body, http_free_body);
    ASSERT(response != NULL); // only without memory
    request->file_fd = -1;
    request->body = NULL;
    for (const struct http_header_line *line = request->headers; line != NULL; line = line->next) {
        const enum MHD_Result added = MHD_add_response_header(response, line->name, line->value);
        ASSERT(added == MHD_YES); // names are our own, values were cleaned
    }
    return response;
}

static enum MHD_Result http_queue_reply(struct http_request *request)
{
    struct http_server *server = request->server;
    struct http_connection *connection = request->connection;
    mutex_lock(&server->lock);
    if (server->is_draining)
        http_close_after(request);
    mutex_unlock(&server->lock);
    if (++connection->request_count >= HTTP_REQUESTS_PER_CONNECTION)
        http_close_after(request);
    if (request->closes)
        connection->lingers = true;
    http_request_finish_headers(request);
    struct MHD_Response *response = http_make_response(request);
    http_keeper_enter(connection, HTTP_PHASE_REPLY, 0, NULL);
    const enum MHD_Result queued = MHD_queue_response(request->library, (unsigned)request->status,
                                                      response);
    MHD_destroy_response(response); // the queue has its own reference
    return queued;
}

// --- The library's calls

// False: the server is going away.
static bool http_count_request(struct http_request *request)
{
    struct http_server *server = request->server;
    mutex_lock(&server->lock);
    if (!server->is_cutting) {
        server->request_count++;
        request->is_counted = true;
    }
    mutex_unlock(&server->lock);
    return request->is_counted;
}

static void http_give_head(struct http_request *request)
{
    const struct http_handler *handler = &request->server->handler;
    if (request->target.is_asterisk) {
        http_add_header(request, "Allow", HTTP_METHODS_ALLOWED);
        http_reply(request, 204, (struct slice){0});
        return;
    }
    request->is_head_given = true;
    handler->head(request, handler->context);
    const struct slice method = http_method(request);
    request->ignores_body = http_method_is(method, "GET") || http_method_is(method, "HEAD");
    if (request->ignores_body)
        request->body_limit_bytes = HTTP_IGNORED_BODY_BYTES;
    if (!request->has_reply && request->message->framing.length_bytes > request->body_limit_bytes)
        http_request_refuse(request, (struct http_refusal){413, "Request body too large", true});
}

static enum MHD_Result http_answer_head(struct http_request *request)
{
    const struct http_framing *framing = &request->message->framing;
    if (!http_count_request(request))
        return MHD_NO;
    struct http_refusal refusal;
    const bool is_sound = http_read_head(request, &refusal);
    http_request_choose_id(request);
    if (is_sound)
        http_give_head(request);
    else
        http_request_refuse(request, refusal);
    request->step = HTTP_STEP_BODY;
    const bool has_body = framing->is_chunked || framing->length_bytes > 0;
    if (request->has_reply && (request->closes || has_body)) {
        http_close_after(request); // the library does, after a reply this early
        return http_queue_reply(request);
    }
    http_keeper_enter(request->connection, has_body ? HTTP_PHASE_BODY : HTTP_PHASE_WORK, 0,
                      request);
    return MHD_YES;
}

// The client goes on sending after the answer was found, and the library cannot give it now.
static enum MHD_Result http_answer_outside(struct http_request *request)
{
    http_close_after(request);
    request->connection->lingers = true;
    http_request_finish_headers(request);
    if (!request->server->is_tls && request->file_fd < 0)
        http_wire_send_reply(request->connection->fd, request);
    return MHD_NO;
}

// The library calls again with what was left when it comes by the next time, which is after the
// thread's other connections, and at once when there are none.
static void http_yield(struct http_request *request)
{
    MHD_suspend_connection(request->library);
    MHD_resume_connection(request->library);
}

static enum MHD_Result http_answer_body(struct http_request *request, struct slice bytes,
                                        size_t *ret_left_bytes)
{
    const struct http_handler *handler = &request->server->handler;
    *ret_left_bytes = 0;
    // Bytes that come again count again: the delay was ours.
    if (!http_keeper_count(request->connection, bytes.size_bytes))
        return MHD_NO;
    if (request->has_reply) {
        request->discarded_bytes += (int64_t)bytes.size_bytes;
        return request->discarded_bytes > HTTP_DISCARD_BYTES ? http_answer_outside(request)
                                                             : MHD_YES;
    }
    size_t taken_bytes = bytes.size_bytes;
    if (request->body_bytes + (int64_t)bytes.size_bytes > request->body_limit_bytes)
        http_request_refuse(request, (struct http_refusal){413, "Request body too large", true});
    else if (!request->ignores_body)
        taken_bytes = handler->body(request, bytes, handler->context);
    ASSERT(taken_bytes <= bytes.size_bytes);
    if (request->has_reply)
        return MHD_YES;
    request->body_bytes += (int64_t)taken_bytes;
    *ret_left_bytes = bytes.size_bytes - taken_bytes;
    if (*ret_left_bytes > 0)
        http_yield(request);
    return MHD_YES;
}

static enum MHD_Result http_answer_end(struct http_request *request)
{
    const struct http_handler *handler = &request->server->handler;
    if (request->step == HTTP_STEP_BODY) {
        request->step = HTTP_STEP_DONE;
        http_keeper_enter(request->connection, HTTP_PHASE_WORK, 0, NULL);
        const struct http_refusal refusal = http_gate_body_refusal(&request->connection->gate,
                                                                   request->message->number);
        if (refusal.status != 0)
            http_close_after(request); // what came behind it is not known
        if (!request->has_reply && refusal.status != 0)
            http_request_refuse(request, refusal);
        else if (!request->has_reply)
            handler->complete(request, handler->context);
        if (request->is_suspended)
            return MHD_YES; // it may be another thread's already
    }
    if (request->is_suspended && !atomic_load(&request->is_resumed))
        return MHD_YES;
    if (!request->has_reply)
        http_request_refuse(request, (struct http_refusal){500, "Internal server error", false});
    return http_queue_reply(request);
}

// The library has a head: the oldest that passed the gate, and was not answered yet.
static struct http_request *http_begin_request(struct http_server *server,
                                               struct MHD_Connection *library)
{
    struct http_connection *connection = http_connection_of(library);
    struct http_message *message = http_gate_take_message(&connection->gate);
    ASSERT(message != NULL);
    struct http_request *request = http_request_new(server, connection, message);
    request->library = library;
    return request;
}

static enum MHD_Result http_answer(void *context, struct MHD_Connection *library,
                                   const char *target, const char *method, const char *version,
                                   const char *upload, size_t *upload_bytes, void **request_context)
{
    (void)target; // the head is in the message
    (void)method;
    (void)version;
    struct http_request *request = *request_context;
    if (request == NULL) {
        request = http_begin_request(context, library);
        *request_context = request;
        return http_answer_head(request);
    }
    if (*upload_bytes == 0)
        return http_answer_end(request);
    return http_answer_body(request, slice_of(upload, *upload_bytes), upload_bytes);
}

static void http_note_completed(void *context, struct MHD_Connection *library,
                                void **request_context, enum MHD_RequestTerminationCode code)
{
    (void)library;
    (void)code;
    struct http_server *server = context;
    struct http_request *request = *request_context;
    if (request == NULL)
        return;
    *request_context = NULL;
    http_keeper_await_head(request->connection);
    http_intake_note_done(request->connection);
    if (request->is_head_given)
        server->handler.ended(request, server->handler.context);
    const bool is_counted = request->is_counted;
    http_request_free(&request);
    if (!is_counted)
        return;
    mutex_lock(&server->lock);
    if (--server->request_count == 0)
        condition_broadcast(&server->idle);
    mutex_unlock(&server->lock);
}

void http_suspend(struct http_request *request)
{
    ASSERT(request->step == HTTP_STEP_DONE);
    ASSERT(!request->is_suspended);
    ASSERT(!request->has_reply);
    request->is_suspended = true;
    MHD_suspend_connection(request->library);
}

void http_resume(struct http_request *request)
{
    ASSERT(request->is_suspended);
    struct MHD_Connection *library = request->library;
    const bool was_resumed = atomic_exchange(&request->is_resumed, true);
    ASSERT(!was_resumed);
    MHD_resume_connection(library); // the request may be gone before this returns
}

// --- Start and end

// The strings are only needed while the daemon starts.
static struct MHD_Daemon *http_start_daemon(struct http_server *server, char *certificate,
                                            char *key, int thread_count)
{
    const struct http_limits *limits = &server->limits;
    const int64_t memory_bytes = limits->request_line_bytes + limits->header_bytes +
                                 HTTP_CONNECTION_SPARE_BYTES;
    // The keeper counts; the library would give each of its threads a fixed share.
    const unsigned connection_max = (unsigned)((limits->connection_count + 1) * thread_count);
    // The keeper is earlier than this.
    const int64_t idle_s = (limits->idle_timeout_ms + limits->head_timeout_ms + 1999) / 1000;
    char priorities[] = HTTP_TLS_PRIORITIES;
    struct MHD_OptionItem tls_options[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem no_options[] = {{MHD_OPTION_END, 0, NULL}};
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_INTERNAL_POLLING_THREAD |
                           MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET |
                           (server->is_tls ? MHD_USE_TLS : 0U);
    // Not strict: heads come from the gate, and they have no Host.
    return MHD_start_daemon(flags, 0, NULL, NULL, http_answer, server,                //
                            MHD_OPTION_THREAD_POOL_SIZE, (unsigned)thread_count,      //
                            MHD_OPTION_STRICT_FOR_CLIENT, 0,                          //
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)memory_bytes, //
                            MHD_OPTION_CONNECTION_LIMIT, connection_max,              //
                            MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                            (unsigned)limits->connections_per_address,                   //
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)idle_s,             //
                            MHD_OPTION_NOTIFY_CONNECTION, http_note_connection, server,  //
                            MHD_OPTION_NOTIFY_COMPLETED, http_note_completed, server,    //
                            MHD_OPTION_ARRAY, server->is_tls ? tls_options : no_options, //
                            MHD_OPTION_END);
}

static void http_check_config(const struct http_server_config *config)
{
    ASSERT(config->listen_fd >= 0);
    ASSERT(config->thread_count > 0);
    ASSERT(config->handler.head != NULL);
    ASSERT(config->handler.body != NULL);
    ASSERT(config->handler.complete != NULL);
    ASSERT(config->handler.ended != NULL);
    ASSERT(config->handler.error_body != NULL);
    ASSERT((config->tls_certificate_pem == NULL) == (config->tls_key_pem == NULL));
    ASSERT(config->limits.connection_count > 0);
    ASSERT(config->limits.connection_count <= INT32_MAX / config->thread_count - 1);
}

static void http_free_server(struct http_server **address)
{
    struct http_server *server = *address;
    (void)close(server->listen_fd); // nothing was written
    wake_clear(&server->wake);
    condition_clear(&server->idle);
    mutex_clear(&server->lock);
    mem_free(server);
    *address = NULL;
}

bool http_server_open(const struct http_server_config *config, struct http_server **ret_server,
                      struct err *err)
{
    http_check_config(config);
    struct http_server *server = mem_alloc(sizeof *server);
    server->limits = config->limits;
    if (server->limits.rate_window_ms == 0)
        server->limits.rate_window_ms = HTTP_RATE_WINDOW_MS;
    if (server->limits.reply_stall_ms == 0)
        server->limits.reply_stall_ms = HTTP_REPLY_STALL_MS;
    server->handler = config->handler;
    server->authorities = config->authorities;
    server->authority_count = config->authority_count;
    server->listen_fd = config->listen_fd;
    server->is_tls = config->tls_certificate_pem != NULL;
    wake_init(&server->wake, 1);
    mutex_init(&server->lock);
    condition_init(&server->idle);

    char *certificate CLEANUP(mem_free_at) = NULL;
    char *key CLEANUP(mem_free_at) = NULL;
    if (server->is_tls) {
        certificate = mem_copy_text(config->tls_certificate_pem);
        key = mem_copy_text(config->tls_key_pem);
    }
    server->daemon = http_start_daemon(server, certificate, key, config->thread_count);
    if (server->daemon == NULL) {
        const bool is_tls = server->is_tls;
        http_free_server(&server);
        return err_set(err, ERR_INVALID, "the HTTP server does not start%s",
                       is_tls ? ": check the TLS certificate and its key" : "");
    }
    thread_start(&server->keeper, http_keeper_run, server);
    *ret_server = server;
    return true;
}

// Waits until no request is in progress; at most until the time given, -1: for ever.
static void http_wait_idle(struct http_server *server, int64_t until_ms)
{
    mutex_lock(&server->lock);
    while (server->request_count > 0) {
        const int64_t left_ms = until_ms - clock_boot_ms(clock_system());
        if (until_ms < 0)
            condition_wait(&server->idle, &server->lock);
        else if (left_ms <= 0)
            break;
        else
            (void)condition_wait_ms(&server->idle, &server->lock, left_ms);
    }
    mutex_unlock(&server->lock);
}

static void http_set_flag(struct http_server *server, bool *flag)
{
    mutex_lock(&server->lock);
    *flag = true;
    mutex_unlock(&server->lock);
    wake_all(&server->wake);
}

void http_server_close(struct http_server **address, int64_t drain_ms)
{
    struct http_server *server = *address;
    if (server == NULL)
        return;
    http_set_flag(server, &server->is_draining);
    http_wait_idle(server, clock_boot_ms(clock_system()) + drain_ms);
    http_set_flag(server, &server->is_cutting);
    http_keeper_cut_all(server);
    // The library aborts when it is stopped with a suspended connection.
    http_wait_idle(server, -1);
    http_set_flag(server, &server->is_stopping);
    thread_join(&server->keeper);
    MHD_stop_daemon(server->daemon);
    ASSERT(server->connections == NULL);
    http_intakes_free(server);
    http_free_server(address);
}
