// SPDX-License-Identifier: Apache-2.0
// The library polls edge-triggered: after a read that gave fewer bytes than there was room for, it
// takes the socket for empty and waits until more comes. (With TLS: after GNUTLS_E_AGAIN.) So a
// read through the gate may only be short when the socket is empty, although the gate holds bytes
// back and drops some. Nor does it tell twice of the end of a connection, which may come together
// with the last bytes: so a read always goes on until the socket is empty.
//
// And the library lets go of everything when it reads of that end, also when it reads between a
// request and its answer. But a client that has said all it wants to say is still owed the answers,
// so the end is kept from the library until it is done with the requests that came whole.
#include "net/http_intake.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http_internal.h"

#define HTTP_INTAKE_ROOM_MIN    ((size_t)64)
#define HTTP_INTAKE_PIECE_BYTES ((size_t)4096)

// The connections of one of the library's threads, by their sockets; only that thread uses it.
struct http_intake {
    struct http_intake *next; // of the server: guarded by its lock
    struct http_connection **connections;
    size_t room;
};

// recv is told a socket and nothing else, and must not search or wait: so a thread knows its own
// table. Set with its first connection; each thread belongs to one server.
static _Thread_local struct http_intake *http_intake_here;

ssize_t __real_recv(int fd, void *to, size_t room_bytes, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t room_bytes, int flags);
ssize_t __real_gnutls_record_recv(gnutls_session_t session, void *to, size_t room_bytes);
ssize_t __wrap_gnutls_record_recv(gnutls_session_t session, void *to, size_t room_bytes);
int __real_gnutls_handshake(gnutls_session_t session);
int __wrap_gnutls_handshake(gnutls_session_t session);

// --- The table

static struct http_intake *http_intake_make(struct http_server *server)
{
    struct http_intake *intake = mem_alloc(sizeof *intake);
    mutex_lock(&server->lock);
    intake->next = server->intakes;
    server->intakes = intake;
    mutex_unlock(&server->lock);
    return intake;
}

void http_intake_add(struct http_server *server, struct http_connection *connection)
{
    if (http_intake_here == NULL)
        http_intake_here = http_intake_make(server);
    struct http_intake *intake = http_intake_here;
    const size_t index = (size_t)connection->fd;
    if (index >= intake->room) {
        const size_t room = (index + 1) * 2;
        intake->connections = mem_resize(intake->connections, room * sizeof *intake->connections);
        memset(intake->connections + intake->room, 0,
               (room - intake->room) * sizeof *intake->connections);
        intake->room = room;
    }
    ASSERT(intake->connections[index] == NULL);
    intake->connections[index] = connection;
    connection->intake = intake;
    buf_init(&connection->pending, connection->gate.held.limit_bytes + HTTP_INTAKE_PIECE_BYTES);
}

void http_intake_remove(struct http_connection *connection)
{
    struct http_connection **place = &connection->intake->connections[connection->fd];
    ASSERT(*place == connection);
    *place = NULL;
}

void http_intakes_free(struct http_server *server)
{
    while (server->intakes != NULL) {
        struct http_intake *intake = server->intakes;
        server->intakes = intake->next;
        mem_free(intake->connections);
        mem_free(intake);
    }
}

// NULL: not one of ours, or not this thread's.
static struct http_connection *http_intake_find(int fd)
{
    const struct http_intake *intake = http_intake_here;
    return intake == NULL || fd < 0 || (size_t)fd >= intake->room ? NULL : intake->connections[fd];
}

// --- Reading

struct http_puller {
    ssize_t (*pull)(const struct http_puller *puller, void *to, size_t room_bytes);
    int fd; // plain
    int flags;
    gnutls_session_t session; // TLS
};

static size_t http_intake_smaller(size_t left, size_t right)
{
    return left < right ? left : right;
}

// What waits for the library; returns how many bytes.
static size_t http_intake_flush(struct http_connection *connection, uint8_t *to, size_t room_bytes)
{
    struct buf *pending = &connection->pending;
    const size_t size = http_intake_smaller(pending->size_bytes, room_bytes);
    if (size > 0) {
        memcpy(to, pending->data, size);
        buf_consume(pending, size);
    }
    if (pending->size_bytes == 0 && pending->data != NULL)
        buf_clear(pending);
    return size + http_gate_take_ending(&connection->gate, to + size, room_bytes - size);
}

