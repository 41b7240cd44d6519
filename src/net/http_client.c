// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/transfer.h"

#define HTTP_CLIENT_HEADERS_MAX ((size_t)200)

struct http_client {
    struct transfer *transfer;
    int64_t total_timeout_ms;
    size_t reply_bytes_max;
};

// One call.
struct http_exchange {
    const struct http_client_call *call;
    struct buf *body;
    size_t body_bytes;
    size_t body_bytes_max;
    size_t head_bytes;
    bool is_in_head; // else lines are trailers
    struct http_client_header *headers;
    size_t header_count;
};

void http_client_open(const struct http_client_config *config, struct http_client **ret_client)
{
    struct http_client *client = mem_alloc(sizeof *client);
    client->total_timeout_ms = config->total_timeout_ms;
    client->reply_bytes_max = config->reply_bytes_max == 0 ? HTTP_CLIENT_REPLY_BYTES_MAX
                                                           : config->reply_bytes_max;
    const struct transfer_config transfer_config = {
        .connect_timeout_ms = config->connect_timeout_ms,
        .stall_timeout_ms = config->stall_timeout_ms,
        .ca_file = config->ca_file,
        .proxy = config->proxy,
        .guard = config->guard,
    };
    transfer_open(&transfer_config, &client->transfer);
    *ret_client = client;
}

void http_client_close(struct http_client **address)
{
    struct http_client *client = *address;
    if (client == NULL)
        return;
    transfer_close(&client->transfer);
    mem_free(client);
    *address = NULL;
}

const char *http_client_reply_header(const struct http_client_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcasecmp(reply->headers[i].name, name) == 0)
            return reply->headers[i].value;
    return NULL;
}

// --- What is sent

// No line breaks, and nothing else that servers disagree about.
static bool http_client_header_is_valid(const struct http_client_header *header)
{
    if (header->name[0] == '\0')
        return false;
    for (const char *at = header->name; *at != '\0'; at++)
        if (*at <= ' ' || *at == ':' || *at == 0x7f)
            return false;
    for (const char *at = header->value; *at != '\0'; at++)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return false;
    return true;
}

static bool http_client_make_lines(const struct http_client_call *call, struct arena *arena,
                                   const char *const **ret_lines, struct err *err)
{
    const char **lines = arena_alloc_array(arena, call->header_count, sizeof *lines);
    for (size_t i = 0; i < call->header_count; i++) {
        const struct http_client_header *header = &call->headers[i];
        if (!http_client_header_is_valid(header))
            return err_set(err, ERR_INVALID, "header %zu has a character that cannot be", i + 1);
        // A header without a value would be left out, unless it ends in ';'.
        lines[i] = arena_format(arena, header->value[0] == '\0' ? "%s;" : "%s: %s", header->name,
                                header->value);
    }
    *ret_lines = lines;
    return true;
}

// --- What comes back

static bool http_client_read(void *context, void *ret_data, size_t capacity_bytes,
                             size_t *ret_bytes, struct err *err)
{
    const struct http_client_call *call = ((struct http_exchange *)context)->call;
    return call->read(call->context, ret_data, capacity_bytes, ret_bytes, err);
}

static bool http_client_keep_going(void *context)
{
    const struct http_client_call *call = ((struct http_exchange *)context)->call;
    return call->keep_going(call->context);
}

static bool http_client_take_body(void *context, int status, struct slice bytes, struct err *err)
{
    struct http_exchange *exchange = context;
    const struct http_client_call *call = exchange->call;
    if (call->write != NULL && status / 100 == 2)
        return call->write(call->context, bytes, err);
    exchange->body_bytes += bytes.size_bytes;
    buf_append(exchange->body, bytes);
    if (exchange->body_bytes > exchange->body_bytes_max || exchange->body->overflowed)
        return err_set(err, ERR_LIMIT, "the reply is too large");
    return true;
}

static bool http_client_is_space(char character)
{
    return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

static struct slice http_client_trim(struct slice text)
{
    const char *chars = slice_chars(text);
    size_t start = 0;
    size_t end = text.size_bytes;
    while (start < end && http_client_is_space(chars[start]))
        start++;
    while (end > start && http_client_is_space(chars[end - 1]))
        end--;
    return slice_part(text, start, end - start);
}

// A head after an interim one (100, 103) begins anew. Lines without a name are left out.
static bool http_client_take_line(void *context, struct slice line, struct err *err)
{
    struct http_exchange *exchange = context;
    struct arena *arena = exchange->call->arena;
    exchange->head_bytes += line.size_bytes;
    if (exchange->head_bytes > HTTP_CLIENT_HEAD_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "the reply's head is too large");
    if (slice_starts_with(line, slice_text("HTTP/"))) {
        exchange->is_in_head = true;
        exchange->header_count = 0;
        return true;
    }
    if (http_client_trim(line).size_bytes == 0)
        exchange->is_in_head = false;
    const char *colon = line.size_bytes == 0 ? NULL : memchr(line.data, ':', line.size_bytes);
    if (!exchange->is_in_head || arena == NULL || colon == NULL || colon == line.data)
        return true;
    if (exchange->header_count == HTTP_CLIENT_HEADERS_MAX)
        return err_set(err, ERR_LIMIT, "the reply has too many headers");
    if (exchange->headers == NULL)
        exchange->headers = arena_alloc_array(arena, HTTP_CLIENT_HEADERS_MAX,
                                              sizeof *exchange->headers);
    const size_t name_chars = (size_t)(colon - slice_chars(line));
    exchange->headers[exchange->header_count++] = (struct http_client_header){
        .name = arena_copy_slice(arena, http_client_trim(slice_part(line, 0, name_chars))),
        .value = arena_copy_slice(arena, http_client_trim(slice_from(line, name_chars + 1))),
    };
    return true;
}

bool http_client_send(struct http_client *client, const struct http_client_call *call,
                      struct http_client_reply *ret_reply, struct buf *ret_body, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct http_exchange exchange = {
        .call = call, .body = ret_body, .body_bytes_max = client->reply_bytes_max};
    struct transfer_call transfer_call = {
        .url = call->url,
        .method = call->method == NULL ? "POST" : call->method,
        .header_line_count = call->header_count,
        .body_bytes = call->body_bytes,
        .total_timeout_ms = call->total_timeout_ms == 0 ? client->total_timeout_ms
                                                        : call->total_timeout_ms,
        .read = call->read == NULL ? NULL : http_client_read,
        .take_line = http_client_take_line,
        .take_body = http_client_take_body,
        .keep_going = call->keep_going == NULL ? NULL : http_client_keep_going,
        .context = &exchange,
    };
    // The library has one code for a scheme that it does not know and for an answer that is no
    // HTTP.
    if (strncmp(call->url, "http://", 7) != 0 && strncmp(call->url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "the URL is not of http or https");
    TRY(http_client_make_lines(call, &arena, &transfer_call.header_lines, err));
    struct transfer_report report;
    TRY(transfer_run(client->transfer, &transfer_call, &report, err));
    if (exchange.is_in_head) // the library takes what there is of it
        return err_set(err, ERR_UNAVAILABLE, "the reply ended in its head");
    *ret_reply = (struct http_client_reply){.status = report.status,
                                            .retry_after_s = report.retry_after_s,
                                            .was_sent_whole = report.was_sent_whole,
                                            .headers = exchange.headers,
                                            .header_count = exchange.header_count};
    return true;
}
