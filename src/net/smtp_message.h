// SPDX-License-Identifier: Apache-2.0
// A message as it goes over the wire: MIME with a text, perhaps the same in HTML, perhaps a file
// behind it. What stands in headers is checked, so that no value can begin another header.
// The same message gives the same bytes. One thread per object.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SMTP_TEXT_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct smtp_header {
    const char *name;
    const char *value; // printable ASCII
};

struct smtp_attachment {
    const char *name; // of the file, in UTF-8
    const char *type; // NULL: application/octet-stream
    int fd;           // read at positions, from 0
    uint64_t size_bytes;
};

struct smtp_message {
    const char *from;       // user@host
    const char *from_name;  // NULL: none
    const char *to;         // user@host
    const char *message_id; // "<left@right>"; the same one for each attempt
    int64_t date_ms;
    const char *subject;                      // UTF-8
    const char *text;                         // UTF-8, any line ends and lengths
    const char *html;                         // NULL: the text alone
    const struct smtp_attachment *attachment; // NULL: none
    const struct smtp_header *headers;        // besides
    size_t header_count;
};

// Gives the bytes of one message piece by piece.
struct smtp_writer {
    struct buf head; // all before the attachment
    struct buf tail; // all behind it
    struct buf lines;
    const struct smtp_attachment *attachment;
    uint64_t offset_bytes; // of the attachment, as far as it was read
    struct slice pending;
    int stage;
};

// The message is borrowed until smtp_writer_clear, which is to be called in any case. INVALID for
// addresses, names, ids and header values that could be read as something else; LIMIT for texts
// that are too long.
NODISCARD bool smtp_writer_init(struct smtp_writer *writer, const struct smtp_message *message,
                                struct err *err);
void smtp_writer_clear(struct smtp_writer *writer);

// Of the whole message.
uint64_t smtp_writer_size(const struct smtp_writer *writer);

// As much as there is and fits; *ret_bytes of 0 is the end. CORRUPT when the attachment is shorter
// than it was said to be, IO when it cannot be read.
NODISCARD bool smtp_writer_read(struct smtp_writer *writer, void *ret_data, size_t capacity_bytes,
                                size_t *ret_bytes, struct err *err);

// user@host as it may stand in an envelope: RFC 5322's dot-atoms, nothing quoted, no comments.
bool smtp_address_is_valid(const char *address);
