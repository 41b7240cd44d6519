// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/sink.h"

#define FILE_READ_BYTES ((size_t)1024 * 1024)
#define FILE_PATH_LIMIT ((size_t)4096)

void file_close(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static void file_close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

bool file_write_all(int fd, struct slice bytes, const char *name, struct err *err)
{
    while (bytes.size_bytes > 0) {
        const ssize_t written = write(fd, bytes.data, bytes.size_bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return err_set_errno(err, "write %s", name);
        bytes = slice_from(bytes, (size_t)written);
    }
    return true;
}

bool file_sync_parent(const char *path, struct err *err)
{
    char *parent CLEANUP(mem_free_at) = mem_copy_text(path);
    char *slash = strrchr(parent, '/');
    if (slash == parent)
        slash[1] = '\0';
    else if (slash != NULL)
        *slash = '\0';
    const char *name = slash == NULL ? "." : parent;
    int fd CLEANUP(file_close) = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "open directory %s", name);
    if (fsync(fd) != 0)
        return err_set_errno(err, "fsync directory %s", name);
    return true;
}

static bool file_make_directory(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0)
        return file_sync_parent(path, err);
    if (errno != EEXIST)
        return err_set_errno(err, "make directory %s", path);
    struct stat status;
    if (stat(path, &status) != 0) // gone again: the caller may begin anew
        return err_set_errno(err, "make directory %s", path);
    return S_ISDIR(status.st_mode) || err_set(err, ERR_IO, "%s is not a directory", path);
}

bool file_make_directories(const char *path, struct err *err)
{
    char *prefix CLEANUP(mem_free_at) = mem_copy_text(path);
    for (char *slash = strchr(prefix + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        TRY(file_make_directory(prefix, err));
        *slash = '/';
    }
    return file_make_directory(path, err);
}

bool file_read_fd(int fd, const char *name, struct buf *ret_bytes, struct err *err)
{
    for (;;) {
        size_t room_bytes = ret_bytes->limit_bytes - ret_bytes->size_bytes;
        if (room_bytes > 64 * 1024)
            room_bytes = 64 * 1024;
        if (room_bytes == 0)
            return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", name,
                           ret_bytes->limit_bytes);
        char *room = buf_reserve(ret_bytes, room_bytes);
        ASSERT(room != NULL);
        const ssize_t got = read(fd, room, room_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, "read %s", name);
        buf_advance(ret_bytes, (size_t)got);
        if (got == 0)
            return true;
    }
}

bool file_read(const char *path, struct buf *ret_bytes, struct err *err)
{
    int fd CLEANUP(file_close) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "open %s", path);
    return file_read_fd(fd, path, ret_bytes, err);
}

bool file_check_private(const char *path, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return err_set_errno(err, "%s", path);
    if ((status.st_mode & (S_IRGRP | S_IROTH)) != 0)
        return err_set(err, ERR_INVALID,
                       "%s has mode %04o and holds a secret: only its owner may read it (0600)",
                       path, (unsigned)status.st_mode & 07777u);
    return true;
}

bool file_read_at(int fd, uint64_t offset_bytes, void *ret_data, size_t size_bytes, struct err *err)
{
    size_t done_bytes = 0;
    while (done_bytes < size_bytes) {
        const ssize_t got = pread(fd, (char *)ret_data + done_bytes, size_bytes - done_bytes,
                                  (off_t)(offset_bytes + done_bytes));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, "read file");
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "the file is shorter than it was");
        done_bytes += (size_t)got;
    }
    return true;
}

bool file_replace(const char *path, struct slice bytes, struct err *err)
{
    struct sink *sink CLEANUP(sink_free) = NULL;
    TRY(sink_file_open(path, &sink, err));
    TRY(sink_write(sink, bytes, err));
    return sink_finish(sink, err);
}

bool file_remove(const char *path, struct err *err)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return err_set_errno(err, "remove %s", path);
    return true;
}

bool file_digest(const char *path, uint8_t ret_sha256[32], uint64_t *ret_size_bytes,
                 struct err *err)
{
    int fd CLEANUP(file_close) = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, "open %s", path);
    return file_digest_fd(fd, path, ret_sha256, ret_size_bytes, err);
}

bool file_digest_fd(int fd, const char *name, uint8_t ret_sha256[32], uint64_t *ret_size_bytes,
                    struct err *err)
{
    char *bytes CLEANUP(mem_free_at) = mem_alloc(FILE_READ_BYTES);
    struct sha256 *hash CLEANUP(sha256_free) = sha256_new();
    uint64_t size_bytes = 0;
    for (;;) {
        const ssize_t got = pread(fd, bytes, FILE_READ_BYTES, (off_t)size_bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, "read %s", name);
        if (got == 0)
            break;
        sha256_update(hash, slice_of(bytes, (size_t)got));
        size_bytes += (uint64_t)got;
    }
    sha256_finish(hash, ret_sha256);
    *ret_size_bytes = size_bytes;
    return true;
}

static bool file_has_suffix(const char *name, const char *suffix)
{
    const size_t name_size = strlen(name);
    const size_t suffix_size = strlen(suffix);
    return name_size >= suffix_size && strcmp(name + name_size - suffix_size, suffix) == 0;
}

struct file_walking {
    const char *suffix;
    bool (*visit)(const char *path, void *context, struct err *err);
    void *context;
};

// Depth is that of our own directories, bounded all the same.
static bool file_walk_level(const char *directory, int depth_left, const struct file_walking *walk,
                            struct err *err)
{
    DIR *entries CLEANUP(file_close_directory) = opendir(directory);
    if (entries == NULL)
        return errno == ENOENT ? true : err_set_errno(err, "open directory %s", directory);
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char path[FILE_PATH_LIMIT];
        const int size = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (size < 0 || (size_t)size >= sizeof path)
            return err_set(err, ERR_LIMIT, "path too long in %s", directory);
        struct stat status;
        if (lstat(path, &status) != 0)
            continue; // gone meanwhile
        if (S_ISDIR(status.st_mode)) {
            if (depth_left > 0)
                TRY(file_walk_level(path, depth_left - 1, walk, err));
        } else if (S_ISREG(status.st_mode) && file_has_suffix(entry->d_name, walk->suffix)) {
            TRY(walk->visit(path, walk->context, err));
        }
    }
    return true;
}

bool file_walk(const char *directory, const char *suffix,
               bool (*visit)(const char *path, void *context, struct err *err), void *context,
               struct err *err)
{
    const struct file_walking walk = {suffix, visit, context};
    return file_walk_level(directory, 16, &walk, err);
}
