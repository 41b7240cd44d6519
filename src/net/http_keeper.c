// SPDX-License-Identifier: Apache-2.0
// One thread beside the library's: it accepts connections and ends those whose client is too slow.
//
// The library's own time-out only sees silence, so a client that sends or reads a byte now and then
// holds a connection for ever. The keeper looks at every connection a few times per second:
//
//   phase  until                     what is asked of the client
//
//   HEAD   the head is complete      to begin within the idle time; then, and on a new
//                                    connection, to be done in the head's time
//   BODY   the body is complete      body_rate_bytes_per_s, judged per rate_window_ms; else 408
//   WORK   the handler has replied   nothing (and so while suspended)
//   REPLY  the reply is in the       1 KiB per reply_stall_ms, as acknowledged by its TCP
//          socket
//
// It accepts as well, and not the library, because the library's way of ceasing to accept
// (MHD_quiesce_daemon) aborts the process when one of its threads removes the listening socket from
// its epoll set in the same instant.
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define HTTP_KEEPER_TICK_MS    250
#define HTTP_ACCEPT_PAUSE_MS   50 // without free descriptors
#define HTTP_ACCEPT_BURST      64
#define HTTP_KEEPER_FIXED_FDS  2
#define HTTP_LINGER_READ_BYTES ((size_t)16 * 1024)

static int64_t http_now_ms(void)
{
    return clock_boot_ms(clock_system());
}

struct http_connection *http_keeper_add(struct http_server *server, int fd, const char *peer)
{
    struct http_connection *connection = mem_alloc(sizeof *connection);
    connection->fd = fd;
    memcpy(connection->peer, peer, strnlen(peer, sizeof connection->peer - 1));
    mutex_init(&connection->lock);
    connection->phase = HTTP_PHASE_HEAD;
    connection->deadline_ms = http_now_ms() + server->limits.head_timeout_ms;
    http_gate_init(&connection->gate, &server->limits, HTTP_REQUESTS_PER_CONNECTION);
    mutex_lock(&server->lock);
    connection->next = server->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    server->connections = connection;
    mutex_unlock(&server->lock);
    return connection;
}

// A close with unread bytes is a reset.
static bool http_keeper_has_unread(int fd)
{
    int unread = 0;
    return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

static void http_keeper_linger(struct http_server *server, int fd)
{
    if (server->linger_count == HTTP_LINGER_MAX)
        return;
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return; // then the reset may win: better than to hold what we have not got
    (void)shutdown(copy, SHUT_WR); // the peer may have gone
    server->lingers[server->linger_count++] =
        (struct http_linger){.fd = copy, .until_ms = http_now_ms() + HTTP_LINGER_MS};
    wake_all(&server->wake);
}

void http_keeper_remove(struct http_server *server, struct http_connection **address)
{
    struct http_connection *connection = *address;
    mutex_lock(&server->lock);
    if (connection->previous == NULL)
        server->connections = connection->next;
    else
        connection->previous->next = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    server->connection_count--;
    if (!connection->is_cut && !server->is_stopping &&
        (connection->lingers || http_keeper_has_unread(connection->fd)))
        http_keeper_linger(server, connection->fd);
    mutex_unlock(&server->lock);
    http_gate_clear(&connection->gate);
    buf_clear(&connection->pending);
    mutex_clear(&connection->lock);
    mem_free(connection);
    *address = NULL;
}

void http_keeper_enter(struct http_connection *connection, enum http_phase phase,
                       int64_t deadline_ms, const struct http_request *request)
{
    mutex_lock(&connection->lock);
    connection->phase = phase;
    connection->deadline_ms = deadline_ms;
    connection->window_at_ms = http_now_ms();
    connection->window_bytes = 0;
    connection->request = request;
    mutex_unlock(&connection->lock);
}

void http_keeper_await_head(struct http_connection *connection)
{
    const struct http_limits *limits = connection->gate.limits;
    const bool has_begun = http_gate_is_in_head(&connection->gate);
    connection->awaits_head = !has_begun;
    http_keeper_enter(
        connection, HTTP_PHASE_HEAD,
        http_now_ms() + (has_begun ? limits->head_timeout_ms : limits->idle_timeout_ms), NULL);
}

bool http_keeper_count(struct http_connection *connection, size_t size_bytes)
{
    mutex_lock(&connection->lock);
    connection->window_bytes += size_bytes;
    const bool lives = !connection->is_cut;
    mutex_unlock(&connection->lock);
    return lives;
}

bool http_keeper_lives(struct http_connection *connection)
{
    return http_keeper_count(connection, 0);
}

// With both locks held.
static void http_keeper_cut(struct http_connection *connection)
{
    connection->is_cut = true;
    (void)shutdown(connection->fd, SHUT_RDWR); // the peer may have gone
}

void http_keeper_cut_all(struct http_server *server)
{
    mutex_lock(&server->lock);
    for (struct http_connection *at = server->connections; at != NULL; at = at->next) {
        mutex_lock(&at->lock);
        http_keeper_cut(at);
        mutex_unlock(&at->lock);
    }
    mutex_unlock(&server->lock);
}

static void http_keeper_check_body(const struct http_server *server,
                                   struct http_connection *connection, int64_t now_ms)
{
    const int64_t elapsed_ms = now_ms - connection->window_at_ms;
    if (elapsed_ms < server->limits.rate_window_ms)
        return;
    const int64_t least = server->limits.body_rate_bytes_per_s * elapsed_ms / 1000;
    if ((int64_t)connection->window_bytes < least) {
        if (!server->is_tls && connection->request != NULL)
            http_wire_send_timeout(connection->fd, connection->request);
        http_keeper_cut(connection);
        return;
    }
    connection->window_at_ms = now_ms;
    connection->window_bytes = 0;
}

// Bytes of replies that the peer has acknowledged since the connection began; false: unknown.
static bool http_acknowledged_bytes(int fd, uint64_t *ret_bytes)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked)
        return false;
    *ret_bytes = info.tcpi_bytes_acked;
    return true;
}

