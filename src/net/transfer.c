// SPDX-License-Identifier: Apache-2.0
#include "net/transfer.h"

#include <curl/curl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

#define TRANSFER_AGENT "milkrun/" MILKRUN_VERSION
// Between two questions whether to go on: the library asks far more often while bytes move.
#define TRANSFER_ASK_MS 200
// Between two steps of a look-up: the library waits for nothing that could wake it earlier.
#define TRANSFER_STEP_MS 2
// A mail server ends a dialogue in which nothing was said for some minutes.
#define TRANSFER_MAIL_IDLE_S 30L

struct transfer {
    CURL *curl;
    struct transfer_config config; // its texts are ours
    char *ca_file;
    char *proxy;
};

// One call.
struct transfer_exchange {
    const struct transfer_config *config;
    const struct transfer_call *call;
    CURL *curl;
    struct err err; // why a callback ended the call
    bool has_failed;
    bool is_denied; // by the guard
    size_t address_count;
    bool is_stalled;
    bool is_canceled;
    bool is_read_out;
    curl_off_t read_bytes;
    int64_t asked_at_ms;
    int64_t moved_at_ms;
    curl_off_t moved_bytes; // in both directions
};

void transfer_open(const struct transfer_config *config, struct transfer **ret_transfer)
{
    const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT); // counted and thread-safe
    ASSERT(started == CURLE_OK);
    struct transfer *transfer = mem_alloc(sizeof *transfer);
    transfer->config = *config;
    if (config->ca_file != NULL)
        transfer->ca_file = mem_copy_text(config->ca_file);
    if (config->proxy != NULL)
        transfer->proxy = mem_copy_text(config->proxy);
    transfer->config.ca_file = transfer->ca_file;
    transfer->config.proxy = transfer->proxy;
    transfer->curl = curl_easy_init();
    ASSERT(transfer->curl != NULL); // only without memory
    *ret_transfer = transfer;
}

void transfer_close(struct transfer **address)
{
    struct transfer *transfer = *address;
    if (transfer == NULL)
        return;
    curl_easy_cleanup(transfer->curl);
    curl_global_cleanup();
    mem_free(transfer->ca_file);
    mem_free(transfer->proxy);
    mem_free(transfer);
    *address = NULL;
}

// --- Callbacks

static size_t transfer_on_read(char *data, size_t size, size_t count, void *context)
{
    struct transfer_exchange *exchange = context;
    size_t got = 0;
    if (exchange->call->read == NULL) // an empty body
        return 0;
    if (!exchange->call->read(exchange->call->context, data, size * count, &got, &exchange->err)) {
        exchange->has_failed = true;
        return CURL_READFUNC_ABORT;
    }
    ASSERT(got <= size * count);
    exchange->read_bytes += (curl_off_t)got;
    exchange->is_read_out = got == 0 || exchange->read_bytes == exchange->call->body_bytes;
    return got;
}

