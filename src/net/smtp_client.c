// SPDX-License-Identifier: Apache-2.0
// The dialogue is libcurl's. What a failed one means is found from the last reply and from how far
// the message had been given:
//
//   S: 220, C: EHLO, STARTTLS, AUTH     a failure here is the server's or ours: an error
//   C: MAIL FROM, RCPT TO, DATA         4xx, 5xx: a verdict; a lost connection: an error
//   S: 354, C: the message              lost: an error, as no server takes half a message
//   C: .                                4xx, 5xx: a verdict; lost: nobody knows
#include "net/smtp_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "net/transfer.h"

#define SMTP_URL_CHARS_MAX ((size_t)600)
#define SMTP_NAME_CHARS    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._"

struct smtp_client {
    struct transfer *transfer;
    char *url;
    char *user;
    const struct secret *password;
    bool needs_starttls;
    int64_t total_timeout_ms;
};

// One call.
struct smtp_exchange {
    struct smtp_writer writer;
    struct smtp_result reply;   // the last one
    struct smtp_result refusal; // the last one of 400 or more: QUIT gets a reply, too
    size_t text_chars;
    bool is_in_reply; // more lines of it follow
};

static bool smtp_is_host(const char *host)
{
    return host[0] != '\0' && host[strspn(host, SMTP_NAME_CHARS)] == '\0';
}

// An IPv6 address has colons and needs brackets.
static bool smtp_make_url(const struct smtp_client_config *config, struct buf *url, struct err *err)
{
    const char *own_name = config->own_name == NULL ? "" : config->own_name;
    struct in6_addr address;
    const bool is_v6 = inet_pton(AF_INET6, config->host, &address) == 1;
    if (!is_v6 && !smtp_is_host(config->host))
        return err_set(err, ERR_INVALID, "the name of the mail server cannot be");
    if (own_name[0] != '\0' && !smtp_is_host(own_name))
        return err_set(err, ERR_INVALID, "our name for the mail server cannot be");
    buf_append_format(url, "%s://%s%s%s:%u/%s", config->tls == SMTP_TLS_IMPLICIT ? "smtps" : "smtp",
                      is_v6 ? "[" : "", config->host, is_v6 ? "]" : "", (unsigned)config->port,
                      own_name);
    return buf_check(url, err);
}

bool smtp_client_open(const struct smtp_client_config *config, struct smtp_client **ret_client,
                      struct err *err)
{
    ASSERT(config->port > 0);
    ASSERT((config->user == NULL) == (config->password == NULL));
    struct buf url CLEANUP(buf_clear);
    buf_init(&url, SMTP_URL_CHARS_MAX);
    TRY(smtp_make_url(config, &url, err));
    struct smtp_client *client = mem_alloc(sizeof *client);
    client->url = buf_take(&url);
    client->user = config->user == NULL ? NULL : mem_copy_text(config->user);
    client->password = config->password;
    client->needs_starttls = config->tls == SMTP_TLS_STARTTLS;
    client->total_timeout_ms = config->total_timeout_ms;
    const struct transfer_config transfer_config = {
        .connect_timeout_ms = config->connect_timeout_ms,
        .stall_timeout_ms = config->stall_timeout_ms,
        .ca_file = config->ca_file,
    };
    transfer_open(&transfer_config, &client->transfer);
    *ret_client = client;
    return true;
}

void smtp_client_close(struct smtp_client **address)
{
    struct smtp_client *client = *address;
    if (client == NULL)
        return;
    transfer_close(&client->transfer);
    mem_free(client->url);
    mem_free(client->user);
    mem_free(client);
    *address = NULL;
}

static void smtp_exchange_clear(struct smtp_exchange *exchange)
{
    smtp_writer_clear(&exchange->writer);
}

// --- Callbacks

static bool smtp_read(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                      struct err *err)
{
    struct smtp_exchange *exchange = context;
    return smtp_writer_read(&exchange->writer, ret_data, capacity_bytes, ret_bytes, err);
}

static bool smtp_is_digit(char character)
{
    return character >= '0' && character <= '9';
}

