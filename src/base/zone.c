// SPDX-License-Identifier: Apache-2.0
#include "base/zone.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/zone_internal.h"

#define ZONE_VERSION_PREFIX "# version "

static bool zone_is_capital(char character)
{
    return character >= 'A' && character <= 'Z';
}

static bool zone_is_name_char(char character)
{
    return zone_is_capital(character) || (character >= 'a' && character <= 'z') ||
           (character >= '0' && character <= '9') || character == '_' || character == '+' ||
           character == '-';
}

// Parts that each begin with a capital, between single slashes: so neither "..", nor an absolute
// path, nor a NUL can be in it.
static bool zone_name_is_valid(struct slice name)
{
    if (slice_is_empty(name) || name.size_bytes > ZONE_NAME_CHARS_MAX)
        return false;
    bool is_part_start = true;
    for (size_t i = 0; i < name.size_bytes; i++) {
        const char character = slice_chars(name)[i];
        if (is_part_start ? !zone_is_capital(character)
                          : character != '/' && !zone_is_name_char(character))
            return false;
        is_part_start = character == '/';
    }
    return !is_part_start;
}

// The file of a name that looks right. What is absent is no zone, unless the whole database is.
static bool zone_read_file(const char *directory, const char *path, struct buf *ret_bytes,
                           struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return err_set(err, ERR_IO, "time zone file %s: errno %d", path, errno);
        if (stat(directory, &status) != 0)
            return err_set(err, ERR_IO, "no time zone database in %s", directory);
        return err_set(err, ERR_INVALID, "Invalid timezone");
    }
    if (!S_ISREG(status.st_mode)) // "America"
        return err_set(err, ERR_INVALID, "Invalid timezone");
    if (status.st_size >= (off_t)ZONE_FILE_BYTES_MAX)
        return err_set(err, ERR_CORRUPT, "time zone file %s is too large", path);
    struct err cause = {0};
    if (!file_read(path, ret_bytes, &cause)) // denied to us, not to the caller: always IO
        return err_set(err, ERR_IO, "%s", cause.message);
    return true;
}

bool zone_load(const char *directory, struct slice name, struct arena *arena,
               const struct zone **ret_zone, struct err *err)
{
    if (!zone_name_is_valid(name))
        return err_set(err, ERR_INVALID, "Invalid timezone");
    const char *path = arena_format(arena, "%s/%s", directory, arena_copy_slice(arena, name));
    struct buf bytes CLEANUP(buf_clear) = {0};
    buf_init(&bytes, ZONE_FILE_BYTES_MAX);
    TRY(zone_read_file(directory, path, &bytes, err));
    if (!zone_parse(buf_slice(&bytes), arena, ret_zone, err))
        return err_wrap(err, "%s", path);
    return true;
}

// The span of the file's own list around an instant before its last transition.
static struct zone_span zone_listed_span(const struct zone *zone, int64_t time_s)
{
    size_t low = 0; // the first transition after time_s is in [low, high]
    size_t high = zone->transition_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (zone->times_s[middle] > time_s)
            high = middle;
        else
            low = middle + 1;
    }
    return (struct zone_span){
        .start_s = low == 0 ? INT64_MIN : zone->times_s[low - 1],
        .end_s = low == zone->transition_count ? INT64_MAX : zone->times_s[low],
        .offset_s = low == 0 ? zone->first_offset_s : zone->offsets_s[low - 1],
    };
}

static struct zone_span zone_span_around(const struct zone *zone, int64_t time_s)
{
    if (zone == NULL)
        return (struct zone_span){INT64_MIN, INT64_MAX, 0};
    const struct zone_span listed = zone_listed_span(zone, time_s);
    if (!zone->has_rule || listed.end_s != INT64_MAX)
        return listed;
    struct zone_span span = zone_rule_span(&zone->rule, time_s);
    if (span.start_s < listed.start_s) // the rule does not reach behind the last transition
        span.start_s = listed.start_s;
    return span;
}

