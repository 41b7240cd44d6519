// SPDX-License-Identifier: Apache-2.0
#include "net/http_gate.h"

#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/number.h"
#include "net/http_server.h"

// What a request line has besides its target: a method and a version, generously.
#define HTTP_LINE_SPARE_BYTES ((size_t)64)
#define HTTP_CRLF_BYTES       ((size_t)2)
#define HTTP_HEAD_PARTS_MAX   ((size_t)10)
#define HTTP_TRAILER_HELD     ((size_t)5) // "0\r\n\r\n"

// The bytes on their way: read at `in`, written at `out`, which never overtakes it.
struct http_passage {
    uint8_t *out;
    const uint8_t *in;
    const uint8_t *end;
};

void http_gate_init(struct http_gate *gate, const struct http_limits *limits, uint64_t message_max)
{
    *gate = (struct http_gate){.limits = limits, .message_max = message_max};
    gate->messages_end = &gate->messages;
    // All that is held is counted before; this only says that it cannot be more.
    buf_init(&gate->held, (size_t)(limits->request_line_bytes + limits->header_bytes) +
                              HTTP_FIELD_BYTES_MAX + HTTP_LINE_SPARE_BYTES + HTTP_CRLF_BYTES);
}

void http_message_free(struct http_message **message)
{
    mem_free(*message);
    *message = NULL;
}

void http_gate_clear(struct http_gate *gate)
{
    buf_clear(&gate->held);
    struct http_message *message;
    while ((message = http_gate_take_message(gate)) != NULL)
        http_message_free(&message);
}

struct http_message *http_gate_take_message(struct http_gate *gate)
{
    struct http_message *message = gate->messages;
    if (message == NULL)
        return NULL;
    gate->messages = message->next;
    if (gate->messages == NULL)
        gate->messages_end = &gate->messages;
    message->next = NULL;
    return message;
}

static void http_gate_queue(struct http_gate *gate, struct http_message *message)
{
    message->number = ++gate->message_count;
    *gate->messages_end = message;
    gate->messages_end = &message->next;
}

bool http_gate_is_shut(const struct http_gate *gate)
{
    return gate->place == HTTP_GATE_SHUT;
}

bool http_gate_is_in_head(const struct http_gate *gate)
{
    return gate->place == HTTP_GATE_HEAD || gate->place == HTTP_GATE_EMPTY_LINE;
}

uint64_t http_gate_whole_count(const struct http_gate *gate)
{
    const bool is_in_body = gate->place >= HTTP_GATE_BODY && gate->place < HTTP_GATE_SHUT;
    return gate->message_count - is_in_body;
}

struct http_refusal http_gate_body_refusal(const struct http_gate *gate, uint64_t message_number)
{
    return message_number == gate->message_count ? gate->body_refusal : (struct http_refusal){0};
}

size_t http_gate_take_ending(struct http_gate *gate, uint8_t *to, size_t room_bytes)
{
    const size_t size = gate->ending.size_bytes < room_bytes ? gate->ending.size_bytes : room_bytes;
    if (size > 0)
        memcpy(to, gate->ending.data, size);
    gate->ending = slice_from(gate->ending, size);
    return size;
}

static void http_gate_put(struct http_passage *passage, struct slice bytes)
{
    ASSERT(bytes.size_bytes <= (size_t)(passage->in - passage->out));
    memcpy(passage->out, bytes.data, bytes.size_bytes); // never bytes of the passage itself
    passage->out += bytes.size_bytes;
}

// --- Refusals

static void http_gate_shut(struct http_gate *gate)
{
    gate->place = HTTP_GATE_SHUT;
    buf_clear(&gate->held);
}

static bool http_gate_refuse(struct http_refusal *ret_refusal, int status, const char *message)
{
    *ret_refusal = (struct http_refusal){status, message, true};
    return false;
}

static void http_gate_refuse_head(struct http_gate *gate, struct http_refusal refusal)
{
    const bool is_head = gate->is_head_method;
    struct http_message *message = mem_alloc(sizeof *message);
    message->refusal = refusal;
    message->head.method = slice_text(is_head ? "HEAD" : "GET");
    message->framing.length_bytes = -1;
    http_gate_queue(gate, message);
    gate->ending = slice_text(is_head ? "HEAD / HTTP/1.1\r\nConnection:close\r\n\r\n"
                                      : "GET / HTTP/1.1\r\nConnection:close\r\n\r\n");
    http_gate_shut(gate);
}

