// SPDX-License-Identifier: Apache-2.0
// What the files of the S3 client share: s3_client.c repeats, s3_attempt.c signs and sends once,
// s3_judge.c says what came of it.
#pragma once

#include "cloud/s3_client.h"

struct s3_client {
    struct s3_config config; // endpoint and region are NULL; other texts are those below
    struct http_client *http;
    char *bucket;
    char *ca_file;
    char *proxy;
    char *scheme;    // "https://"
    char *authority; // of the endpoint, in the region
    char *region;
    int64_t skew_ms;              // the store's clock minus ours
    int64_t refreshed_in_vain_ms; // when a refresh gave the same credentials (boot clock); 0: never
};

struct s3_attempt {
    struct s3_client *client;
    const struct s3_call *call;
    struct arena *arena; // of the whole call
    struct s3_credentials credentials;
    struct retry retry;

    // What was tried without a pause.
    bool has_refreshed;
    bool has_set_clock;
    bool has_moved;

    uint64_t sent_bytes; // of the body
    bool is_unclear;
    int64_t retry_after_s;
    struct err last; // how it failed, if that may pass
};

// Sends once, with the credentials of the attempt. False: *err is what the HTTP client, the file or
// the receiver said.
NODISCARD bool s3_attempt_exchange(struct s3_attempt *attempt, struct http_client_reply *ret_reply,
                                   struct buf *ret_body, struct err *err);

enum s3_course {
    S3_COURSE_DONE,
    S3_COURSE_FAILED, // for good
    S3_COURSE_AGAIN,  // at once
    S3_COURSE_LATER,
};

// s3_judge.c
enum s3_course s3_judge(struct s3_attempt *attempt, const struct http_client_reply *reply,
                        struct slice body, struct s3_reply *ret_reply, struct err *err);
