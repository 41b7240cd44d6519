// SPDX-License-Identifier: Apache-2.0
// A growing byte buffer with a limit: no buffer without one. Appending past the limit drops the
// bytes and sets `overflowed`, which the owner checks once at the end (buf_check); so builders of
// replies need no error path per line. The bytes are always followed by a NUL that does not count.
// A buffer belongs to one thread; buf_clear frees its memory.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct buf {
    char *data;
    size_t size_bytes;
    size_t capacity_bytes;
    size_t limit_bytes;
    bool overflowed;
};

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_clear(struct buf *buf);
// As buf_clear, of a buffer that held a secret: overwrites the bytes first.
void buf_wipe(struct buf *buf);

// Forgets the bytes, keeps the memory.
void buf_reset(struct buf *buf);

void buf_append(struct buf *buf, struct slice bytes);
void buf_append_text(struct buf *buf, const char *text);
void buf_append_char(struct buf *buf, char character);
void buf_append_format(struct buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Room for size_bytes more, or NULL past the limit. Write there, then say how many with
// buf_advance.
char *buf_reserve(struct buf *buf, size_t size_bytes);
void buf_advance(struct buf *buf, size_t size_bytes);

// Valid until the next call that takes the buffer.
struct slice buf_slice(const struct buf *buf);
const char *buf_text(const struct buf *buf);

// Removes the first size_bytes bytes.
void buf_consume(struct buf *buf, size_t size_bytes);

// Gives the NUL-terminated bytes away (free with mem_free); the buffer is empty afterwards.
char *buf_take(struct buf *buf);

// False with LIMIT when anything was dropped.
NODISCARD bool buf_check(const struct buf *buf, struct err *err);