static void http_gate_refuse_body(struct http_gate *gate, int status, const char *message)
{
    const bool is_in_chunk = gate->place == HTTP_GATE_CHUNK_END ||
                             gate->place == HTTP_GATE_CHUNK_END_LF;
    gate->body_refusal = (struct http_refusal){status, message, true};
    gate->ending = slice_text(is_in_chunk ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
    http_gate_shut(gate);
}

static void http_gate_end_message(struct http_gate *gate)
{
    gate->place = HTTP_GATE_BETWEEN;
    gate->has_empty_line = false;
    gate->is_head_method = false;
    if (gate->closes || gate->message_count == gate->message_max)
        http_gate_shut(gate);
}

// --- Heads

// What the library has to know, line by line; returns the count of parts.
static size_t http_gate_framing_parts(const struct http_message *message,
                                      char digits[NUMBER_CHARS_MAX],
                                      struct slice ret_parts[HTTP_HEAD_PARTS_MAX])
{
    const struct http_framing *framing = &message->framing;
    const bool is_version_1_0 = message->head.is_version_1_0;
    size_t count = 0;
    ret_parts[count++] = slice_text(is_version_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
    if (framing->closes && !is_version_1_0)
        ret_parts[count++] = slice_text("Connection:close\r\n");
    if (!framing->closes && is_version_1_0)
        ret_parts[count++] = slice_text("Connection:keep-alive\r\n");
    if (framing->length_bytes >= 0) {
        const size_t digit_count = number_format_int64(framing->length_bytes, digits);
        ret_parts[count++] = slice_text("Content-Length:");
        ret_parts[count++] = slice_of(digits, digit_count);
        ret_parts[count++] = slice_text("\r\n");
    }
    if (framing->is_chunked)
        ret_parts[count++] = slice_text("Transfer-Encoding:chunked\r\n");
    if (framing->expects_continue)
        ret_parts[count++] = slice_text("Expect:100-continue\r\n");
    ret_parts[count++] = slice_text("\r\n");
    ASSERT(count <= HTTP_HEAD_PARTS_MAX);
    return count;
}

// size_bytes is that of the head received. Whatever is written is in it, too, so there is room; the
// rest of it becomes the path.
static void http_gate_put_head(struct http_passage *passage, const struct http_message *message,
                               size_t size_bytes)
{
    char digits[NUMBER_CHARS_MAX];
    struct slice parts[HTTP_HEAD_PARTS_MAX];
    const size_t count = http_gate_framing_parts(message, digits, parts);
    size_t fixed_bytes = message->head.method.size_bytes + strlen(" /");
    for (size_t i = 0; i < count; i++)
        fixed_bytes += parts[i].size_bytes;
    ASSERT(fixed_bytes <= size_bytes);
    const size_t filler_bytes = size_bytes - fixed_bytes;
    http_gate_put(passage, message->head.method);
    http_gate_put(passage, slice_text(" /"));
    ASSERT(filler_bytes <= (size_t)(passage->in - passage->out));
    memset(passage->out, '-', filler_bytes);
    passage->out += filler_bytes;
    for (size_t i = 0; i < count; i++)
        http_gate_put(passage, parts[i]);
}

// The next line of *rest without its CRLF, which it has.
static struct slice http_gate_cut_line(struct slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size_bytes);
    ASSERT(end != NULL);
    const size_t size = (size_t)(end - slice_chars(*rest)) + 1;
    const struct slice line = slice_part(*rest, 0, size - HTTP_CRLF_BYTES);
    *rest = slice_from(*rest, size);
    return line;
}

// Parses the copy in message: lines that all end with CRLF, the last one empty.
static bool http_gate_parse(struct http_message *message, struct slice rest,
                            struct http_refusal *ret_refusal)
{
    TRY(http_check_request_line(http_gate_cut_line(&rest), &message->head, ret_refusal));
    struct slice line;
    while ((line = http_gate_cut_line(&rest)).size_bytes > 0) {
        struct http_field *field = &message->fields[message->head.field_count];
        TRY(http_check_field_line(line, field, ret_refusal));
        message->head.field_count++;
    }
    message->head.fields = message->fields;
    return http_check_head(&message->head, &message->framing, ret_refusal);
}

static void http_gate_admit(struct http_gate *gate, struct http_passage *passage, struct slice text)
{
    const size_t fields_bytes = gate->field_count * sizeof(struct http_field);
    struct http_message *message = mem_alloc(sizeof *message + fields_bytes + text.size_bytes);
    char *copy = (char *)message->fields + fields_bytes;
    memcpy(copy, text.data, text.size_bytes);
    struct http_refusal refusal;
    if (!http_gate_parse(message, slice_of(copy, text.size_bytes), &refusal)) {
        http_message_free(&message);
        http_gate_refuse_head(gate, refusal);
        return;
    }
    http_gate_queue(gate, message);
    http_gate_put_head(passage, message, text.size_bytes);
    buf_clear(&gate->held);
    gate->closes = message->framing.closes;
    gate->extension_bytes = 0;
    gate->chunk_line = (struct http_chunk_line){0};
    if (message->framing.is_chunked) {
        gate->place = HTTP_GATE_CHUNK_LINE;
    } else if (message->framing.length_bytes > 0) {
        gate->left_bytes = (uint64_t)message->framing.length_bytes;
        gate->place = HTTP_GATE_BODY;
    } else {
        http_gate_end_message(gate);
    }
}

// size_bytes of the head are here, an LF at their end not counted. Of two limits the one that was
// reached first is named, so that it does not matter in which pieces the head came.
static bool http_gate_check_size(const struct http_gate *gate, size_t size_bytes,
                                 struct http_refusal *ret_refusal)
{
    const size_t line_end = gate->line_start + HTTP_FIELD_BYTES_MAX + 1; // with its CR
    const size_t fields_end = gate->fields_start + (size_t)gate->limits->header_bytes;
    if (gate->fields_start == 0)
        return size_bytes <= (size_t)gate->limits->request_line_bytes + HTTP_LINE_SPARE_BYTES ||
               http_gate_refuse(ret_refusal, 414, "URI too long");
    if (size_bytes <= line_end && size_bytes <= fields_end)
        return true;
    return http_gate_refuse(ret_refusal, 431,
                            line_end <= fields_end ? "Header field too large"
                                                   : "Header fields too large");
}

// The line without its CRLF; false: it ends with LF alone.
static bool http_gate_strip_end(struct slice line, struct slice *ret_text)
{
    if (line.size_bytes < HTTP_CRLF_BYTES ||
        slice_chars(line)[line.size_bytes - HTTP_CRLF_BYTES] != '\r')
        return false;
    *ret_text = slice_part(line, 0, line.size_bytes - HTTP_CRLF_BYTES);
    return true;
}

// A line of the head, with its LF.
static bool http_gate_check_line(struct http_gate *gate, struct slice line,
                                 struct http_refusal *ret_refusal)
{
    struct slice text;
    if (!http_gate_strip_end(line, &text))
        return http_gate_refuse(ret_refusal, 400, "Bare LF in message head");
    if (gate->fields_start > 0) {
        gate->field_count += text.size_bytes > 0;
        return gate->field_count <= (size_t)gate->limits->header_count ||
               http_gate_refuse(ret_refusal, 431, "Too many header fields");
    }
    struct http_head head;
    TRY(http_check_request_line(text, &head, ret_refusal));
    gate->is_head_method = http_method_is(head.method, "HEAD");
    gate->fields_start = line.size_bytes;
    return head.target.size_bytes <= (size_t)gate->limits->request_line_bytes ||
           http_gate_refuse(ret_refusal, 414, "URI too long");
}

// Takes lines of a head until it is complete or all bytes were taken.
static void http_gate_pass_head(struct http_gate *gate, struct http_passage *passage)
{
    const uint8_t *start = passage->in; // of the head, unless some of it is held
    const bool is_split = gate->held.size_bytes > 0;
    size_t size_bytes = gate->held.size_bytes;
    while (passage->in < passage->end) {
        const uint8_t *from = passage->in;
        const uint8_t *line_feed = memchr(from, '\n', (size_t)(passage->end - from));
        passage->in = line_feed == NULL ? passage->end : line_feed + 1;
        size_bytes += (size_t)(passage->in - from);
        struct http_refusal refusal;
        const bool fits = http_gate_check_size(gate, size_bytes - (line_feed != NULL), &refusal);
        if (fits && is_split)
            buf_append(&gate->held, slice_of(from, (size_t)(passage->in - from)));
        const struct slice text = is_split ? buf_slice(&gate->held) : slice_of(start, size_bytes);
        if (fits && line_feed == NULL)
            break;
        if (!fits || !http_gate_check_line(gate, slice_from(text, gate->line_start), &refusal)) {
            http_gate_refuse_head(gate, refusal);
            return;
        }
        if (size_bytes == gate->line_start + HTTP_CRLF_BYTES) {
            http_gate_admit(gate, passage, text);
            return;
        }
        gate->line_start = size_bytes;
    }
    if (!is_split)
        buf_append(&gate->held, slice_of(start, size_bytes));
    ASSERT(!gate->held.overflowed);
}

// The first byte of a head, or an empty line before it, of which there may be one.
static void http_gate_pass_between(struct http_gate *gate, struct http_passage *passage)
{
    struct http_refusal refusal = {400, "Malformed request line", true};
    const uint8_t byte = *passage->in;
    if (gate->place == HTTP_GATE_EMPTY_LINE) {
        if (byte != '\n') {
            http_gate_refuse_head(gate, refusal);
            return;
        }
        gate->place = HTTP_GATE_BETWEEN;
        passage->in++;
    } else if (byte == '\r' && !gate->has_empty_line) {
        gate->place = HTTP_GATE_EMPTY_LINE;
        gate->has_empty_line = true;
        passage->in++;
    } else if (http_is_token_char(byte)) {
        gate->place = HTTP_GATE_HEAD;
        gate->line_start = 0;
        gate->fields_start = 0;
        gate->field_count = 0;
    } else {
        if (byte == '\n')
            refusal.message = "Bare LF in message head";
        http_gate_refuse_head(gate, refusal);
    }
}

// --- Bodies

static void http_gate_pass_bytes(struct http_gate *gate, struct http_passage *passage)
{
    const uint64_t here = (uint64_t)(passage->end - passage->in);
    const size_t size = (size_t)(here < gate->left_bytes ? here : gate->left_bytes);
    if (passage->out != passage->in)
        memmove(passage->out, passage->in, size);
    passage->out += size;
    passage->in += size;
    gate->left_bytes -= size;
    if (gate->left_bytes > 0)
        return;
    if (gate->place == HTTP_GATE_BODY)
        http_gate_end_message(gate);
    else
        gate->place = HTTP_GATE_CHUNK_END;
}

static void http_gate_begin_chunk(struct http_gate *gate, struct http_passage *passage)
{
    const struct http_chunk_line *line = &gate->chunk_line;
    const uint64_t size = http_chunk_line_size(line);
    if (size > INT64_MAX) {
        http_gate_refuse_body(gate, 413, "Request body too large");
        return;
    }
    if (size == 0) { // the library gets it with the end of the trailer
        gate->place = HTTP_GATE_TRAILER;
        gate->field_count = 0;
        gate->trailer_bytes = 0;
        return;
    }
    http_gate_put(passage, slice_of(line->digits, line->digit_count));
    http_gate_put(passage, slice_text("\r\n"));
    gate->left_bytes = size;
    gate->place = HTTP_GATE_CHUNK;
}

static void http_gate_pass_chunk_line(struct http_gate *gate, struct http_passage *passage)
{
    struct http_chunk_line *line = &gate->chunk_line;
    while (passage->in < passage->end && line->place < HTTP_CHUNK_LINE_IS_DONE)
        http_chunk_line_take(line, *passage->in++);
    const size_t extension_bytes = gate->extension_bytes + line->extension_bytes;
    if (line->place == HTTP_CHUNK_LINE_IS_BAD || extension_bytes > HTTP_EXTENSION_BYTES_MAX) {
        http_gate_refuse_body(gate, 400, "Malformed chunk");
    } else if (line->place == HTTP_CHUNK_LINE_IS_DONE) {
        gate->extension_bytes = extension_bytes;
        http_gate_begin_chunk(gate, passage);
    }
}

static void http_gate_pass_chunk_end(struct http_gate *gate, struct http_passage *passage)
{
    const bool is_line_feed = gate->place == HTTP_GATE_CHUNK_END_LF;
    if (*passage->in != (is_line_feed ? '\n' : '\r')) {
        http_gate_refuse_body(gate, 400, "Malformed chunk");
        return;
    }
    passage->in++;
    gate->place = HTTP_GATE_CHUNK_END_LF;
    if (!is_line_feed)
        return;
    http_gate_put(passage, slice_text("\r\n"));
    gate->chunk_line = (struct http_chunk_line){0};
    gate->place = HTTP_GATE_CHUNK_LINE;
}

// A line of the trailer, with its LF. What it says is dropped: it may not change what the head
// said.
static bool http_gate_check_trailer(struct http_gate *gate, struct slice line)
{
    struct http_field field;
    struct http_refusal refusal;
    struct slice text;
    if (!http_gate_strip_end(line, &text))
        return false;
    if (text.size_bytes == 0)
        return true;
    return ++gate->field_count <= (size_t)gate->limits->header_count &&
           http_check_field_line(text, &field, &refusal);
}

static void http_gate_pass_trailer(struct http_gate *gate, struct http_passage *passage)
{
    const uint8_t *from = passage->in;
    const uint8_t *line_feed = memchr(from, '\n', (size_t)(passage->end - from));
    passage->in = line_feed == NULL ? passage->end : line_feed + 1;
    const struct slice piece = slice_of(from, (size_t)(passage->in - from));
    gate->trailer_bytes += piece.size_bytes;
    if (gate->trailer_bytes > (size_t)gate->limits->header_bytes) {
        http_gate_refuse_body(gate, 400, "Malformed trailer");
        return;
    }
    const bool is_split = gate->held.size_bytes > 0;
    if (is_split || line_feed == NULL)
        buf_append(&gate->held, piece);
    if (line_feed == NULL)
        return;
    const struct slice line = is_split ? buf_slice(&gate->held) : piece;
    const bool is_last = line.size_bytes == HTTP_CRLF_BYTES;
    if (!http_gate_check_trailer(gate, line)) {
        http_gate_refuse_body(gate, 400, "Malformed trailer");
        return;
    }
    buf_reset(&gate->held);
    if (!is_last)
        return;
    http_gate_put(passage, slice_text("0\r\n\r\n"));
    buf_clear(&gate->held);
    http_gate_end_message(gate);
}

// --- All of it

size_t http_gate_held(const struct http_gate *gate)
{
    switch (gate->place) {
    case HTTP_GATE_HEAD:
        return gate->held.size_bytes;
    case HTTP_GATE_CHUNK_LINE:
        return gate->chunk_line.digit_count + (gate->chunk_line.place == HTTP_CHUNK_CR);
    case HTTP_GATE_CHUNK_END_LF:
        return 1;
    case HTTP_GATE_TRAILER:
        return HTTP_TRAILER_HELD;
    case HTTP_GATE_BETWEEN:
    case HTTP_GATE_EMPTY_LINE:
    case HTTP_GATE_BODY:
    case HTTP_GATE_CHUNK:
    case HTTP_GATE_CHUNK_END:
    case HTTP_GATE_SHUT:
        break;
    }
    return 0;
}

size_t http_gate_pass(struct http_gate *gate, uint8_t *area, size_t held_bytes, size_t new_bytes)
{
    ASSERT(held_bytes >= http_gate_held(gate));
    struct http_passage passage = {
        .out = area, .in = area + held_bytes, .end = area + held_bytes + new_bytes};
    while (passage.in < passage.end && gate->place != HTTP_GATE_SHUT) {
        switch (gate->place) {
        case HTTP_GATE_BETWEEN:
        case HTTP_GATE_EMPTY_LINE:
            http_gate_pass_between(gate, &passage);
            break;
        case HTTP_GATE_HEAD:
            http_gate_pass_head(gate, &passage);
            break;
        case HTTP_GATE_BODY:
        case HTTP_GATE_CHUNK:
            http_gate_pass_bytes(gate, &passage);
            break;
        case HTTP_GATE_CHUNK_LINE:
            http_gate_pass_chunk_line(gate, &passage);
            break;
        case HTTP_GATE_CHUNK_END:
        case HTTP_GATE_CHUNK_END_LF:
            http_gate_pass_chunk_end(gate, &passage);
            break;
        case HTTP_GATE_TRAILER:
            http_gate_pass_trailer(gate, &passage);
            break;
        case HTTP_GATE_SHUT:
            break;
        }
    }
    return (size_t)(passage.out - area);
}
