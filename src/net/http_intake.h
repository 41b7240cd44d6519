// SPDX-License-Identifier: Apache-2.0
// The way of received bytes through the gate (http_gate.h). libmicrohttpd reads by itself and has
// no place to step in, so it is linked statically and its calls of recv and gnutls_record_recv are
// bent to functions of http_intake.c by the linker (--wrap, see meson.build). Private to net/.
#pragma once

struct http_connection;
struct http_intake;
struct http_server;

// From now on what this thread reads from the connection's socket comes through its gate. On the
// thread of the library that owns the connection, before it reads.
void http_intake_add(struct http_server *server, struct http_connection *connection);
// The library is done with a message: from now on it may be told that the client sends no more.
void http_intake_note_done(struct http_connection *connection);
// Before the socket is closed, since its number may come again at once.
void http_intake_remove(struct http_connection *connection);
// After the server's threads have ended.
void http_intakes_free(struct http_server *server);
