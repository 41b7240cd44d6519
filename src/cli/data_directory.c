// SPDX-License-Identifier: Apache-2.0
#include "cli/data_directory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/rng.h"

#define DATA_NODE_ID_CHARS ((size_t)16)
#define DATA_LOCK_POLL_MS  20

static const char data_secrets_name[] = "keys/secrets.key";
static const char *const data_folders[] = {"keys", "log", "lake", "exports", "spool", "tmp"};

static char *data_path(struct arena *arena, const char *path, const char *name)
{
    return arena_format(arena, "%s/%s", path, name);
}

static_assert(DATA_URL_KEY_BYTES == CIPHER_KEY_BYTES, "one size of keys");

static bool data_directory_make_key(const char *path, struct err *err)
{
    uint8_t key[CIPHER_KEY_BYTES];
    char hex[2 * CIPHER_KEY_BYTES + 1];
    rng_fill(rng_system(), key, sizeof key);
    hex_encode(slice_of(key, sizeof key), hex);
    return file_replace(path, slice_text(hex), err);
}

bool data_directory_create(const char *path, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    TRY(file_make_directories(path, err));
    for (size_t i = 0; i < ARRAY_COUNT(data_folders); i++)
        TRY(file_make_directories(data_path(&arena, path, data_folders[i]), err));
    TRY(data_directory_make_key(data_path(&arena, path, "keys/url.key"), err));
    TRY(data_directory_make_key(data_path(&arena, path, data_secrets_name), err));
    char node_id[DATA_NODE_ID_CHARS + 1];
    rng_text(rng_system(), node_id, DATA_NODE_ID_CHARS);
    return file_replace(data_path(&arena, path, "node_id"), slice_text(node_id), err);
}

static bool data_directory_read_secret(const char *path, struct buf *ret_text, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return err_set_errno(err, "key file %s", path);
    if ((status.st_mode & 077) != 0)
        return err_set(err, ERR_DENIED, "key file %s has mode %03o: others must not read it", path,
                       (unsigned)status.st_mode & 0777);
    return file_read(path, ret_text, err);
}

static bool data_directory_read_key(const char *path, struct data_directory *data, struct err *err)
{
    struct buf hex CLEANUP(buf_clear);
    buf_init(&hex, 256);
    TRY(data_directory_read_secret(path, &hex, err));
    if (!hex_decode(buf_slice(&hex), data->url_key, sizeof data->url_key))
        return err_set(err, ERR_CORRUPT, "key file %s is not a key", path);
    return true;
}

bool data_directory_open(const char *path, struct arena *arena, struct data_directory *ret_data,
                         struct err *err)
{
    struct data_directory data = {
        .path = arena_copy_text(arena, path),
        .catalog_path = data_path(arena, path, "milkrun.db"),
        .exports_path = data_path(arena, path, "exports"),
        .spool_path = data_path(arena, path, "spool"),
        .temp_path = data_path(arena, path, "tmp"),
        .lock_fd = -1,
    };
    if (access(data.catalog_path, R_OK | W_OK) != 0)
        return err_set(
            err, ERR_NOT_FOUND,
            "%s is not a data directory of milkrun; make one with: milkrun init --data %s", path,
            path);
    TRY(data_directory_read_key(data_path(arena, path, "keys/url.key"), &data, err));
    struct buf node_id CLEANUP(buf_clear);
    buf_init(&node_id, 256);
    TRY(file_read(data_path(arena, path, "node_id"), &node_id, err));
    data.node_id = arena_copy_text(arena, buf_text(&node_id));
    *ret_data = data;
    return true;
}

bool data_directory_lock(struct data_directory *data, int64_t wait_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *path = data_path(&arena, data->path, "lock");
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(err, "open %s", path);
    for (int64_t waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += DATA_LOCK_POLL_MS) {
        if (errno != EWOULDBLOCK || waited_ms >= wait_ms) {
            (void)close(fd);
            return err_set(err, ERR_CONFLICT, "%s is in use by another milkrun serve", data->path);
        }
        const struct timespec pause = {.tv_nsec = DATA_LOCK_POLL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    data->lock_fd = fd;
    return true;
}

// A key on each line that is not empty.
static bool data_directory_parse_secrets(struct slice text, struct data_directory *data)
{
    data->secret_key_count = 0;
    while (!slice_is_empty(text)) {
        const char *end = memchr(text.data, '\n', text.size_bytes);
        const size_t size = end == NULL ? text.size_bytes : (size_t)(end - slice_chars(text));
        const struct slice line = slice_part(text, 0, size);
        text = slice_from(text, end == NULL ? size : size + 1);
        if (slice_is_empty(line))
            continue;
        if (data->secret_key_count == DATA_SECRET_KEYS_MAX ||
            !hex_decode(line, data->secret_keys[data->secret_key_count].bytes, CIPHER_KEY_BYTES))
            return false;
        data->secret_key_count++;
    }
    return data->secret_key_count > 0;
}

bool data_directory_load_secrets(struct data_directory *data, struct err *err)
{
    ASSERT(data->lock_fd >= 0);
    struct arena arena CLEANUP(arena_clear);
    struct buf text CLEANUP(buf_clear);
    arena_init(&arena);
    buf_init(&text, 4096);
    const char *path = data_path(&arena, data->path, data_secrets_name);
    if (access(path, F_OK) != 0 && errno == ENOENT)
        TRY(data_directory_make_key(path, err));
    TRY(data_directory_read_secret(path, &text, err));
    if (!data_directory_parse_secrets(buf_slice(&text), data))
        return err_set(err, ERR_CORRUPT,
                       "key file %s: one to %zu lines of %zu hexadecimal digits expected", path,
                       DATA_SECRET_KEYS_MAX, 2 * CIPHER_KEY_BYTES);
    return true;
}

static bool data_directory_remove_one(const char *path, void *context, struct err *err)
{
    (void)context;
    return file_remove(path, err);
}

bool data_directory_empty(const char *path, struct err *err)
{
    return file_walk(path, "", data_directory_remove_one, NULL, err);
}
