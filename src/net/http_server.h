// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 server over libmicrohttpd, which is told nothing that it could misunderstand
// (http_gate.h). Handlers get a request whose head and framing are beyond doubt: a decoded path, a
// parsed query, and a body that is streamed to them. Whatever else arrives is answered here, once,
// with the handler's error_body, and closes the connection; nothing that comes behind it is looked
// at. So a body that turns out to be wrong is never `complete`. Handlers run on the server's
// threads and must not block: what takes longer is suspended and resumed from another thread.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct http_server;
struct http_request;

struct http_limits {
    int64_t request_line_bytes;
    int64_t header_bytes;
    int64_t header_count;
    int64_t connection_count;
    int64_t connections_per_address;
    int64_t head_timeout_ms;       // whole head, from its first byte or from the connection's start
    int64_t idle_timeout_ms;       // between an answer and the next head
    int64_t body_rate_bytes_per_s; // less than this over rate_window_ms: 408
    int64_t rate_window_ms;        // 0: 10 s
    int64_t reply_stall_ms;        // a reader takes less than 1 KiB in it: closed; 0: 30 s
};

struct http_handler {
    void *context;
    // The head is complete. Sets the body's limit (http_set_body_limit; 0 by default) and may reply
    // at once, which refuses the body. Query and headers live until `ended`.
    void (*head)(struct http_request *request, void *context);
    // A piece of the body. Returns how many of its bytes were taken: what is left comes again,
    // first in the next piece, after the thread's other connections had their turn. So a handler
    // whose work per byte is large takes no more than some milliseconds' worth. May reply: then the
    // rest is not read, whatever is returned, and it is not called again.
    size_t (*body)(struct http_request *request, struct slice bytes, void *context);
    // The body is complete: reply, or http_suspend and reply later.
    void (*complete)(struct http_request *request, void *context);
    // The connection is done with the request, replied or not: free what hangs on it. Always called
    // once for each head call. Runs on a server thread.
    void (*ended)(struct http_request *request, void *context);
    // Builds the body of an error that the server itself finds (404 is the handler's own affair).
    // On any thread of the server; must not block.
    void (*error_body)(int status, const char *message, struct arena *arena, struct slice *ret_body,
                       void *context);
};

struct http_server_config {
    int listen_fd; // bound and listening; taken over
    int thread_count;
    struct http_limits limits;
    const char *tls_certificate_pem; // NULL: plain HTTP
    const char *tls_key_pem;
    // "host" or "host:port", without regard to case: what the authority of an absolute-form target
    // may be besides the request's Host. Lives as long as the server.
    const char *const *authorities;
    size_t authority_count;
    struct http_handler handler;
};

NODISCARD bool http_server_open(const struct http_server_config *config,
                                struct http_server **ret_server, struct err *err);
// Stops accepting; requests in progress may finish for drain_ms, then connections are cut.
// Everything that was suspended must have been resumed, or be resumed by another thread meanwhile.
void http_server_close(struct http_server **server, int64_t drain_ms);

// Binds and listens. host:port, [v6]:port; port 0 picks one. *ret_port is what it became.
NODISCARD bool http_listen(const char *address, int *ret_fd, int *ret_port, struct err *err);

// --- The request. Slices live until `ended`.

struct slice http_method(const struct http_request *request);
// As the reply's X-Request-Id says: the client's own when it is [A-Za-z0-9._-]{1,64}, else ours.
struct slice http_request_id(const struct http_request *request);
// As received, with its query: for logs and signatures.
struct slice http_raw_target(const struct http_request *request);
struct slice http_raw_path(const struct http_request *request);
struct slice http_raw_query(const struct http_request *request); // after '?', may be empty
// Percent-decoded, UTF-8, no ".." segments, no control bytes, no '\' and no encoded '/': else the
// server has answered 400. "//" and "/./" stay as they are: a path that has them names nothing.
struct slice http_path(const struct http_request *request);
// Case-insensitive name. *ret_count (may be NULL) says how many there are; the first is returned.
struct slice http_header(const struct http_request *request, const char *name, size_t *ret_count);
// Calls visit for each header as it was received, in order.
void http_each_header(const struct http_request *request,
                      void (*visit)(struct slice name, struct slice value, void *context),
                      void *context);
// Decoded value of a query parameter; *ret_count as above. "+" is not a space.
struct slice http_query(const struct http_request *request, const char *name, size_t *ret_count);
// Calls visit for each pair of the query, decoded, in order.
void http_each_query(const struct http_request *request,
                     void (*visit)(struct slice name, struct slice value, void *context),
                     void *context);
struct arena *http_arena(struct http_request *request);     // of the request
struct slice http_peer(const struct http_request *request); // "127.0.0.1"
int64_t http_body_size(const struct http_request *request); // Content-Length, -1: chunked or none
// The client sends its body only when asked to: a reply from `head` spares it that.
bool http_expects_continue(const struct http_request *request);

// The handler's own state for the request.
void http_set_state(struct http_request *request, void *state);
void *http_state(const struct http_request *request);

// Bytes of body that may come (413 beyond); only from `head`.
void http_set_body_limit(struct http_request *request, int64_t limit_bytes);

// Suspends the connection until http_resume, from any thread, exactly once each, and never twice in
// a request: `complete` is the only place. Suspend first, then hand the request over: from then on
// it is the other thread's. After resuming, the reply that was set is sent (500 when there is
// none).
void http_suspend(struct http_request *request);
void http_resume(struct http_request *request);

// --- The reply: once per request. From a server thread or, while suspended, from one other thread.
// Content-Length, Date, X-Content-Type-Options, X-Request-Id and Connection are the server's; it
// adds Cache-Control: no-store and a JSON Content-Type unless they were given. For HEAD and 304 no
// body is sent, but Content-Length is that of the body or file given. A reply from `head` or `body`
// while more of the body is to come ends the connection, unless the rest is short.
void http_add_header(struct http_request *request, const char *name, const char *value);
void http_reply(struct http_request *request, int status, struct slice body); // copies
// Part of a file, by sendfile; takes fd.
void http_reply_file(struct http_request *request, int status, int fd, uint64_t offset_bytes,
                     uint64_t size_bytes);
bool http_has_reply(const struct http_request *request);
int http_reply_status(const struct http_request *request);
// Ask for Connection: close after the reply.
void http_close_after(struct http_request *request);