static int transfer_status(const struct transfer_exchange *exchange)
{
    long status = 0;
    (void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t transfer_on_body(char *data, size_t size, size_t count, void *context)
{
    struct transfer_exchange *exchange = context;
    const struct slice bytes = slice_of(data, size * count);
    const int status = transfer_status(exchange);
    if (exchange->call->take_body(exchange->call->context, status, bytes, &exchange->err))
        return bytes.size_bytes;
    exchange->has_failed = true;
    return CURL_WRITEFUNC_ERROR;
}

static size_t transfer_on_line(char *data, size_t size, size_t count, void *context)
{
    struct transfer_exchange *exchange = context;
    const struct slice line = slice_of(data, size * count);
    exchange->moved_at_ms = clock_boot_ms(clock_system()); // a dialogue moves no counted bytes
    if (exchange->call->take_line(exchange->call->context, line, &exchange->err))
        return line.size_bytes;
    exchange->has_failed = true;
    return CURL_WRITEFUNC_ERROR;
}

// The very address that is connected to, whatever the name resolved to when it was looked at first.
static curl_socket_t transfer_on_socket(void *context, curlsocktype purpose,
                                        struct curl_sockaddr *address)
{
    struct transfer_exchange *exchange = context;
    const struct address_guard *guard = exchange->config->guard;
    if (guard != NULL && purpose == CURLSOCKTYPE_IPCXN && exchange->config->proxy == NULL &&
        !address_guard_allows(guard, &address->addr)) {
        exchange->is_denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// Called about once per second, and whenever something moves. (The library's own low-speed limit
// looks at an average over five seconds and so comes late.)
static int transfer_on_progress(void *context, curl_off_t download_total, curl_off_t download_now,
                                curl_off_t upload_total, curl_off_t upload_now)
{
    (void)download_total;
    (void)upload_total;
    struct transfer_exchange *exchange = context;
    const struct transfer_call *call = exchange->call;
    const int64_t now_ms = clock_boot_ms(clock_system());
    if (exchange->moved_at_ms == 0 || download_now + upload_now != exchange->moved_bytes) {
        exchange->moved_at_ms = now_ms;
        exchange->moved_bytes = download_now + upload_now;
    }
    const int64_t stall_timeout_ms = exchange->config->stall_timeout_ms;
    exchange->is_stalled = stall_timeout_ms > 0 &&
                           now_ms - exchange->moved_at_ms >= stall_timeout_ms;
    if (call->keep_going != NULL && now_ms - exchange->asked_at_ms >= TRANSFER_ASK_MS) {
        exchange->asked_at_ms = now_ms;
        exchange->is_canceled = !call->keep_going(call->context);
    }
    return exchange->is_stalled || exchange->is_canceled ? 1 : 0;
}

// --- Options. They are known and have values in range: setting them cannot fail.

static void transfer_set_limits(CURL *curl, const struct transfer_config *config)
{
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); // time-outs do not wait for the resolver
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)config->connect_timeout_ms);
    if (config->stall_timeout_ms > 0) // to a command of mail; progress is looked at besides
        (void)curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT,
                               (long)((config->stall_timeout_ms + 999) / 1000));
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    // An empty text is "none", as NULL would look into the environment.
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, config->proxy == NULL ? "" : config->proxy);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (config->ca_file != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca_file);
        (void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); // the system's would be trusted, too
    }
}

static void transfer_set_callbacks(CURL *curl, struct transfer_exchange *exchange)
{
    (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, transfer_on_read);
    (void)curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, transfer_on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, transfer_on_line);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, transfer_on_socket);
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, transfer_on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
}

// The library has a way for each method, and none that asks for a body of a reply to HEAD or lets
// the length of an empty body unsaid where one belongs.
static void transfer_set_method(CURL *curl, const struct transfer_call *call)
{
    const char *method = call->method;
    const bool has_body = call->body_bytes != 0 || strcmp(method, "PUT") == 0 ||
                          strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0;
    if (strcmp(method, "HEAD") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
        return;
    }
    if (has_body) {
        (void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_bytes);
    } else {
        (void)curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static void transfer_free_list(struct curl_slist **list)
{
    curl_slist_free_all(*list);
    *list = NULL;
}

static void transfer_append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    ASSERT(longer != NULL); // only without memory
    *list = longer;
}

static void transfer_set_http(CURL *curl, const struct transfer_call *call,
                              struct curl_slist **headers)
{
    transfer_append(headers, "Expect:"); // we do not wait for permission
    for (size_t i = 0; i < call->header_line_count; i++)
        transfer_append(headers, call->header_lines[i]);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L); // keys may have any segments
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, TRANSFER_AGENT);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
    transfer_set_method(curl, call);
}

