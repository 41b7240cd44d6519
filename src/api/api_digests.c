// SPDX-License-Identifier: Apache-2.0
#include "api/api_digests.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"

// 4,096 entries. A set keeps its files newest first.
#define API_DIGESTS_SETS     ((size_t)1024)
#define API_DIGESTS_SET_SIZE ((size_t)4)
// The kernel stamps changes by a clock that ticks every 10 ms at worst.
#define API_DIGESTS_SETTLED_MS INT64_C(100)

struct api_file_state {
    uint64_t device;
    uint64_t inode; // 0: the entry is empty
    int64_t size_bytes;
    struct timespec modified_at;
    struct timespec changed_at;
};

struct api_digest {
    struct api_file_state state;
    uint8_t bytes[SHA256_BYTES];
};

struct api_digests {
    atomic_int_fast64_t read_count;
    struct mutex mutex; // guards what follows
    struct api_digest sets[API_DIGESTS_SETS][API_DIGESTS_SET_SIZE];
};

struct api_digests *api_digests_new(void)
{
    struct api_digests *digests = mem_alloc(sizeof *digests);
    mutex_init(&digests->mutex);
    return digests;
}

void api_digests_free(struct api_digests **digests)
{
    if (*digests == NULL)
        return;
    mutex_clear(&(*digests)->mutex);
    mem_free(*digests);
    *digests = NULL;
}

int64_t api_digests_read_count(const struct api_digests *digests)
{
    return atomic_load(&digests->read_count);
}

static bool api_file_look(int fd, struct api_file_state *ret_state)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return false;
    *ret_state = (struct api_file_state){
        .device = status.st_dev,
        .inode = status.st_ino,
        .size_bytes = status.st_size,
        .modified_at = status.st_mtim,
        .changed_at = status.st_ctim,
    };
    return true;
}

static bool api_time_is_same(struct timespec left, struct timespec right)
{
    return left.tv_sec == right.tv_sec && left.tv_nsec == right.tv_nsec;
}

static bool api_file_is_same(const struct api_file_state *left, const struct api_file_state *right)
{
    return left->device == right->device && left->inode == right->inode &&
           left->size_bytes == right->size_bytes &&
           api_time_is_same(left->modified_at, right->modified_at) &&
           api_time_is_same(left->changed_at, right->changed_at);
}

// Times from the future are settled too: a change made now would not repeat them.
static bool api_file_is_settled(const struct api_file_state *state)
{
    const int64_t changed_at_ms = (int64_t)state->changed_at.tv_sec * 1000 +
                                  state->changed_at.tv_nsec / 1000000;
    const int64_t age_ms = clock_wall_ms(clock_system()) - changed_at_ms;
    return age_ms >= API_DIGESTS_SETTLED_MS || age_ms <= -API_DIGESTS_SETTLED_MS;
}

static struct api_digest *api_digests_set(struct api_digests *digests,
                                          const struct api_file_state *state)
{
    const uint64_t mixed = (state->inode ^ state->device << 48) * UINT64_C(0x9E3779B97F4A7C15);
    return digests->sets[(mixed >> 32) % API_DIGESTS_SETS];
}

bool api_digests_find(struct api_digests *digests, int fd, uint8_t ret_digest[SHA256_BYTES])
{
    struct api_file_state state;
    if (!api_file_look(fd, &state))
        return false;
    const struct api_digest *set = api_digests_set(digests, &state);
    bool found = false;
    mutex_lock(&digests->mutex);
    for (size_t i = 0; i < API_DIGESTS_SET_SIZE && !found; i++) {
        found = set[i].state.inode != 0 && api_file_is_same(&set[i].state, &state);
        if (found)
            memcpy(ret_digest, set[i].bytes, SHA256_BYTES);
    }
    mutex_unlock(&digests->mutex);
    return found;
}

// Takes the place of what was known of the file before, else of the set's oldest.
static void api_digests_keep(struct api_digests *digests, const struct api_digest *digest)
{
    struct api_digest *set = api_digests_set(digests, &digest->state);
    mutex_lock(&digests->mutex);
    size_t place = 0;
    while (place < API_DIGESTS_SET_SIZE - 1 && (set[place].state.inode != digest->state.inode ||
                                                set[place].state.device != digest->state.device))
        place++;
    memmove(set + 1, set, place * sizeof *set);
    set[0] = *digest;
    mutex_unlock(&digests->mutex);
}

bool api_digests_read(struct api_digests *digests, int fd, uint8_t ret_digest[SHA256_BYTES],
                      struct err *err)
{
    struct api_digest digest;
    struct api_file_state after;
    if (!api_file_look(fd, &digest.state))
        return err_set_errno(err, "stat");
    const bool is_settled = api_file_is_settled(&digest.state);
    uint64_t size_bytes = 0;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); // a hint
    TRY(file_digest_fd(fd, "file", digest.bytes, &size_bytes, err));
    (void)atomic_fetch_add(&digests->read_count, 1);
    if (is_settled && api_file_look(fd, &after) && api_file_is_same(&digest.state, &after))
        api_digests_keep(digests, &digest);
    memcpy(ret_digest, digest.bytes, SHA256_BYTES);
    return true;
}
