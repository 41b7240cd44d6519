// SPDX-License-Identifier: Apache-2.0
#include "scripted_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_server.h"

#define SCRIPTED_TIMEOUT_S 10

static void scripted_work(void *context)
{
    struct scripted_server *server = context;
    for (;;) {
        struct scripted_peer peer = {.fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC)};
        if (peer.fd < 0)
            return;
        const struct timeval timeout = {.tv_sec = SCRIPTED_TIMEOUT_S};
        (void)setsockopt(peer.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        (void)setsockopt(peer.fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
        buf_init(&peer.received, SCRIPTED_BYTES_MAX);
        peer.number = atomic_fetch_add(&server->connection_count, 1) + 1;
        server->serve(server->context, &peer);
        SSL_free(peer.tls);
        (void)close(peer.fd);
        buf_clear(&peer.received);
    }
}

void scripted_open(struct scripted_server *server,
                   void (*serve)(void *context, struct scripted_peer *peer), void *context)
{
    *server = (struct scripted_server){.serve = serve, .context = context};
    struct err err = {0};
    if (!http_listen("127.0.0.1:0", &server->listen_fd, &server->port, &err))
        fail_msg("%s", err.message);
    const int flags = fcntl(server->listen_fd, F_GETFL);
    assert_int_equal(fcntl(server->listen_fd, F_SETFL, flags & ~O_NONBLOCK), 0);
    thread_start(&server->thread, scripted_work, server);
}

void scripted_close(struct scripted_server *server)
{
    (void)shutdown(server->listen_fd, SHUT_RDWR); // wakes accept()
    thread_join(&server->thread);
    (void)close(server->listen_fd);
}

static bool scripted_receive(struct scripted_peer *peer)
{
    char bytes[16384];
    const ssize_t got = peer->tls != NULL ? SSL_read(peer->tls, bytes, (int)sizeof bytes)
                                          : read(peer->fd, bytes, sizeof bytes);
    if (got <= 0)
        return false;
    buf_append(&peer->received, slice_of(bytes, (size_t)got));
    return !peer->received.overflowed;
}

static void scripted_take(struct scripted_peer *peer, size_t size_bytes, struct buf *ret_bytes)
{
    buf_append(ret_bytes, slice_part(buf_slice(&peer->received), 0, size_bytes));
    buf_consume(&peer->received, size_bytes);
}

bool scripted_read_until(struct scripted_peer *peer, const char *end, struct buf *ret_bytes)
{
    for (;;) {
        const char *found = peer->received.size_bytes == 0
                                ? NULL
                                : memmem(peer->received.data, peer->received.size_bytes, end,
                                         strlen(end));
        if (found != NULL) {
            scripted_take(peer, (size_t)(found - peer->received.data) + strlen(end), ret_bytes);
            return true;
        }
        if (!scripted_receive(peer))
            return false;
    }
}

bool scripted_read(struct scripted_peer *peer, size_t size_bytes, struct buf *ret_bytes)
{
    while (peer->received.size_bytes < size_bytes)
        if (!scripted_receive(peer))
            return false;
    scripted_take(peer, size_bytes, ret_bytes);
    return true;
}

bool scripted_send_bytes(struct scripted_peer *peer, const void *bytes, size_t size_bytes)
{
    const char *at = bytes;
    while (size_bytes > 0) {
        const ssize_t sent = peer->tls != NULL ? SSL_write(peer->tls, at, (int)size_bytes)
                                               : send(peer->fd, at, size_bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += sent;
        size_bytes -= (size_t)sent;
    }
    return true;
}

bool scripted_send(struct scripted_peer *peer, const char *text)
{
    return scripted_send_bytes(peer, text, strlen(text));
}

static bool scripted_use(SSL_CTX *context, const char *certificate, const char *key)
{
    BIO *certificate_bio = BIO_new_mem_buf(certificate, -1);
    BIO *key_bio = BIO_new_mem_buf(key, -1);
    X509 *x509 = PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL);
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    const bool is_used = SSL_CTX_use_certificate(context, x509) == 1 &&
                         SSL_CTX_use_PrivateKey(context, pkey) == 1;
    X509_free(x509);
    EVP_PKEY_free(pkey);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    return is_used;
}

bool scripted_start_tls(struct scripted_peer *peer, const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    bool is_done = context != NULL && scripted_use(context, certificate, key);
    SSL *tls = is_done ? SSL_new(context) : NULL; // holds the context
    SSL_CTX_free(context);
    is_done = tls != NULL && SSL_set_fd(tls, peer->fd) == 1 && SSL_accept(tls) == 1;
    peer->tls = tls;
    return is_done;
}

void scripted_reset(struct scripted_peer *peer)
{
    const struct linger linger = {.l_onoff = 1};
    (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}
