// SPDX-License-Identifier: Apache-2.0
// A whole api on a loopback port over a temporary data directory, and a plain client for it.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/api.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/cipher.h"
#include "base/json_tree.h"
#include "catalog/jobs.h"
#include "catalog/subscriptions.h"
#include "catalog/tenant_tokens.h"
#include "catalog/tenants.h"
#include "catalog/topics.h"
#include "lake/ingest_log.h"
#include "store/store.h"

// 2026-11-23T10:20:00Z
#define FIXTURE_NOW_MS INT64_C(1795429200000)

struct fixture_tenant {
    const char *organization_id;
    const char *app_id;
    const char *other_app_id;
    const char *token; // export, ingest, sensitive_data
    const char *key_id;
    int64_t user_id;
};

struct fixture {
    char directory[64];
    struct arena arena;
    struct clock_fixed clock;
    struct catalog *catalog; // of the test's thread
    struct ingest_log *log;
    struct store *bucket;
    struct api *api;
    int port;
    char host[32]; // "127.0.0.1:PORT"
    struct fixture_tenant mine;
    struct fixture_tenant theirs;
    const char *admin_token;
    int change_count; // calls of on_change; settled when no request runs
};

// What secrets in the catalog are sealed with.
extern const struct cipher_key fixture_secret_key;

// As the fixture's own api has it, without a listening socket.
struct api_config fixture_config(struct fixture *fixture);

// Another api over the same directory; the fixture's client talks to it afterwards. For the caller
// to close.
struct api *fixture_open_other(struct fixture *fixture, struct api_config *config);

int fixture_set_up(void **state);
int fixture_tear_down(void **state);

// A token of the tenant's organization; app_id NULL: all apps.
const char *fixture_token(struct fixture *fixture, const struct fixture_tenant *tenant,
                          const char *app_id, unsigned permissions);

// What came back. Lives in the fixture's arena.
struct fixture_reply {
    int status;
    const char *head;
    struct slice body;      // NUL-terminated
    struct json_tree *tree; // of a JSON body; NULL otherwise
    const struct json_node *json;
};

// headers: lines with CRLF, may be NULL. Closes the connection after the reply.
struct fixture_reply fixture_call(struct fixture *fixture, const char *method, const char *target,
                                  const char *headers, struct slice body);
// Sends these bytes and closes without reading.
void fixture_leave(struct fixture *fixture, const char *bytes);
// With the Access-Token header (token NULL: none); frees nothing that matters: trees go at
// tear-down.
struct fixture_reply fixture_get(struct fixture *fixture, const char *token, const char *target);
struct fixture_reply fixture_post(struct fixture *fixture, const char *token, const char *target,
                                  const char *body);
struct fixture_reply fixture_patch(struct fixture *fixture, const char *token, const char *target,
                                   const char *body);
struct fixture_reply fixture_delete(struct fixture *fixture, const char *token, const char *target);
// Status of a POST as `mine`; unlike all others, from any thread.
int fixture_status(const struct fixture *fixture, const char *target, const char *body);
// NULL when absent.
const char *fixture_header(struct fixture *fixture, const struct fixture_reply *reply,
                           const char *name);
const char *fixture_text(const struct fixture_reply *reply, const char *key);

// The documented error shape, and nothing else.
void fixture_assert_error(const struct fixture_reply *reply, int status, const char *message);
// Status, body, and all headers but Date and X-Request-Id.
void fixture_assert_same(struct fixture *fixture, const struct fixture_reply *left,
                         const struct fixture_reply *right);

const char *fixture_format(struct fixture *fixture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// POST subscribe of `mine` with cadence and fields as given; returns the subscription's id.
const char *fixture_subscribe(struct fixture *fixture, const char *cadence, const char *fields);

// Makes the subscription ACTIVE, and jobs for its last hours before now.
void fixture_backfill(struct fixture *fixture, const char *subscription_id, int64_t hour_count);

// Runs the job queue's next job to SUCCEEDED with one file of these bytes; its id.
const char *fixture_finish_job(struct fixture *fixture, const char *bytes);
// The same to FAILED.
const char *fixture_fail_job(struct fixture *fixture, const char *reason);
