// SPDX-License-Identifier: Apache-2.0
// The sink that publishes a file: temporary name, fsync, rename, fsync of the directory.
// Upholds INV-7 (docs/invariants.md).
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sink_ops.h"

#define SINK_PATH_BYTES_MAX ((size_t)8192)
#define SINK_RENAME_TRIES   100

struct sink_file {
    struct sink base;
    char *path;
    char *part_path;
    int fd;
};

static bool sink_file_write(struct sink *sink, struct slice bytes, struct err *err)
{
    struct sink_file *file = (struct sink_file *)sink;
    return file_write_all(file->fd, bytes, file->part_path, err);
}

// The folder may be missing, or be tidied away by another process at the very moment.
static bool sink_file_rename(const struct sink_file *file, struct err *err)
{
    for (int tries_left = SINK_RENAME_TRIES; rename(file->part_path, file->path) != 0;
         tries_left--) {
        if (errno != ENOENT || tries_left == 0)
            return err_set_errno(err, "rename %s", file->part_path);
        char *parent CLEANUP(mem_free_at) = mem_copy_text(file->path);
        char *slash = strrchr(parent, '/');
        if (slash == NULL || slash == parent)
            return err_set(err, ERR_NOT_FOUND, "rename %s", file->part_path);
        *slash = '\0';
        if (!file_make_directories(parent, err) && err->kind != ERR_NOT_FOUND)
            return false;
    }
    return true;
}

static bool sink_file_finish(struct sink *sink, struct err *err)
{
    struct sink_file *file = (struct sink_file *)sink;
    if (fsync(file->fd) != 0)
        return err_set_errno(err, "fsync %s", file->part_path);
    TRY(sink_file_rename(file, err));
    return file_sync_parent(file->path, err);
}

static void sink_file_free(struct sink *sink)
{
    struct sink_file *file = (struct sink_file *)sink;
    if (file->fd >= 0)
        (void)close(file->fd);
    if (!sink->is_finished && file->part_path != NULL)
        (void)unlink(file->part_path); // best effort: a sweep removes *.part as well
    mem_free(file->path);
    mem_free(file->part_path);
    mem_free(file);
}

static const struct sink_ops sink_file_ops = {
    .name = "file",
    .write = sink_file_write,
    .finish = sink_file_finish,
    .free = sink_file_free,
};

bool sink_file_open_as(const char *path, const char *part_path, struct sink **ret_sink,
                       struct err *err)
{
    struct sink_file *file = mem_alloc(sizeof *file);
    struct sink *sink CLEANUP(sink_free) = &file->base;
    sink_init(sink, &sink_file_ops, NULL);
    file->path = mem_copy_text(path);
    file->part_path = mem_copy_text(part_path);
    file->fd = open(part_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0)
        return err_set_errno(err, "create %s", part_path);
    *ret_sink = sink;
    sink = NULL;
    return true;
}

bool sink_file_open(const char *path, struct sink **ret_sink, struct err *err)
{
    struct buf part_path CLEANUP(buf_clear);
    buf_init(&part_path, SINK_PATH_BYTES_MAX);
    buf_append_format(&part_path, "%s.%ld" SINK_PART_SUFFIX, path, (long)getpid());
    TRY(buf_check(&part_path, err));
    return sink_file_open_as(path, buf_text(&part_path), ret_sink, err);
}
