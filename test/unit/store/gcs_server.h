// SPDX-License-Identifier: Apache-2.0
// Google's storage in memory, on a loopback port, that can misbehave at any request: the JSON
// interface with resumable uploads. It believes nothing: tokens, ranges, offsets, sizes, hashes and
// conditions are checked as Google does. Requests are counted from 1; a fault applies to a range of
// them. Calls are the test's thread's and take the server's lock.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/thread.h"
#include "scripted_server.h"

#define GCS_SERVER_BUCKET  "test-bucket"
#define GCS_SERVER_GRANULE ((size_t)100) // bytes, in place of 256 KiB

enum gcs_fault {
    GCS_FAULT_NONE,
    // The request has no effect.
    GCS_FAULT_CLOSE_BEFORE,
    GCS_FAULT_500_BEFORE,
    GCS_FAULT_503,
    GCS_FAULT_408,
    GCS_FAULT_429,
    GCS_FAULT_403_RATE,
    GCS_FAULT_GARBAGE,
    GCS_FAULT_HUGE,      // more than 1 MiB
    GCS_FAULT_LONG_HEAD, // 200 KiB of headers
    GCS_FAULT_LIE,       // 200 with nothing
    GCS_FAULT_EARLY,     // 200 before the body was read
    GCS_FAULT_DEEP,      // JSON that never ends to begin
    // Half of the body is taken.
    GCS_FAULT_HALF_RESET,
    GCS_FAULT_HALF_STALL, // until the client goes
    GCS_FAULT_HALF_308,
    // It has its effect.
    GCS_FAULT_DELAY,
    GCS_FAULT_STALL,
    GCS_FAULT_CLOSE_AFTER,
    GCS_FAULT_RESET_AFTER,
    GCS_FAULT_RESET_IN_HEAD,
    GCS_FAULT_TRUNCATED,
    GCS_FAULT_500_AFTER,
    GCS_FAULT_DUPLICATE, // the answer twice
    GCS_FAULT_EMPTY,     // the answer without its body
    GCS_FAULT_NO_HEADERS,
    GCS_FAULT_MD5_WRONG, // in the answer
    GCS_FAULT_SIZE_WRONG,
    GCS_FAULT_NAME_WRONG,
    GCS_FAULT_RANGE_BEYOND,
    GCS_FAULT_RANGE_BACK,
    GCS_FAULT_RANGE_ODD,
    // Another one.
    GCS_FAULT_FLIPPED, // one bit of the body, as if it had arrived so
    GCS_FAULT_FORGET,  // the upload; 410
    GCS_FAULT_FINAL,   // those from here on are no accidents
    GCS_FAULT_301,
    GCS_FAULT_307,
    GCS_FAULT_400,
    GCS_FAULT_401,
    GCS_FAULT_403,
    GCS_FAULT_404,
    GCS_FAULT_410,
    GCS_FAULT_412,
    GCS_FAULT_COUNT,
};

struct gcs_server_object {
    struct gcs_server_object *next;
    char name[2048];
    struct buf bytes;
    char content_type[80];
    char md5[32];    // base 64
    char sha256[80]; // metadata; empty: none
    int64_t generation;
    int64_t created_at_ms;
};

struct gcs_server_upload {
    struct gcs_server_upload *next;
    char id[64];
    bool is_open;
    bool is_done;
    bool replaces;
    bool is_known; // its id has gone out
    uint64_t size_bytes;
    struct gcs_server_object object; // to be; md5: as was said, or empty
};

struct gcs_server {
    struct scripted_server base;
    struct mutex lock;

    // How it is; set before the first request, or by the test between calls.
    bool denies_create;
    bool denies_get;
    bool denies_delete;
    bool denies_list;
    bool is_strict; // whoever may not delete is refused before conditions are looked at
    bool has_no_bucket;
    bool has_no_metadata;
    bool is_expired; // the first token
    size_t granule_bytes;

    enum gcs_fault fault;
    int fault_from;
    int fault_to;

    int request_count;
    int refused_count; // requests that Google would call wrong: no token, odd ranges, ...
    struct buf log;    // "PUT /upload/...?... 308\n"
    struct gcs_server_object *objects;
    struct gcs_server_upload *uploads;
    int next_id;
};

void gcs_server_open(struct gcs_server *server);
void gcs_server_close(struct gcs_server *server);
// Forgets objects, uploads, counts and faults.
void gcs_server_reset(struct gcs_server *server);
// From the n-th request on (1: the next one) to the m-th.
void gcs_server_fail(struct gcs_server *server, enum gcs_fault fault, int from, int to);

// Copies; false: no such object.
bool gcs_server_get(struct gcs_server *server, const char *key, struct buf *ret_bytes);
void gcs_server_put(struct gcs_server *server, const char *key, const char *text);
// Makes objects older.
void gcs_server_age(struct gcs_server *server, int64_t age_ms);
int gcs_server_object_count(struct gcs_server *server);
// Those that somebody could end.
int gcs_server_open_uploads(struct gcs_server *server);
int gcs_server_requests(struct gcs_server *server);

// The token that is good: of the first (number 0) or of a later one.
#define GCS_SERVER_TOKEN       "ya29.secret-of-the-tests"
#define GCS_SERVER_FRESH_TOKEN "ya29.secret-of-the-tests-2"
