// SPDX-License-Identifier: Apache-2.0
// A step of compaction: which segments to merge, and the exchange in the catalog. The inputs stay
// on disk until nothing pins them (compact_collect.c); a step that dies leaves a file that the
// catalog does not list, which the sweep removes.
// Upholds INV-8 (docs/invariants.md).
#include "lake/compact.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "lake/compact_internal.h"
#include "lake/segment_path.h"

// Bytes of segments that are merged at once: their rows are sorted, in about ten times the memory
// or spilled. What has grown to that size is left alone, so that a row is rewritten a few times at
// most.
#define COMPACT_BYTES_MAX ((int64_t)128 * 1024 * 1024)
// Slices of segments that are replaced in one transaction.
#define COMPACT_SLICES_MAX ((size_t)2000)

bool compact_verify_segment(const char *data_directory, const struct segment *segment,
                            struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *path = segment_path_full(&arena, data_directory, segment->path);
    uint8_t digest[SHA256_BYTES];
    char sha256[SHA256_HEX_CHARS + 1];
    uint64_t size_bytes = 0;
    if (!file_digest(path, digest, &size_bytes, err)) {
        if (err != NULL && err->kind == ERR_NOT_FOUND)
            return err_set(err, ERR_CORRUPT, "segment %" PRId64 " (%s) is missing", segment->id,
                           segment->path);
        return err_wrap(err, "segment %" PRId64, segment->id);
    }
    hex_encode(slice_of(digest, sizeof digest), sha256);
    if (size_bytes != (uint64_t)segment->byte_count || strcmp(sha256, segment->sha256) != 0)
        return err_set(err, ERR_CORRUPT,
                       "segment %" PRId64 " (%s) is damaged: %" PRIu64 " bytes with SHA-256 %s,"
                       " not %" PRId64 " bytes with %s",
                       segment->id, segment->path, size_bytes, sha256, segment->byte_count,
                       segment->sha256);
    return true;
}

static int compact_compare_sizes(const void *left_item, const void *right_item)
{
    const struct segment *left = left_item;
    const struct segment *right = right_item;
    if (left->byte_count != right->byte_count)
        return left->byte_count < right->byte_count ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

// Puts the smallest first and says how many of them to merge: at least two, so that there is
// progress even among large ones.
static size_t compact_choose(struct segment *segments, size_t count)
{
    qsort(segments, count, sizeof *segments, compact_compare_sizes);
    int64_t byte_count = 0;
    size_t slice_count = 0;
    size_t chosen = 0;
    while (chosen < count) {
        byte_count += segments[chosen].byte_count;
        slice_count += segments[chosen].slice_count;
        if (chosen >= 2 && (byte_count > COMPACT_BYTES_MAX || slice_count > COMPACT_SLICES_MAX))
            break;
        chosen++;
    }
    return chosen;
}

// Merges the first `count` segments, or fewer when the engine has too little memory for all.
static bool compact_merge_some(const struct compact_config *config, struct engine *engine,
                               const struct segment *segments, size_t *count, struct arena *arena,
                               struct segment *ret_segment, struct err *err)
{
    char path[SEGMENT_PATH_CHARS + 1];
    segment_path_new(rng_system(), clock_wall_ms(config->clock), path);
    TRY(segment_path_make_directory(segment_path_full(arena, config->data_directory, path), err));
    struct compact_merge merge = {
        .data_directory = config->data_directory,
        .engine = engine,
        .segments = segments,
        .segment_count = *count,
        .path = path,
    };
    struct err failure = {0};
    while (!compact_merge(&merge, arena, ret_segment, &failure)) {
        if (failure.kind != ERR_LIMIT || merge.segment_count < 4)
            return err_set(err, failure.kind, "%s", failure.message);
        merge.segment_count /= 2;
    }
    *count = merge.segment_count;
    return true;
}

static bool compact_replace(const struct compact_config *config, struct catalog *catalog,
                            const struct segment *old, size_t old_count,
                            const struct segment *segment, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    int64_t *ids = arena_alloc_array(&arena, old_count, sizeof *ids);
    for (size_t i = 0; i < old_count; i++)
        ids[i] = old[i].id;
    struct err failure = {0};
    if (segment_replace(catalog, ids, old_count, segment, clock_wall_ms(config->clock), &failure))
        return true;
    // Only a conflict says for sure that the new file is not listed; otherwise the sweep decides.
    if (failure.kind == ERR_CONFLICT) {
        struct err ignored = {0};
        if (!file_remove(segment_path_full(&arena, config->data_directory, segment->path),
                         &ignored))
            err_clear(&ignored); // the sweep will find it as well
    }
    return err_set(err, failure.kind, "%s", failure.message);
}

// --- Damage

// What a step found damaged and marked: the first is told.
struct compact_damage {
    struct err first;
    int64_t count;
};

static bool compact_mark_damaged(struct catalog *catalog, const struct segment *segments,
                                 size_t count, const struct err *failure,
                                 struct compact_damage *damage, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        struct err gone = {0};
        if (!segment_mark_damaged(catalog, segments[i].id, &gone) && gone.kind != ERR_NOT_FOUND)
            return err_set(err, gone.kind, "%s", gone.message);
    }
    if (damage->count == 0)
        damage->first = *failure;
    damage->count += (int64_t)count;
    return true;
}

