// SPDX-License-Identifier: Apache-2.0
// The HTTP face of milkrun: the Branch surface, the native calls under /v1, ingest, the hosted
// bucket with its signed URLs, and the pages for operators (/healthz, /readyz, /metrics,
// /openapi.json). It stands between net/http_server and the catalog, the ingest log and the bucket,
// none of which it owns. Handlers that only read run on the server's threads; those that write the
// catalog, or may read much of it, run on a few writer threads while their connection is suspended.
#pragma once

#include "base/cipher.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/option.h"
#include "net/http_server.h"

struct api;
struct ingest_log;
struct store;

// Requests in a time; 0: no limit.
struct api_rate_settings {
    int64_t organization_per_second;
    int64_t token_per_second;
    int64_t create_per_minute; // custom exports, of an organization
    int64_t create_per_hour;
    int64_t status_per_minute;
    int64_t status_per_hour;
};

// Of custom exports; days: 0 is no limit.
struct api_custom_settings {
    int64_t span_days;
    int64_t look_back_days;
    int64_t row_limit;
    int64_t file_rows;
};

// Of notifications; no options of their own: those of notify, smtp and destinations are meant.
struct api_notify_settings {
    int64_t limit;  // per organization
    bool has_mail;  // there is a server for mail
    bool has_proxy; // which resolves names
};

struct api_daily_settings {
    int64_t look_back_days; // 0: no limit
    int64_t file_rows;
};

// What besides the hosted bucket files may go to. No options of their own: those of the clouds, of
// mail and of destinations are meant.
struct api_destination_settings {
    bool has_aws;               // roles can be assumed
    const char *aws_account_id; // the operator's own, whose roles are nobody's; or NULL
    bool has_gcp;               // service accounts can be impersonated
    bool has_mail;
    struct option_list mail_allowed_recipients; // addresses and "@domain"; empty: any
    bool customer_endpoints;                    // beside connections without one
    bool has_proxy;                             // uploads go through one
};

// What an operator may set; api_options describes each and holds its default.
struct api_settings {
    struct option_list base_urls;
    int64_t thread_count;
    int64_t writer_count;
    int64_t writer_queue_count;
    int64_t body_bytes;
    int64_t ingest_body_bytes;
    int64_t gzip_request_count;
    int64_t subscription_limit;
    int64_t waiting_count;
    struct api_custom_settings custom;
    struct api_daily_settings daily;
    struct api_destination_settings destinations;
    struct api_notify_settings notify;
    struct option_list allowed_networks; // of destinations: where customers' endpoints may be
    int64_t export_retention_ms;         // no option of its own: that of the files is meant
    int64_t hourly_grace_ms; // no options of their own: those of the scheduler are meant
    int64_t daily_grace_ms;
    struct option_list cors_origins; // empty: none
    bool logs_access;
    struct api_rate_settings rates;
    struct http_limits http;
};

extern const struct option api_options[];
extern const size_t api_option_count;

#define API_URL_KEY_BYTES ((size_t)32)

struct api_config {
    struct api_settings settings;
    const char *data_directory; // its log/ is looked at by /readyz
    const char *catalog_path;
    const struct clock *clock;
    int listen_fd;              // bound and listening; taken over, also on failure
    const char *listen_address; // host:port as clients reach it, for the base URL when none is set
    const char *tls_certificate_pem; // NULL: plain HTTP
    const char *tls_key_pem;
    struct ingest_log *log;
    struct store *bucket;                 // the hosted bucket, when it is on this machine
    const struct hosted_settings *hosted; // where it is
    uint8_t url_key[API_URL_KEY_BYTES];   // what signed URLs rest on; secret
    const struct cipher_key *secret_keys; // of secrets in the catalog: the first one seals
    size_t secret_key_count;
    void (*on_change)(
        void *context); // the catalog has work for others: a wake-up hint. May be NULL
    void *context;
};

// Starts serving. Texts of the configuration must outlive the api. INVALID for a base URL that is
// not http(s)://HOST[:PORT], or an origin that is none.
NODISCARD bool api_open(const struct api_config *config, struct api **ret_api, struct err *err);

// Stops accepting, lets requests in progress finish for drain_ms, and joins all threads.
void api_close(struct api **api, int64_t drain_ms);