static void http_keeper_check_reply(const struct http_server *server,
                                    struct http_connection *connection, int64_t now_ms)
{
    uint64_t bytes = 0;
    if (!http_acknowledged_bytes(connection->fd, &bytes))
        return;
    if (connection->window_bytes == 0 ||
        bytes >= connection->window_bytes + HTTP_REPLY_STALL_BYTES) {
        connection->window_bytes = bytes;
        connection->window_at_ms = now_ms;
    } else if (now_ms - connection->window_at_ms >= server->limits.reply_stall_ms) {
        http_keeper_cut(connection);
    }
}

static void http_keeper_check(const struct http_server *server, struct http_connection *connection,
                              int64_t now_ms)
{
    if (connection->is_cut)
        return;
    switch (connection->phase) {
    case HTTP_PHASE_HEAD:
        if (now_ms >= connection->deadline_ms)
            http_keeper_cut(connection);
        break;
    case HTTP_PHASE_BODY:
        http_keeper_check_body(server, connection, now_ms);
        break;
    case HTTP_PHASE_WORK:
        break;
    case HTTP_PHASE_REPLY:
        http_keeper_check_reply(server, connection, now_ms);
        break;
    }
}

static void http_keeper_check_all(struct http_server *server)
{
    const int64_t now_ms = http_now_ms();
    mutex_lock(&server->lock);
    for (struct http_connection *at = server->connections; at != NULL; at = at->next) {
        mutex_lock(&at->lock);
        http_keeper_check(server, at, now_ms);
        mutex_unlock(&at->lock);
    }
    mutex_unlock(&server->lock);
}

// True: read to its end, or it took too long.
static bool http_linger_is_over(struct http_linger *linger, int64_t now_ms)
{
    char bytes[HTTP_LINGER_READ_BYTES];
    while (now_ms < linger->until_ms && linger->read_bytes < HTTP_LINGER_BYTES) {
        const ssize_t got = recv(linger->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == 0)
            return true;
        if (got < 0)
            return errno != EAGAIN && errno != EINTR;
        linger->read_bytes += (size_t)got;
    }
    return true;
}