// *ret_damaged_count: how many of the segments were marked.
static bool compact_verify_all(const struct compact_config *config, struct catalog *catalog,
                               const struct segment *segments, size_t count,
                               struct compact_damage *damage, size_t *ret_damaged_count,
                               struct err *err)
{
    *ret_damaged_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct err failure = {0};
        if (compact_verify_segment(config->data_directory, &segments[i], &failure))
            continue;
        if (failure.kind != ERR_CORRUPT)
            return err_set(err, failure.kind, "%s", failure.message);
        TRY(compact_mark_damaged(catalog, &segments[i], 1, &failure, damage, err));
        ++*ret_damaged_count;
    }
    return true;
}

// --- The step

// *ret_is_done false: damage was marked, so that another look finds another crowd.
static bool compact_try(const struct compact_config *config, struct engine *engine,
                        struct catalog *catalog, struct compact_damage *damage, bool *ret_is_done,
                        bool *ret_merged, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct segment *segments = NULL;
    size_t count = 0;
    TRY(segment_find_crowded(catalog, config->crowd_threshold, config->batch_limit, &arena,
                             &segments, &count, err));
    *ret_merged = false;
    *ret_is_done = true;
    if (count < 2)
        return true;
    count = compact_choose(segments, count);
    size_t damaged_count = 0;
    TRY(compact_verify_all(config, catalog, segments, count, damage, &damaged_count, err));
    *ret_is_done = damaged_count == 0;
    if (damaged_count > 0)
        return true;
    struct segment merged = {0};
    struct err failure = {0};
    const size_t all_count = count;
    if (!compact_merge_some(config, engine, segments, &count, &arena, &merged, &failure)) {
        err_set(err, failure.kind, "merging %zu segments from %" PRId64 ": %s", all_count,
                segments[0].id, failure.message);
        if (failure.kind != ERR_CORRUPT)
            return false;
        // Their bytes are as written, but not their rows: which one is wrong cannot be told.
        failure = *err;
        err_clear(err);
        *ret_is_done = false;
        return compact_mark_damaged(catalog, segments, all_count, &failure, damage, err);
    }
    TRY(compact_replace(config, catalog, segments, count, &merged, err));
    *ret_merged = true;
    return true;
}

bool compact_step(const struct compact_config *config, struct engine *engine,
                  struct catalog *catalog, bool *ret_merged, struct err *err)
{
    struct compact_damage damage = {0};
    bool is_done = false;
    bool has_merged = false;
    // Ends, as each further round has marked a segment.
    while (!is_done)
        TRY(compact_try(config, engine, catalog, &damage, &is_done, &has_merged, err));
    if (damage.count > 0)
        return err_set(err, ERR_CORRUPT, "%" PRId64 " segments are left out from now on: %s",
                       damage.count, damage.first.message);
    *ret_merged = has_merged;
    return true;
}
