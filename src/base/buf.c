// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

void buf_init(struct buf *buf, size_t limit_bytes)
{
    ASSERT(limit_bytes > 0);
    *buf = (struct buf){.limit_bytes = limit_bytes};
}

void buf_clear(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){.limit_bytes = buf->limit_bytes};
}

void buf_wipe(struct buf *buf)
{
    if (buf->capacity_bytes > 0)
        explicit_bzero(buf->data, buf->capacity_bytes);
    buf_clear(buf);
}

void buf_reset(struct buf *buf)
{
    buf->size_bytes = 0;
    buf->overflowed = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

char *buf_reserve(struct buf *buf, size_t size_bytes)
{
    ASSERT(buf->limit_bytes > 0);
    if (size_bytes > buf->limit_bytes - buf->size_bytes) {
        buf->overflowed = true;
        return NULL;
    }
    const size_t needed = buf->size_bytes + size_bytes + 1;
    if (needed > buf->capacity_bytes) {
        size_t capacity = buf->capacity_bytes < 64 ? 64 : buf->capacity_bytes * 2;
        if (capacity > buf->limit_bytes + 1)
            capacity = buf->limit_bytes + 1;
        if (capacity < needed)
            capacity = needed;
        buf->data = mem_resize(buf->data, capacity);
        buf->capacity_bytes = capacity;
    }
    return buf->data + buf->size_bytes;
}

void buf_advance(struct buf *buf, size_t size_bytes)
{
    ASSERT(buf->size_bytes + size_bytes < buf->capacity_bytes);
    buf->size_bytes += size_bytes;
    buf->data[buf->size_bytes] = '\0';
}

void buf_append(struct buf *buf, struct slice bytes)
{
    char *room = buf_reserve(buf, bytes.size_bytes);
    if (room == NULL)
        return;
    if (bytes.size_bytes > 0)
        memcpy(room, bytes.data, bytes.size_bytes);
    buf_advance(buf, bytes.size_bytes);
}

void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, slice_text(text));
}

void buf_append_char(struct buf *buf, char character)
{
    buf_append(buf, slice_of(&character, 1));
}

void buf_append_format(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    ASSERT(length >= 0);
    char *room = buf_reserve(buf, (size_t)length);
    if (room != NULL) {
        (void)vsnprintf(room, (size_t)length + 1, format, again);
        buf_advance(buf, (size_t)length);
    }
    va_end(again);
}

struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->size_bytes);
}

const char *buf_text(const struct buf *buf)
{
    return buf->data == NULL ? "" : buf->data;
}

void buf_consume(struct buf *buf, size_t size_bytes)
{
    ASSERT(size_bytes <= buf->size_bytes);
    if (size_bytes == 0)
        return;
    buf->size_bytes -= size_bytes;
    memmove(buf->data, buf->data + size_bytes, buf->size_bytes + 1);
}

char *buf_take(struct buf *buf)
{
    char *data = buf->data == NULL ? mem_copy_text("") : buf->data;
    *buf = (struct buf){.limit_bytes = buf->limit_bytes};
    return data;
}

bool buf_check(const struct buf *buf, struct err *err)
{
    if (buf->overflowed)
        return err_set(err, ERR_LIMIT, "result is larger than %zu bytes", buf->limit_bytes);
    return true;
}
