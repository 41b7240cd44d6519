// SPDX-License-Identifier: Apache-2.0
// A store in a directory: the hosted bucket of one machine. Objects are opened beneath the
// directory and never through a symbolic link (openat2 with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS).
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "store/store_internal.h"

#define STORE_PATH_BYTES_MAX   ((size_t)4096)
#define STORE_SPOOL_NAME_CHARS ((size_t)16)
#define STORE_PUT_TRIES        100

struct store_file {
    struct store base;
    char *directory;
    int directory_fd;
    char *spool; // NULL: files are written beside their place
};

static bool store_file_path(const struct store_file *file, const char *key,
                            char ret_path[STORE_PATH_BYTES_MAX], struct err *err)
{
    const int size = snprintf(ret_path, STORE_PATH_BYTES_MAX, "%s/%s", file->directory, key);
    if (size < 0 || (size_t)size >= STORE_PATH_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "path of object is too long");
    return true;
}

static bool store_file_put_spooled(const struct store_file *file, const char *path,
                                   struct sink **ret_sink, struct err *err)
{
    char name[STORE_SPOOL_NAME_CHARS + 1];
    rng_text(rng_system(), name, STORE_SPOOL_NAME_CHARS);
    char part_path[STORE_PATH_BYTES_MAX];
    const int size = snprintf(part_path, sizeof part_path, "%s/%s" SINK_PART_SUFFIX, file->spool,
                              name);
    ASSERT(size > 0);
    ASSERT((size_t)size < sizeof part_path);
    return sink_file_open_as(path, part_path, ret_sink, err);
}

static bool store_file_put_begin(struct store *store, const char *key, struct sink **ret_sink,
                                 struct err *err)
{
    const struct store_file *file = (const struct store_file *)store;
    char path[STORE_PATH_BYTES_MAX];
    TRY(store_file_path(file, key, path, err));
    char parent[STORE_PATH_BYTES_MAX];
    memcpy(parent, path, sizeof parent);
    *strrchr(parent, '/') = '\0';
    if (file->spool != NULL)
        return store_file_put_spooled(file, path, ret_sink, err);
    // Another process may tidy up an empty folder at the very moment: then it is made again.
    for (int tries_left = STORE_PUT_TRIES;; tries_left--) {
        if (file_make_directories(parent, err) && sink_file_open(path, ret_sink, err))
            return true;
        if (err->kind != ERR_NOT_FOUND || tries_left == 0)
            return false;
    }
}

static bool store_file_open_object(struct store *store, const char *key, int *ret_fd,
                                   uint64_t *ret_size_bytes, struct err *err)
{
    const struct store_file *file = (const struct store_file *)store;
    const struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    const long opened = syscall(SYS_openat2, file->directory_fd, key, &how, sizeof how);
    if (opened < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV))
        return err_set(err, ERR_NOT_FOUND, "no such object");
    if (opened < 0)
        return err_set_errno(err, "open object");
    const int fd = (int)opened;
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        (void)close(fd);
        return err_set(err, ERR_NOT_FOUND, "no such object");
    }
    *ret_fd = fd;
    *ret_size_bytes = (uint64_t)status.st_size;
    return true;
}

static bool store_file_delete(struct store *store, const char *key, struct err *err)
{
    const struct store_file *file = (const struct store_file *)store;
    char path[STORE_PATH_BYTES_MAX];
    TRY(store_file_path(file, key, path, err));
    TRY(file_remove(path, err));
    const size_t root_size = strlen(file->directory);
    for (;;) {
        *strrchr(path, '/') = '\0';
        if (strlen(path) <= root_size || rmdir(path) != 0)
            return true; // not empty, or gone already: nothing to tidy further up
    }
}

struct store_file_sweeping {
    struct store_file *file;
    const struct store_sweep *sweep;
    int64_t older_than_ms;
};

static bool store_file_is_part(const char *path)
{
    const size_t size = strlen(path);
    const size_t suffix_size = strlen(SINK_PART_SUFFIX);
    return size > suffix_size && strcmp(path + size - suffix_size, SINK_PART_SUFFIX) == 0;
}

static bool store_file_sweep_one(const char *path, void *context, struct err *err)
{
    const struct store_file_sweeping *sweeping = context;
    const struct store_sweep *sweep = sweeping->sweep;
    struct stat status;
    if (stat(path, &status) != 0 || (int64_t)status.st_mtime * 1000 > sweeping->older_than_ms)
        return true;
    if (store_file_is_part(path))
        return file_remove(path, err);
    const char *key = path + strlen(sweeping->file->directory) + 1;
    bool is_listed = true;
    if (sweep->is_listed != NULL)
        TRY(sweep->is_listed(key, sweep->context, &is_listed, err));
    return is_listed || store_file_delete(&sweeping->file->base, key, err);
}

static bool store_file_sweep(struct store *store, const struct store_sweep *sweep, struct err *err)
{
    struct store_file *file = (struct store_file *)store;
    struct store_file_sweeping sweeping = {
        .file = file,
        .sweep = sweep,
        .older_than_ms = clock_wall_ms(clock_system()) - sweep->age_ms,
    };
    return file_walk(file->directory, "", store_file_sweep_one, &sweeping, err);
}

static void store_file_close(struct store *store)
{
    struct store_file *file = (struct store_file *)store;
    if (file->directory_fd >= 0)
        (void)close(file->directory_fd);
    mem_free(file->directory);
    mem_free(file->spool);
    mem_free(file);
}

static const struct store_ops store_file_ops = {
    .name = "file",
    .put_begin = store_file_put_begin,
    .open_object = store_file_open_object,
    .delete_object = store_file_delete,
    .sweep = store_file_sweep,
    .close = store_file_close,
};

bool store_file_open(const char *directory, struct store **ret_store, struct err *err)
{
    TRY(file_make_directories(directory, err));
    struct store_file *file = mem_alloc(sizeof *file);
    struct store *store CLEANUP(store_close) = &file->base;
    store->ops = &store_file_ops;
    file->directory = mem_copy_text(directory);
    file->directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->directory_fd < 0)
        return err_set_errno(err, "open directory %s", directory);
    *ret_store = store;
    store = NULL;
    return true;
}

static bool store_file_remove_spooled(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

bool store_file_open_writer(const char *directory, const char *writer_name,
                            struct store **ret_store, struct err *err)
{
    char spool[STORE_PATH_BYTES_MAX];
    const int size = snprintf(spool, sizeof spool, "%s/.spool/%s", directory, writer_name);
    if (size < 0 || (size_t)size + STORE_SPOOL_NAME_CHARS + sizeof SINK_PART_SUFFIX >= sizeof spool)
        return err_set(err, ERR_LIMIT, "path of spool is too long");
    struct store *store CLEANUP(store_close) = NULL;
    TRY(store_file_open(directory, &store, err));
    TRY(file_make_directories(spool, err));
    TRY(file_walk(spool, "", store_file_remove_spooled, NULL, err));
    ((struct store_file *)store)->spool = mem_copy_text(spool);
    *ret_store = store;
    store = NULL;
    return true;
}
