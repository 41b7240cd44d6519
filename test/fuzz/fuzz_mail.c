// SPDX-License-Identifier: Apache-2.0
// Messages of mail: whatever stands in their values, a message that is made has the headers that
// it should have and no others, and lines that mail can carry.
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/mem.h"
#include "net/smtp_message.h"

#define FUZZ_MESSAGE_BYTES_MAX ((size_t)64 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The next value, up to a NUL or the end.
static const char *fuzz_take(struct slice *rest, struct arena *arena)
{
    const char *end = rest->size_bytes == 0 ? NULL : memchr(rest->data, '\0', rest->size_bytes);
    const size_t size = end == NULL ? rest->size_bytes : (size_t)(end - slice_chars(*rest));
    const char *text = arena_copy_slice(arena, slice_part(*rest, 0, size));
    *rest = slice_from(*rest, end == NULL ? size : size + 1);
    return text;
}

static void fuzz_read(const struct smtp_message *message, struct smtp_writer *writer,
                      struct buf *ret_bytes)
{
    struct err err = {0};
    const size_t piece_bytes = 1 + (unsigned char)message->subject[0];
    size_t got = 1;
    while (got > 0) {
        char *room = buf_reserve(ret_bytes, piece_bytes);
        ASSERT(room != NULL);
        const bool is_read = smtp_writer_read(writer, room, piece_bytes, &got, &err);
        ASSERT(is_read);
        buf_advance(ret_bytes, got);
    }
    ASSERT(ret_bytes->size_bytes == smtp_writer_size(writer));
}

// Names of the headers, a letter each, before the empty line.
static void fuzz_check(struct slice rest)
{
    char names[20] = "";
    size_t count = 0;
    bool is_head = true;
    while (rest.size_bytes > 0) {
        const char *end = memmem(rest.data, rest.size_bytes, "\r\n", 2);
        ASSERT(end != NULL);
        const size_t chars = (size_t)(end - slice_chars(rest));
        const char *line = slice_chars(rest);
        ASSERT(memchr(line, '\r', chars) == NULL || chars == 0);
        ASSERT(memchr(line, '\n', chars) == NULL || chars == 0);
        ASSERT(chars <= 998);
        ASSERT(is_head || chars <= 76);
        if (chars == 0)
            is_head = false;
        if (is_head && line[0] != ' ') {
            ASSERT(count < sizeof names - 1);
            names[count++] = line[0];
        }
        rest = slice_from(rest, chars + 2);
    }
    ASSERT(!is_head);
    // Date, From, To, Message-ID, Subject, Auto-Submitted, X-Test, MIME-Version, Content-...
    ASSERT(strcmp(names, "DFTMSAXMC") == 0 || strcmp(names, "DFTMSAXMCC") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct slice rest = slice_of(data, size);
    struct smtp_header header = {.name = "X-Test"};
    struct smtp_message message = {
        .from = "exports@example.com", .headers = &header, .header_count = 1};
    header.value = fuzz_take(&rest, &arena);
    message.to = fuzz_take(&rest, &arena);
    message.message_id = fuzz_take(&rest, &arena);
    message.subject = fuzz_take(&rest, &arena);
    message.from_name = fuzz_take(&rest, &arena);
    message.text = fuzz_take(&rest, &arena);
    if (rest.size_bytes > 0)
        message.html = fuzz_take(&rest, &arena);
    struct smtp_writer writer CLEANUP(smtp_writer_clear);
    struct err err = {0};
    if (!smtp_writer_init(&writer, &message, &err)) {
        ASSERT(err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
        return 0;
    }
    struct buf bytes CLEANUP(buf_clear);
    buf_init(&bytes, FUZZ_MESSAGE_BYTES_MAX);
    fuzz_read(&message, &writer, &bytes);
    fuzz_check(buf_slice(&bytes));
    return 0;
}