static int64_t zone_floor_seconds(int64_t time_ms)
{
    const int64_t seconds = time_ms / CIVIL_SECOND_MS;
    return time_ms % CIVIL_SECOND_MS < 0 ? seconds - 1 : seconds;
}

int64_t zone_offset_ms(const struct zone *zone, int64_t time_ms)
{
    ASSERT(time_ms >= CIVIL_FIRST_MS);
    ASSERT(time_ms <= CIVIL_LAST_MS);
    return zone_span_around(zone, zone_floor_seconds(time_ms)).offset_s * CIVIL_SECOND_MS;
}

// Walks the spans that can show local_s at all. In a span of offset o it is shown at local_s - o,
// if that is inside. If no span shows it, clocks jumped over it at the end of one: local_s - o is
// past that end, and with the next span's offset before its start. As local_s lies before the
// jump's end and after its begin, the former is the instant wanted.
static int64_t zone_local_to_seconds(const struct zone *zone, int64_t local_s, enum zone_pick pick)
{
    bool is_found = false;
    bool is_moved = false;
    int64_t found_s = 0;
    int64_t moved_s = 0;
    struct zone_span span = zone_span_around(zone, local_s - ZONE_OFFSET_MAX_S);
    for (;;) {
        const int64_t shown_s = local_s - span.offset_s;
        if (shown_s >= span.start_s && shown_s < span.end_s) {
            found_s = shown_s;
            is_found = true;
            if (pick == ZONE_PICK_FIRST)
                break;
        }
        if (span.end_s > local_s - ZONE_OFFSET_MIN_S)
            break;
        const struct zone_span next = zone_span_around(zone, span.end_s);
        if (!is_moved && shown_s >= span.end_s && local_s - next.offset_s < next.start_s) {
            moved_s = shown_s;
            is_moved = true;
        }
        span = next;
    }
    ASSERT(is_found || is_moved);
    return is_found ? found_s : moved_s;
}

int64_t zone_local_to_ms(const struct zone *zone, struct civil local, enum zone_pick pick)
{
    const int64_t local_ms = civil_to_ms(local);
    const int64_t local_s = zone_floor_seconds(local_ms);
    return zone_local_to_seconds(zone, local_s, pick) * CIVIL_SECOND_MS +
           (local_ms - local_s * CIVIL_SECOND_MS);
}

// The word at the text's begin, as long as it looks like a version.
static bool zone_take_version(struct slice text, char ret_version[ZONE_VERSION_CHARS + 1])
{
    char version[ZONE_VERSION_CHARS + 1] = {0};
    size_t chars = 0;
    while (chars < text.size_bytes && slice_chars(text)[chars] != '\n') {
        const char character = slice_chars(text)[chars];
        if (chars == ZONE_VERSION_CHARS || (!zone_is_name_char(character) && character != '.'))
            return false;
        version[chars++] = character;
    }
    if (chars == 0)
        return false;
    memcpy(ret_version, version, sizeof version);
    return true;
}

static bool zone_read_version(const char *directory, const char *name, const char *prefix,
                              char ret_version[ZONE_VERSION_CHARS + 1])
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct buf bytes CLEANUP(buf_clear) = {0};
    buf_init(&bytes, ZONE_FILE_BYTES_MAX);
    const char *path = arena_format(&arena, "%s/%s", directory, name);
    return file_read(path, &bytes, NULL) &&
           slice_starts_with(buf_slice(&bytes), slice_text(prefix)) &&
           zone_take_version(slice_from(buf_slice(&bytes), strlen(prefix)), ret_version);
}

void zone_database_version(const char *directory, char ret_version[ZONE_VERSION_CHARS + 1])
{
    if (!zone_read_version(directory, "tzdata.zi", ZONE_VERSION_PREFIX, ret_version) &&
        !zone_read_version(directory, "+VERSION", "", ret_version))
        memcpy(ret_version, "unknown", sizeof "unknown");
}