// "550-5.1.1 No such user", "550 here": one reply, whose texts are joined by a blank.
static bool smtp_take_line(void *context, struct slice line, struct err *err)
{
    (void)err;
    struct smtp_exchange *exchange = context;
    const char *chars = slice_chars(line);
    if (line.size_bytes < 4 || !smtp_is_digit(chars[0]) || !smtp_is_digit(chars[1]) ||
        !smtp_is_digit(chars[2]))
        return true; // the library does not take it for a reply, either
    if (!exchange->is_in_reply)
        exchange->text_chars = 0;
    exchange->reply.code = (chars[0] - '0') * 100 + (chars[1] - '0') * 10 + (chars[2] - '0');
    exchange->is_in_reply = chars[3] == '-';
    char *text = exchange->reply.text;
    if (exchange->text_chars > 0 && exchange->text_chars + 1 < sizeof exchange->reply.text)
        text[exchange->text_chars++] = ' ';
    for (size_t i = 4; i < line.size_bytes && chars[i] != '\r' && chars[i] != '\n'; i++) {
        const bool is_printable = chars[i] >= ' ' && chars[i] < 0x7f;
        if (exchange->text_chars + 1 < sizeof exchange->reply.text)
            text[exchange->text_chars++] = is_printable ? chars[i] : '?';
    }
    text[exchange->text_chars] = '\0';
    if (exchange->reply.code >= 400)
        exchange->refusal = exchange->reply;
    return true;
}

// --- Verdict

// The server has nothing against this message, it wants us to log in or to use TLS first.
static bool smtp_is_about_us(int code)
{
    return code == 530 || code == 534 || code == 535 || code == 538;
}

// What a dialogue that failed with *err is: true with a result, or false.
static bool smtp_judge(const struct smtp_exchange *exchange, const struct transfer_report *report,
                       struct smtp_result *ret_result, struct err *err)
{
    const struct smtp_result *refusal = &exchange->refusal;
    if (report->was_refused && smtp_is_about_us(refusal->code))
        return err_set(err, ERR_DENIED, "the mail server said %d %s", refusal->code, refusal->text);
    if (report->was_refused) {
        *ret_result = *refusal;
        ret_result->outcome = refusal->code >= 500 ? SMTP_REFUSED : SMTP_PUT_OFF;
        return true;
    }
    if (report->was_sent_whole) {
        *ret_result = (struct smtp_result){.outcome = SMTP_UNKNOWN};
        (void)snprintf(ret_result->text, sizeof ret_result->text, "%.*s",
                       (int)sizeof ret_result->text - 1, err->message);
        return true;
    }
    if (report->status >= 400)
        return err_set(err, err->kind, "the mail server said %d %s", refusal->code, refusal->text);
    return false;
}

bool smtp_client_send(struct smtp_client *client, const struct smtp_message *message,
                      struct smtp_result *ret_result, struct err *err)
{
    struct smtp_exchange exchange CLEANUP(smtp_exchange_clear) = {0};
    TRY(smtp_writer_init(&exchange.writer, message, err));
    const struct transfer_mail mail = {
        .from = message->from,
        .to = message->to,
        .user = client->user,
        .password = client->password == NULL ? NULL : slice_chars(secret_reveal(client->password)),
        .needs_starttls = client->needs_starttls,
    };
    const struct transfer_call call = {
        .url = client->url,
        .mail = &mail,
        .body_bytes = (int64_t)smtp_writer_size(&exchange.writer),
        .total_timeout_ms = client->total_timeout_ms,
        .read = smtp_read,
        .take_line = smtp_take_line,
        .context = &exchange,
    };
    struct err reason = {0};
    struct transfer_report report;
    if (transfer_run(client->transfer, &call, &report, &reason)) {
        *ret_result = exchange.reply;
        ret_result->outcome = SMTP_SENT;
        return true;
    }
    if (smtp_judge(&exchange, &report, ret_result, &reason))
        return true;
    if (err != NULL)
        *err = reason;
    return false;
}