// Reads once. Usually straight to where the library wants it; when what is held would not fit in
// front of it, into `pending`. Returns as the pull does; *ret_passed bytes are in `to`.
static ssize_t http_intake_pull(struct http_connection *connection,
                                const struct http_puller *puller, uint8_t *to, size_t room_bytes,
                                size_t *ret_passed)
{
    struct http_gate *gate = &connection->gate;
    const size_t held = http_gate_held(gate);
    const bool is_direct = held + HTTP_INTAKE_ROOM_MIN <= room_bytes;
    const size_t wanted = is_direct ? room_bytes - held : HTTP_INTAKE_PIECE_BYTES;
    uint8_t *area = to;
    if (!is_direct)
        area = (uint8_t *)buf_reserve(&connection->pending, held + wanted);
    ASSERT(area != NULL);
    *ret_passed = 0;
    const ssize_t got = puller->pull(puller, area + held, wanted);
    if (got <= 0)
        return got;
    const size_t passed = http_gate_pass(gate, area, held, (size_t)got);
    if (is_direct)
        *ret_passed = passed;
    else
        buf_advance(&connection->pending, passed);
    return got;
}

// The library's poll tells of the end only once; this makes it tell again.
static void http_intake_tell_end(const struct http_connection *connection)
{
    (void)shutdown(connection->fd, SHUT_RD); // the peer has closed that side
}

void http_intake_note_done(struct http_connection *connection)
{
    connection->done_count++;
    if (connection->has_ended)
        http_intake_tell_end(connection);
}

// The end of what the client sends.
static bool http_intake_hides_end(struct http_connection *connection)
{
    return http_gate_whole_count(&connection->gate) > connection->done_count &&
           http_keeper_lives(connection);
}

static ssize_t http_intake_nothing(const struct http_puller *puller)
{
    errno = EAGAIN;
    return puller->session == NULL ? -1 : GNUTLS_E_AGAIN;
}

// As recv: the count of bytes for the library or, when there are none, what the last pull said.
static ssize_t http_intake_read(struct http_connection *connection,
                                const struct http_puller *puller, uint8_t *to, size_t room_bytes)
{
    size_t size = 0;
    for (;;) {
        size += http_intake_flush(connection, to + size, room_bytes - size);
        if (size == room_bytes || (size > 0 && puller->session != NULL))
            return (ssize_t)size;
        // Behind a gate that is shut nobody waits for bytes; what comes is read when it lingers.
        if (http_gate_is_shut(&connection->gate))
            return size > 0 ? (ssize_t)size : http_intake_nothing(puller);
        size_t passed = 0;
        const ssize_t got = connection->has_ended ? 0
                                                  : http_intake_pull(connection, puller, to + size,
                                                                     room_bytes - size, &passed);
        size += passed;
        if (got > 0)
            continue;
        connection->has_ended = got == 0;
        if (got == 0 && size > 0)
            http_intake_tell_end(connection);
        else if (got == 0 && http_intake_hides_end(connection))
            return http_intake_nothing(puller);
        return size > 0 ? (ssize_t)size : got;
    }
}

static ssize_t http_intake_take(struct http_connection *connection,
                                const struct http_puller *puller, void *to, size_t room_bytes)
{
    const ssize_t result = http_intake_read(connection, puller, to, room_bytes);
    const int reason = errno;
    if (connection->awaits_head && http_gate_is_in_head(&connection->gate))
        http_keeper_await_head(connection); // it has a deadline of its own
    errno = reason;
    return result;
}

static ssize_t http_intake_pull_plain(const struct http_puller *puller, void *to, size_t room_bytes)
{
    return __real_recv(puller->fd, to, room_bytes, puller->flags);
}

static ssize_t http_intake_pull_tls(const struct http_puller *puller, void *to, size_t room_bytes)
{
    return __real_gnutls_record_recv(puller->session, to, room_bytes);
}

ssize_t __wrap_recv(int fd, void *to, size_t room_bytes, int flags)
{
    struct http_connection *connection = http_intake_find(fd);
    if (connection == NULL)
        return __real_recv(fd, to, room_bytes, flags);
    const struct http_puller puller = {.pull = http_intake_pull_plain, .fd = fd, .flags = flags};
    return http_intake_take(connection, &puller, to, room_bytes);
}

ssize_t __wrap_gnutls_record_recv(gnutls_session_t session, void *to, size_t room_bytes)
{
    struct http_connection *connection = http_intake_find(gnutls_transport_get_int(session));
    if (connection == NULL)
        return __real_gnutls_record_recv(session, to, room_bytes);
    const struct http_puller puller = {.pull = http_intake_pull_tls, .session = session};
    return http_intake_take(connection, &puller, to, room_bytes);
}

// The library closes after a handshake that failed, and does not say why.
int __wrap_gnutls_handshake(gnutls_session_t session)
{
    const int result = __real_gnutls_handshake(session);
    if (result < 0 && gnutls_error_is_fatal(result) != 0)
        (void)gnutls_alert_send_appropriate(session, result); // or not, when the peer has gone
    return result;
}