static void transfer_set_mail(CURL *curl, const struct transfer_call *call,
                              struct curl_slist **recipients)
{
    const struct transfer_mail *mail = call->mail;
    transfer_append(recipients, mail->to);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    (void)curl_easy_setopt(curl, CURLOPT_USE_SSL,
                           mail->needs_starttls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
    if (mail->user != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_USERNAME, mail->user);
        (void)curl_easy_setopt(curl, CURLOPT_PASSWORD, mail->password);
    }
    (void)curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, TRANSFER_MAIL_IDLE_S);
    (void)curl_easy_setopt(curl, CURLOPT_MAIL_FROM, mail->from);
    (void)curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, *recipients);
    (void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_bytes);
}

// --- The call

// Why a dialogue about mail failed: a server that says "later" (4xx) to a login or to STARTTLS is
// not one that refuses us.
static bool transfer_fail_mail(CURLcode code, const struct transfer_exchange *exchange,
                               const char *reason, struct err *err)
{
    const bool is_for_now = transfer_status(exchange) / 100 == 4;
    const enum err_kind kind = is_for_now ? ERR_UNAVAILABLE : ERR_DENIED;
    if (code == CURLE_LOGIN_DENIED)
        return err_set(err, kind, "login: %s", reason);
    if (code == CURLE_USE_SSL_FAILED)
        return err_set(err, kind, "TLS: %s", reason);
    if (code == CURLE_REMOTE_ACCESS_DENIED) // by the reply to EHLO
        return err_set(err, kind, "%s", reason);
    return err_set(err, ERR_UNAVAILABLE, "%s", reason);
}

// The library's own words name host, address and port of a server that may be nobody else's
// business; whoever called knows them.
static const char *transfer_reason(CURLcode code, const char *details)
{
    const bool names_peer = code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
                            code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_OPERATION_TIMEDOUT;
    return details[0] != '\0' && !names_peer ? details : curl_easy_strerror(code);
}

// Says what a failed call means for the caller.
static bool transfer_fail(CURLcode code, const struct transfer_exchange *exchange,
                          const char *details, struct err *err)
{
    const char *reason = transfer_reason(code, details);
    if (exchange->has_failed) {
        if (err != NULL)
            *err = exchange->err;
        return false;
    }
    if (exchange->is_canceled)
        return err_set(err, ERR_CANCELED, "canceled");
    if (exchange->is_stalled)
        return err_set(err, ERR_UNAVAILABLE, "nothing moved for too long");
    if (exchange->is_denied)
        return err_set(err, ERR_DENIED, "Endpoint not allowed");
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return err_set(err, ERR_DENIED, "TLS: %s", reason);
    if (exchange->call->mail != NULL)
        return transfer_fail_mail(code, exchange, reason, err);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_LOGIN_DENIED)
        return err_set(err, ERR_INVALID, "%s", reason);
    return err_set(err, ERR_UNAVAILABLE, "%s", reason);
}

static bool transfer_was_sent_whole(const struct transfer_exchange *exchange)
{
    const int64_t body_bytes = exchange->call->body_bytes;
    curl_off_t sent_bytes = 0;
    (void)curl_easy_getinfo(exchange->curl, CURLINFO_SIZE_UPLOAD_T, &sent_bytes);
    if (exchange->call->mail != NULL) // dots are doubled on the way
        return exchange->is_read_out;
    if (body_bytes < 0) // the frames of chunks count as sent bytes
        return exchange->is_read_out && sent_bytes > exchange->read_bytes;
    return sent_bytes >= body_bytes;
}

