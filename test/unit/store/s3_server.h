// SPDX-License-Identifier: Apache-2.0
// An S3 server in memory, on a loopback port, that can misbehave at any request. It believes
// nothing: signatures are computed anew by code of its own, and hashes of bodies compared. Requests
// are counted from 1; a fault applies to a range of them. Calls are the test's thread's and take
// the server's lock.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/thread.h"
#include "scripted_server.h"

#define S3_SERVER_BUCKET "test-bucket"
#define S3_SERVER_REGION "eu-test-1"
#define S3_SERVER_KEY    "AKIATESTTESTTEST"
#define S3_SERVER_SECRET "secret/Of+The=Tests"
#define S3_SERVER_TOKEN  "token/Of+The=Tests"

enum s3_fault {
    S3_FAULT_NONE,
    // The request has no effect.
    S3_FAULT_CLOSE_BEFORE,
    S3_FAULT_RESET_IN_BODY, // after half of it
    S3_FAULT_500_BEFORE,
    S3_FAULT_503_SLOW_DOWN,
    S3_FAULT_408,
    S3_FAULT_429,
    S3_FAULT_200_ERROR_BEFORE,
    S3_FAULT_LIE,   // 200 with nothing
    S3_FAULT_EARLY, // 200 before the body was read
    S3_FAULT_GARBAGE,
    S3_FAULT_HUGE,      // 3 MiB
    S3_FAULT_BOMB,      // XML with a document type
    S3_FAULT_DEEP,      // XML that never ends to begin
    S3_FAULT_OTHER_XML, // 200 with an answer to something else
    S3_FAULT_LONG_HEAD, // 200 KiB of headers
    // It has.
    S3_FAULT_DELAY,
    S3_FAULT_STALL, // until the client goes
    S3_FAULT_CLOSE_AFTER,
    S3_FAULT_RESET_AFTER,
    S3_FAULT_RESET_IN_HEAD,
    S3_FAULT_RESET_IN_ANSWER, // one byte before its end
    S3_FAULT_TRUNCATED,       // the same, with a proper end of the connection
    S3_FAULT_500_AFTER,
    S3_FAULT_200_ERROR_AFTER,
    S3_FAULT_ETAG_WRONG,
    S3_FAULT_ETAG_MISSING,
    S3_FAULT_DUPLICATE, // the answer twice
    // Another one.
    S3_FAULT_FLIPPED, // one bit of the body, as if it had arrived so
    S3_FAULT_SHORT,   // its last byte is lost; of a completed upload, that of the object
    // What is final, or leads elsewhere.
    S3_FAULT_301,
    S3_FAULT_307,
    S3_FAULT_403,
    S3_FAULT_404,
    S3_FAULT_404_NO_UPLOAD,
    S3_FAULT_409,
    S3_FAULT_412,
    S3_FAULT_400_EXPIRED,
    S3_FAULT_COUNT,
};

struct s3_object {
    struct s3_object *next;
    char key[2048];
    struct buf bytes; // only with keeps_bytes
    uint64_t size_bytes;
    char etag[64];
    char sha256[80]; // metadata
    char content_type[80];
    int64_t written_at_ms;
};

struct s3_part {
    bool is_there;
    struct buf bytes;
    uint64_t size_bytes;
    uint8_t md5[16];
    char etag[40];
};

#define S3_SERVER_PARTS_MAX 1000

struct s3_upload {
    struct s3_upload *next;
    char id[64];
    struct s3_object object; // to be
    struct s3_part *parts;
    bool is_completed; // and may be completed once more
};

struct s3_server {
    struct scripted_server base;
    struct mutex lock;

    // How it is; set before the first request, or by the test between calls.
    bool is_goog;           // Google's dialect and conditions
    bool keeps_bytes;       // false: for large objects, whose hashes are believed
    bool ignores_condition; // as some do
    bool refuses_condition; // 501
    bool has_own_etags;     // as with keys of its own: aws:kms
    bool is_write_once;     // 403 to a PUT of what is there
    bool demands_condition; // 403 to a PUT that might replace something
    const char *kms_key;    // 403 to what is to be encrypted by another one; NULL: all is well
    bool denies_write;
    bool denies_read;
    bool denies_delete;
    bool denies_list;
    bool has_no_metadata;
    int damage_count;        // of uploads whose object will not be what was sent, and says so
    const char *bucket_host; // NULL: path style
    const char *region;      // where the bucket is
    const char *wanted_host; // NULL: any; others are sent there
    const char *token;       // NULL: requests have none
    int64_t clock_offset_ms;

    enum s3_fault fault;
    int fault_from;
    int fault_to;

    int request_count;
    int unsigned_count; // requests whose signature was not right
    struct buf log;     // "PUT /bucket/key?partNumber=1 200\n"
    struct s3_object *objects;
    struct s3_upload *uploads;
    int upload_count;
    int next_id;
};

void s3_server_open(struct s3_server *server);
void s3_server_close(struct s3_server *server);
// Forgets objects, uploads, counts and faults.
void s3_server_reset(struct s3_server *server);
// From the n-th request on (1: the next one) to the m-th.
void s3_server_fail(struct s3_server *server, enum s3_fault fault, int from, int to);

// Copies; false: no such object.
bool s3_server_get(struct s3_server *server, const char *key, struct buf *ret_bytes);
void s3_server_put(struct s3_server *server, const char *key, const char *text);
// Makes objects and uploads older.
void s3_server_age(struct s3_server *server, int64_t age_ms);
int s3_server_object_count(struct s3_server *server);
int s3_server_open_uploads(struct s3_server *server);
int s3_server_requests(struct s3_server *server);
