// SPDX-License-Identifier: Apache-2.0
// The gate of received bytes: any bytes, in any pieces, give the same requests, the same verdict
// and the same bytes for the library behind it; and those read one way only, which a second,
// simpler reader does here.
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "net/http_gate.h"
#include "net/http_server.h"

#define FUZZ_OUTPUT_BYTES_MAX ((size_t)1024 * 1024)
#define FUZZ_MESSAGES_MAX     ((uint64_t)20)

// Small, so that inputs reach them.
static const struct http_limits fuzz_limits = {
    .request_line_bytes = 200, .header_bytes = 700, .header_count = 8};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_feed(struct http_gate *gate, struct slice bytes, size_t step, struct buf *out)
{
    for (size_t round = 1; bytes.size_bytes > 0; round++) {
        const size_t wanted = 1 + step * round % 251;
        const size_t size = step == 0 || wanted > bytes.size_bytes ? bytes.size_bytes : wanted;
        const size_t held = http_gate_held(gate);
        uint8_t *area = mem_alloc(held + size);
        memcpy(area + held, bytes.data, size);
        buf_append(out, slice_of(area, http_gate_pass(gate, area, held, size)));
        mem_free(area);
        bytes = slice_from(bytes, size);
    }
    uint8_t ending[64];
    buf_append(out, slice_of(ending, http_gate_take_ending(gate, ending, sizeof ending)));
}

static struct slice fuzz_cut_line(struct slice *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size_bytes);
    ASSERT(end != NULL);
    const size_t size = (size_t)(end - slice_chars(*rest)) + 1;
    ASSERT(size >= 2);
    ASSERT(end[-1] == '\r');
    const struct slice line = slice_part(*rest, 0, size - 2);
    *rest = slice_from(*rest, size);
    return line;
}

static void fuzz_skip(struct slice *rest, uint64_t size)
{
    *rest = slice_from(*rest, size < rest->size_bytes ? (size_t)size : rest->size_bytes);
}

// To the end of the body or of what is there.
static void fuzz_read_chunks(struct slice *rest)
{
    while (rest->size_bytes > 0) {
        const struct slice line = fuzz_cut_line(rest);
        uint64_t size = 0;
        ASSERT(line.size_bytes >= 1);
        ASSERT(line.size_bytes <= HTTP_CHUNK_DIGITS_MAX);
        for (size_t i = 0; i < line.size_bytes; i++) {
            const char digit = slice_chars(line)[i];
            const char *place = memchr("0123456789abcdefABCDEF", digit, 22);
            ASSERT(place != NULL);
            size = size * 16 + (uint64_t)(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
        }
        fuzz_skip(rest, size);
        if (size > 0 && rest->size_bytes == 0)
            return;
        ASSERT(fuzz_cut_line(rest).size_bytes == 0);
        if (size == 0)
            return;
    }
}

// A request as the library may see it; *rest becomes what is behind it.
static void fuzz_read_request(struct slice *rest, const struct http_message *message)
{
    struct slice line = fuzz_cut_line(rest);
    const struct slice method = message->head.method;
    ASSERT(slice_starts_with(line, method));
    line = slice_from(line, method.size_bytes);
    ASSERT(slice_starts_with(line, slice_text(" /")));
    line = slice_from(line, strlen(" /"));
    while (slice_starts_with(line, slice_text("-")))
        line = slice_from(line, 1);
    ASSERT(slice_equal_text(line, message->head.is_version_1_0 ? " HTTP/1.0" : " HTTP/1.1"));
    int64_t length = 0;
    bool is_chunked = false;
    while ((line = fuzz_cut_line(rest)).size_bytes > 0) {
        const struct slice name = slice_text("Content-Length:");
        if (slice_starts_with(line, name)) {
            const bool is_number = number_parse_int64(slice_from(line, name.size_bytes), &length);
            ASSERT(is_number);
            ASSERT(!is_chunked);
        } else if (slice_equal_text(line, "Transfer-Encoding:chunked")) {
            is_chunked = true;
        } else {
            const bool is_known = slice_equal_text(line, "Connection:close") ||
                                  slice_equal_text(line, "Connection:keep-alive") ||
                                  slice_equal_text(line, "Expect:100-continue");
            ASSERT(is_known);
        }
    }
    ASSERT(message->refusal.status == 0 || rest->size_bytes == 0);
    if (is_chunked)
        fuzz_read_chunks(rest);
    else
        fuzz_skip(rest, (uint64_t)length);
}

static void fuzz_compare(const struct http_message *left, const struct http_message *right)
{
    ASSERT(left->number == right->number);
    ASSERT(left->refusal.status == right->refusal.status);
    ASSERT(left->refusal.message == right->refusal.message);
    ASSERT(slice_equal(left->head.method, right->head.method));
    ASSERT(slice_equal(left->head.target, right->head.target));
    ASSERT(left->framing.length_bytes == right->framing.length_bytes);
    ASSERT(left->head.field_count == right->head.field_count);
    for (size_t i = 0; i < left->head.field_count; i++) {
        ASSERT(slice_equal(left->head.fields[i].name, right->head.fields[i].name));
        ASSERT(slice_equal(left->head.fields[i].value, right->head.fields[i].value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct slice bytes = slice_of(data + 1, size - 1); // the first byte says how they are cut
    struct http_gate whole;
    struct http_gate cut;
    struct buf whole_out CLEANUP(buf_clear);
    struct buf cut_out CLEANUP(buf_clear);
    buf_init(&whole_out, FUZZ_OUTPUT_BYTES_MAX);
    buf_init(&cut_out, FUZZ_OUTPUT_BYTES_MAX);
    http_gate_init(&whole, &fuzz_limits, FUZZ_MESSAGES_MAX);
    http_gate_init(&cut, &fuzz_limits, FUZZ_MESSAGES_MAX);
    fuzz_feed(&whole, bytes, 0, &whole_out);
    fuzz_feed(&cut, bytes, (size_t)data[0] + 1, &cut_out);
    ASSERT(http_gate_is_shut(&whole) == http_gate_is_shut(&cut));
    ASSERT(whole.body_refusal.message == cut.body_refusal.message);

    struct slice rest = buf_slice(&whole_out);
    ASSERT(slice_equal(rest, buf_slice(&cut_out)));
    struct http_message *left;
    while ((left = http_gate_take_message(&whole)) != NULL) {
        struct http_message *right = http_gate_take_message(&cut);
        ASSERT(right != NULL);
        fuzz_compare(left, right);
        fuzz_read_request(&rest, left);
        http_message_free(&left);
        http_message_free(&right);
    }
    ASSERT(http_gate_take_message(&cut) == NULL);
    ASSERT(rest.size_bytes == 0);
    http_gate_clear(&whole);
    http_gate_clear(&cut);
    return 0;
}