static void http_keeper_read_lingers(struct http_server *server)
{
    const int64_t now_ms = http_now_ms();
    mutex_lock(&server->lock);
    for (size_t i = server->linger_count; i-- > 0;) {
        if (!server->is_stopping && !http_linger_is_over(&server->lingers[i], now_ms))
            continue;
        (void)close(server->lingers[i].fd); // what was read is dropped
        server->lingers[i] = server->lingers[--server->linger_count];
    }
    mutex_unlock(&server->lock);
}

// A place for one more connection; it is given back by http_keeper_remove or right here.
static bool http_keeper_take_place(struct http_server *server)
{
    mutex_lock(&server->lock);
    const bool has_place = !server->is_draining &&
                           server->connection_count < server->limits.connection_count;
    if (has_place)
        server->connection_count++;
    mutex_unlock(&server->lock);
    return has_place;
}

static void http_keeper_return_place(struct http_server *server)
{
    mutex_lock(&server->lock);
    server->connection_count--;
    mutex_unlock(&server->lock);
}

// False: nothing is left that could be accepted with.
static bool http_keeper_accept(struct http_server *server)
{
    for (int i = 0; i < HTTP_ACCEPT_BURST && http_keeper_take_place(server); i++) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        const int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
        const int reason = errno;
        if (fd >= 0 && http_server_adopt(server, fd, (struct sockaddr *)&address, size))
            continue;
        http_keeper_return_place(server);
        if (fd >= 0)
            continue;
        if (reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM)
            return false;
        if (reason == EAGAIN || reason == EWOULDBLOCK)
            return true; // another process of ours may have been faster
    }
    return true;
}

// Fills fds with the keeper's own two and the lingering ones; returns their count, 0 to stop.
static size_t http_keeper_collect(struct http_server *server, int64_t accept_at_ms,
                                  struct pollfd *fds)
{
    mutex_lock(&server->lock);
    const bool accepts = !server->is_draining &&
                         server->connection_count < server->limits.connection_count &&
                         http_now_ms() >= accept_at_ms;
    fds[0] = (struct pollfd){.fd = server->wake.fds[0], .events = POLLIN};
    fds[1] = (struct pollfd){.fd = accepts ? server->listen_fd : -1, .events = POLLIN};
    size_t count = HTTP_KEEPER_FIXED_FDS;
    for (size_t i = 0; i < server->linger_count; i++)
        fds[count++] = (struct pollfd){.fd = server->lingers[i].fd, .events = POLLIN};
    if (server->is_stopping)
        count = 0;
    mutex_unlock(&server->lock);
    return count;
}

void http_keeper_run(void *context)
{
    struct http_server *server = context;
    struct pollfd fds[HTTP_KEEPER_FIXED_FDS + HTTP_LINGER_MAX];
    const struct http_limits *limits = &server->limits;
    int64_t tick_ms = HTTP_KEEPER_TICK_MS;
    const int64_t shortest_ms[] = {limits->head_timeout_ms, limits->rate_window_ms,
                                   limits->reply_stall_ms};
    for (size_t i = 0; i < ARRAY_COUNT(shortest_ms); i++)
        if (shortest_ms[i] / 4 < tick_ms)
            tick_ms = shortest_ms[i] / 4 + 1;
    int64_t accept_at_ms = 0;
    int64_t check_at_ms = http_now_ms() + tick_ms;
    size_t count;
    while ((count = http_keeper_collect(server, accept_at_ms, fds)) > 0) {
        const int64_t wait_ms = check_at_ms - http_now_ms();
        (void)poll(fds, count, wait_ms < 0 ? 0 : (int)wait_ms); // EINTR: the loop looks anyway
        wake_wait(&server->wake, 0, -1, 0);                     // only to swallow the hint
        if ((fds[1].revents & POLLIN) != 0 && !http_keeper_accept(server))
            accept_at_ms = http_now_ms() + HTTP_ACCEPT_PAUSE_MS;
        http_keeper_read_lingers(server);
        if (http_now_ms() >= check_at_ms) {
            http_keeper_check_all(server);
            check_at_ms = http_now_ms() + tick_ms;
        }
    }
    http_keeper_read_lingers(server); // closes them all
}
