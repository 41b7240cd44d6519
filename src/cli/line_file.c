// SPDX-License-Identifier: Apache-2.0
#include "cli/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/gzip.h"
#include "base/mem.h"

#define LINE_FILE_READ_BYTES ((size_t)256 * 1024)
#define LINE_FILE_LONG_LINE  ((size_t)16) // times a batch

struct line_file {
    char *path;
    int fd;
    size_t batch_bytes;
    struct gunzip *gunzip; // NULL: plain
    uint8_t *raw;
    struct slice pending; // of raw: not decoded yet
    bool is_at_end;       // nothing more to read
    bool has_begun;
    struct buf decoded;
    size_t returned_bytes; // of decoded: the last batch
    uint64_t first_line;
    uint64_t next_line;
    uint64_t position;
};

bool line_file_open(const char *path, size_t batch_bytes, struct line_file **ret_file,
                    struct err *err)
{
    struct line_file *file CLEANUP(line_file_close) = mem_alloc(sizeof *file);
    file->path = mem_copy_text(path);
    file->batch_bytes = batch_bytes;
    file->raw = mem_alloc(LINE_FILE_READ_BYTES);
    file->next_line = 1;
    buf_init(&file->decoded, batch_bytes * LINE_FILE_LONG_LINE + LINE_FILE_READ_BYTES);
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return err_set_errno(err, "open %s", path);
    *ret_file = file;
    file = NULL;
    return true;
}

void line_file_close(struct line_file **file)
{
    if (*file == NULL)
        return;
    if ((*file)->fd >= 0)
        (void)close((*file)->fd);
    gunzip_free(&(*file)->gunzip);
    buf_clear(&(*file)->decoded);
    mem_free((*file)->raw);
    mem_free((*file)->path);
    mem_free(*file);
    *file = NULL;
}

static bool line_file_fill(struct line_file *file, struct err *err)
{
    ssize_t got;
    do {
        got = read(file->fd, file->raw, LINE_FILE_READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_set_errno(err, "read %s", file->path);
    file->position += (uint64_t)got;
    file->pending = slice_of(file->raw, (size_t)got);
    file->is_at_end = got == 0;
    if (!file->has_begun && got >= 2 && file->raw[0] == 0x1f && file->raw[1] == 0x8b)
        file->gunzip = gunzip_new();
    file->has_begun = true;
    return true;
}

// Moves what is pending, decoded, behind the decoded bytes.
static bool line_file_decode(struct line_file *file, struct err *err)
{
    if (file->gunzip == NULL) {
        buf_append(&file->decoded, file->pending);
        file->pending = slice_of(NULL, 0);
        return buf_check(&file->decoded, err);
    }
    size_t size = 0;
    char *room = buf_reserve(&file->decoded, LINE_FILE_READ_BYTES);
    if (room == NULL)
        return buf_check(&file->decoded, err);
    if (!gunzip_next(file->gunzip, &file->pending, (uint8_t *)room, LINE_FILE_READ_BYTES, &size,
                     err))
        return err_wrap(err, "%s", file->path);
    buf_advance(&file->decoded, size);
    if (size == 0 && file->is_at_end)
        return gunzip_end(file->gunzip, err) || err_wrap(err, "%s", file->path);
    return true;
}

// Size of the whole lines at the start of the decoded bytes that make a batch; 0: more is needed.
static size_t line_file_batch_size(const struct line_file *file, bool is_all)
{
    const struct buf *decoded = &file->decoded;
    if (is_all && decoded->size_bytes <= file->batch_bytes)
        return decoded->size_bytes;
    if (decoded->size_bytes < file->batch_bytes)
        return 0;
    const char *last = memrchr(decoded->data, '\n', file->batch_bytes);
    if (last == NULL)
        last = memchr(decoded->data, '\n', decoded->size_bytes); // one long line
    if (last != NULL)
        return (size_t)(last - decoded->data) + 1;
    return is_all ? decoded->size_bytes : 0;
}

static uint64_t line_file_count_lines(struct slice lines)
{
    uint64_t count = 0;
    const char *at = slice_chars(lines);
    const char *end = at + lines.size_bytes;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        count++;
        at = newline == NULL ? end : newline + 1;
    }
    return count;
}

// Without a batch in it, a long text is one line.
static bool line_file_check_length(const struct line_file *file, size_t size, struct err *err)
{
    const size_t limit = file->batch_bytes * LINE_FILE_LONG_LINE;
    if (size <= limit)
        return true;
    return err_set(err, ERR_LIMIT, "%s: line %" PRIu64 " is longer than %zu bytes", file->path,
                   file->next_line, limit);
}

bool line_file_next(struct line_file *file, struct slice *ret_lines, struct err *err)
{
    buf_consume(&file->decoded, file->returned_bytes);
    file->returned_bytes = 0;
    bool is_all = false;
    size_t size;
    while ((size = line_file_batch_size(file, is_all)) == 0 && !is_all) {
        TRY(line_file_check_length(file, file->decoded.size_bytes, err));
        if (file->pending.size_bytes == 0 && !file->is_at_end)
            TRY(line_file_fill(file, err));
        const size_t before = file->decoded.size_bytes;
        if (file->has_begun && (file->position > 0 || file->gunzip != NULL))
            TRY(line_file_decode(file, err));
        is_all = file->is_at_end && file->decoded.size_bytes == before;
    }
    TRY(line_file_check_length(file, size, err));
    file->returned_bytes = size;
    *ret_lines = slice_of(file->decoded.data, size);
    file->first_line = file->next_line;
    file->next_line += line_file_count_lines(*ret_lines);
    return true;
}

uint64_t line_file_first_line(const struct line_file *file)
{
    return file->first_line;
}

uint64_t line_file_position(const struct line_file *file)
{
    return file->position;
}