static void transfer_fill_report(CURLcode code, const struct transfer_exchange *exchange,
                                 struct transfer_report *report)
{
    curl_off_t retry_after_s = 0;
    (void)curl_easy_getinfo(exchange->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    const int status = transfer_status(exchange);
    // The codes of the library for these; with a good reply they mean something else.
    const bool is_about_mail = code == CURLE_SEND_ERROR ||
                               (code == CURLE_WEIRD_SERVER_REPLY && exchange->is_read_out);
    *report = (struct transfer_report){
        .status = status,
        .retry_after_s = retry_after_s,
        .was_sent_whole = transfer_was_sent_whole(exchange),
        .was_refused = exchange->call->mail != NULL && is_about_mail && status >= 400,
    };
}

// What came over the connection of the last call since then is an answer that nobody asked for: it
// would be taken for that to the next call. (A connection that has ended is readable, too.)
static void transfer_drop_what_speaks_unasked(struct transfer *transfer)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    (void)curl_easy_getinfo(transfer->curl, CURLINFO_ACTIVESOCKET, &socket);
    struct pollfd look = {.fd = socket, .events = POLLIN};
    if (socket == CURL_SOCKET_BAD || poll(&look, 1, 0) <= 0)
        return;
    curl_easy_cleanup(transfer->curl); // the library closes single connections in no other way
    transfer->curl = curl_easy_init();
    ASSERT(transfer->curl != NULL); // only without memory
}

bool transfer_run(struct transfer *transfer, const struct transfer_call *call,
                  struct transfer_report *report, struct err *err)
{
    ASSERT(call->read != NULL || call->body_bytes == 0);
    if (call->mail == NULL)
        transfer_drop_what_speaks_unasked(transfer);
    CURL *curl = transfer->curl;
    struct curl_slist *list CLEANUP(transfer_free_list) = NULL;
    struct transfer_exchange exchange = {.config = &transfer->config, .call = call, .curl = curl};
    char details[CURL_ERROR_SIZE] = "";
    curl_easy_reset(curl); // keeps the connections
    transfer_set_limits(curl, &transfer->config);
    transfer_set_callbacks(curl, &exchange);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, details);
    (void)curl_easy_setopt(curl, CURLOPT_URL, call->url); // copied; judged by the call
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->total_timeout_ms);
    if (call->mail != NULL)
        transfer_set_mail(curl, call, &list);
    else
        transfer_set_http(curl, call, &list);
    const CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL); // it goes out of scope
    transfer_fill_report(code, &exchange, report);
    return code == CURLE_OK || transfer_fail(code, &exchange, details, err);
}

// --- Look-up

// Every address of the host comes here, as none is ever connected to.
static curl_socket_t transfer_on_address(void *context, curlsocktype purpose,
                                         struct curl_sockaddr *address)
{
    (void)purpose;
    struct transfer_exchange *exchange = context;
    exchange->address_count++;
    if (!address_guard_allows(exchange->config->guard, &address->addr))
        exchange->is_denied = true;
    return CURL_SOCKET_BAD;
}

static void transfer_free_multi(CURLM **multi)
{
    (void)curl_multi_cleanup(*multi); // has no handles any more
}

// One address after another, without the pauses that a library makes which hopes to connect.
static CURLcode transfer_step_through(CURL *curl)
{
    CURLM *multi CLEANUP(transfer_free_multi) = curl_multi_init();
    ASSERT(multi != NULL); // only without memory
    int running = 1;
    const CURLMcode added = curl_multi_add_handle(multi, curl);
    ASSERT(added == CURLM_OK);
    while (curl_multi_perform(multi, &running) == CURLM_OK && running > 0)
        (void)curl_multi_poll(multi, NULL, 0, TRANSFER_STEP_MS, NULL); // as good as a pause
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    const CURLcode code = message == NULL ? CURLE_FAILED_INIT : message->data.result;
    (void)curl_multi_remove_handle(multi, curl); // it is there
    return code;
}

bool transfer_look_up(struct transfer *transfer, const char *url, struct err *err)
{
    ASSERT(transfer->config.guard != NULL);
    CURL *curl = transfer->curl;
    struct transfer_exchange exchange = {.config = &transfer->config, .curl = curl};
    curl_easy_reset(curl);
    transfer_set_limits(curl, &transfer->config);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, transfer_on_address);
    (void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &exchange);
    const CURLcode code = transfer_step_through(curl);
    if (exchange.is_denied)
        return err_set(err, ERR_DENIED, "Endpoint not allowed");
    if (code != CURLE_COULDNT_CONNECT || exchange.address_count == 0)
        return err_set(err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(code));
    return true;
}
