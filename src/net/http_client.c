// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <curl/curl.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#define HTTP_CLIENT_AGENT "milkrun/" MILKRUN_VERSION

struct http_client {
    CURL *curl;
    struct http_client_config config;
    char *ca_file;
};

// One call.
struct http_exchange {
    const struct http_client_call *call;
    struct buf *body;
    size_t body_bytes;
    size_t body_bytes_max;
    bool is_too_large;
    bool has_read_failed;
    struct err read_err;
    int64_t stall_timeout_ms; // 0: none
    int64_t moved_at_ms;
    curl_off_t moved_bytes; // in both directions
};

void http_client_open(const struct http_client_config *config, struct http_client **ret_client)
{
    const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT); // counted and thread-safe
    ASSERT(started == CURLE_OK);
    struct http_client *client = mem_alloc(sizeof *client);
    client->config = *config;
    if (config->reply_bytes_max == 0)
        client->config.reply_bytes_max = HTTP_CLIENT_REPLY_BYTES_MAX;
    if (config->ca_file != NULL)
        client->ca_file = mem_copy_text(config->ca_file);
    client->curl = curl_easy_init();
    ASSERT(client->curl != NULL); // only without memory
    *ret_client = client;
}

void http_client_close(struct http_client **address)
{
    struct http_client *client = *address;
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    curl_global_cleanup();
    mem_free(client->ca_file);
    mem_free(client);
    *address = NULL;
}

static size_t http_client_read(char *data, size_t size, size_t count, void *context)
{
    struct http_exchange *exchange = context;
    size_t got = 0;
    if (!exchange->call->read(exchange->call->context, data, size * count, &got,
                              &exchange->read_err)) {
        exchange->has_read_failed = true;
        return CURL_READFUNC_ABORT;
    }
    ASSERT(got <= size * count);
    return got;
}

static size_t http_client_write(char *data, size_t size, size_t count, void *context)
{
    struct http_exchange *exchange = context;
    const size_t size_bytes = size * count;
    exchange->body_bytes += size_bytes;
    buf_append(exchange->body, slice_of(data, size_bytes));
    exchange->is_too_large = exchange->body_bytes > exchange->body_bytes_max ||
                             exchange->body->overflowed;
    return exchange->is_too_large ? 0 : size_bytes;
}

// Called about once per second. (The library's own low-speed limit looks at an average over five
// seconds and so comes late.)
static int http_client_watch(void *context, curl_off_t download_total, curl_off_t download_now,
                             curl_off_t upload_total, curl_off_t upload_now)
{
    (void)download_total;
    (void)upload_total;
    struct http_exchange *exchange = context;
    const int64_t now_ms = clock_boot_ms(clock_system());
    if (exchange->moved_at_ms == 0 || download_now + upload_now != exchange->moved_bytes) {
        exchange->moved_at_ms = now_ms;
        exchange->moved_bytes = download_now + upload_now;
    }
    const bool is_stalled = exchange->stall_timeout_ms > 0 &&
                            now_ms - exchange->moved_at_ms >= exchange->stall_timeout_ms;
    return is_stalled ? 1 : 0;
}

static void http_client_free_list(struct curl_slist **list)
{
    curl_slist_free_all(*list);
    *list = NULL;
}

static void http_client_append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    ASSERT(longer != NULL); // only without memory
    *list = longer;
}

static bool http_client_make_headers(const struct http_client_call *call,
                                     struct curl_slist **ret_list, struct err *err)
{
    struct curl_slist *list CLEANUP(http_client_free_list) = NULL;
    http_client_append(&list, "Expect:"); // we do not wait for permission
    if (call->body_bytes < 0)
        http_client_append(&list, "Transfer-Encoding: chunked");
    for (size_t i = 0; i < call->header_count; i++) {
        const struct http_client_header *header = &call->headers[i];
        if (strpbrk(header->name, "\r\n:") != NULL || strpbrk(header->value, "\r\n") != NULL)
            return err_set(err, ERR_INVALID, "header %s has a line break", header->name);
        struct buf line CLEANUP(buf_clear);
        buf_init(&line, HTTP_CLIENT_REPLY_BYTES_MAX);
        // A header without a value would be left out, unless it ends in ';'.
        buf_append_format(&line, header->value[0] == '\0' ? "%s;" : "%s: %s", header->name,
                          header->value);
        TRY(buf_check(&line, err));
        http_client_append(&list, buf_text(&line));
    }
    *ret_list = list;
    list = NULL;
    return true;
}

// Says what a failed call means for the caller.
static bool http_client_fail(CURLcode code, const struct http_exchange *exchange,
                             const char *details, struct err *err)
{
    const char *reason = details[0] != '\0' ? details : curl_easy_strerror(code);
    if (exchange->has_read_failed) {
        if (err != NULL)
            *err = exchange->read_err;
        return false;
    }
    if (exchange->is_too_large)
        return err_set(err, ERR_LIMIT, "the reply is too large");
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, ERR_INVALID, "%s", reason);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return err_set(err, ERR_DENIED, "TLS: %s", reason);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        reason = "nothing moved for too long";
    return err_set(err, ERR_UNAVAILABLE, "%s", reason);
}

static void http_client_set_limits(const struct http_client *client)
{
    const struct http_client_config *config = &client->config;
    CURL *curl = client->curl;
    // Known options with values in range: they cannot fail.
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, HTTP_CLIENT_AGENT);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)config->total_timeout_ms);
    if (client->ca_file != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
}

// A request without a body is none of a POST, unless it is a POST.
static void http_client_set_method(CURL *curl, const struct http_client_call *call)
{
    if (call->method != NULL && call->body_bytes == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    } else {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_bytes);
    }
    if (call->method != NULL)
        (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
}

bool http_client_send(struct http_client *client, const struct http_client_call *call,
                      struct http_client_reply *ret_reply, struct buf *ret_body, struct err *err)
{
    ASSERT(call->read != NULL || call->body_bytes == 0);
    struct curl_slist *headers CLEANUP(http_client_free_list) = NULL;
    TRY(http_client_make_headers(call, &headers, err));
    struct http_exchange exchange = {
        .call = call,
        .body = ret_body,
        .body_bytes_max = client->config.reply_bytes_max,
        .stall_timeout_ms = client->config.stall_timeout_ms,
    };
    char details[CURL_ERROR_SIZE] = "";
    CURL *curl = client->curl;
    curl_easy_reset(curl); // keeps the connection
    http_client_set_limits(client);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    (void)curl_easy_setopt(curl, CURLOPT_URL, call->url); // copied; judged by the call
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    http_client_set_method(curl, call);
    (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, http_client_read);
    (void)curl_easy_setopt(curl, CURLOPT_READDATA, &exchange);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, http_client_write);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, http_client_watch);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
    const CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL); // it goes out of scope
    if (code != CURLE_OK)
        return http_client_fail(code, &exchange, details, err);
    long status = 0;
    curl_off_t retry_after_s = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    *ret_reply = (struct http_client_reply){.status = (int)status, .retry_after_s = retry_after_s};
    return true;
}
