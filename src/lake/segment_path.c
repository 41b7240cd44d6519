// SPDX-License-Identifier: Apache-2.0
#include "lake/segment_path.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/civil.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

void segment_path_new(struct rng *rng, int64_t now_ms, char ret_path[SEGMENT_PATH_CHARS + 1])
{
    uint8_t random[8];
    char name[2 * sizeof random + 1];
    rng_fill(rng, random, sizeof random);
    hex_encode(slice_of(random, sizeof random), name);
    const struct civil day = civil_from_ms(now_ms);
    char path[96]; // room for any int, so that the compiler sees no truncation
    const int size = snprintf(path, sizeof path,
                              SEGMENT_PATH_DIRECTORY "/%04d-%02d-%02d/%s.parquet", day.year,
                              day.month, day.day, name);
    ASSERT(size == SEGMENT_PATH_CHARS);
    memcpy(ret_path, path, SEGMENT_PATH_CHARS + 1);
}

const char *segment_path_full(struct arena *arena, const char *data_directory, const char *path)
{
    return arena_format(arena, "%s/%s", data_directory, path);
}

bool segment_path_make_directory(const char *full_path, struct err *err)
{
    char *directory CLEANUP(mem_free_at) = mem_copy_text(full_path);
    char *slash = strrchr(directory, '/');
    ASSERT(slash != NULL);
    *slash = '\0';
    return file_make_directories(directory, err);
}
