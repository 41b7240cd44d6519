// SPDX-License-Identifier: Apache-2.0
// TZif, all numbers big-endian:
//
//   header   "TZif" version 15 reserved bytes, then six counts of 4 bytes:
//            UT indicators, standard indicators, leap seconds, times, types, characters
//   block    times (4 bytes each; 8 in the second block), type of each time (1 byte),
//            types (offset 4, is daylight 1, abbreviation 1), characters, leap seconds, indicators
//
// Version 1 ends here. Later versions repeat header and block with times of 8 bytes and close with
// a line that holds a POSIX TZ string, or nothing.
#include "base/zone.h"

#include "base/check.h"
#include "base/zone_internal.h"

#define ZONE_HEADER_BYTES ((size_t)44)
#define ZONE_TYPE_BYTES   ((size_t)6)
#define ZONE_TYPES_MAX    256
// RFC 9636 asks for times above -2^59, long before the Big Bang; sums with offsets stay in range.
#define ZONE_TIME_LIMIT_S (INT64_C(1) << 59)

struct zone_header {
    uint8_t version;
    uint32_t universal_count;
    uint32_t standard_count;
    uint32_t leap_count;
    uint32_t time_count;
    uint32_t type_count;
    uint32_t char_count;
};

static bool zone_corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "time zone data: %s", what);
}

static uint64_t zone_number(const uint8_t *bytes, size_t size_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size_bytes; i++)
        value = value << 8 | bytes[i];
    return value;
}

static bool zone_take(struct slice *rest, uint64_t size_bytes, const uint8_t **ret_bytes,
                      struct err *err)
{
    if (size_bytes > rest->size_bytes)
        return zone_corrupt(err, "cut short");
    *ret_bytes = rest->data;
    *rest = slice_from(*rest, (size_t)size_bytes);
    return true;
}

static bool zone_take_header(struct slice *rest, struct zone_header *ret_header, struct err *err)
{
    const uint8_t *bytes = NULL;
    TRY(zone_take(rest, ZONE_HEADER_BYTES, &bytes, err));
    if (memcmp(bytes, "TZif", 4) != 0)
        return zone_corrupt(err, "no TZif header");
    const uint8_t version = bytes[4] == '\0' ? 1 : (uint8_t)(bytes[4] - '0');
    if (version < 1 || version > 9 || bytes[4] == '1')
        return zone_corrupt(err, "unknown version");
    *ret_header = (struct zone_header){
        .version = version,
        .universal_count = (uint32_t)zone_number(bytes + 20, 4),
        .standard_count = (uint32_t)zone_number(bytes + 24, 4),
        .leap_count = (uint32_t)zone_number(bytes + 28, 4),
        .time_count = (uint32_t)zone_number(bytes + 32, 4),
        .type_count = (uint32_t)zone_number(bytes + 36, 4),
        .char_count = (uint32_t)zone_number(bytes + 40, 4),
    };
    return true;
}

static uint64_t zone_block_bytes(const struct zone_header *header, size_t time_bytes)
{
    return (uint64_t)header->time_count * (time_bytes + 1) +
           (uint64_t)header->type_count * ZONE_TYPE_BYTES + header->char_count +
           (uint64_t)header->leap_count * (time_bytes + 4) + header->standard_count +
           header->universal_count;
}

static bool zone_check_header(const struct zone_header *header, struct err *err)
{
    if (header->type_count < 1 || header->type_count > ZONE_TYPES_MAX || header->char_count < 1)
        return zone_corrupt(err, "no types, or too many");
    if ((header->standard_count != 0 && header->standard_count != header->type_count) ||
        (header->universal_count != 0 && header->universal_count != header->type_count))
        return zone_corrupt(err, "indicators do not match the types");
    // Our instants are counted without leap seconds, so such a file would be 27 seconds off.
    if (header->leap_count != 0)
        return zone_corrupt(err, "counts leap seconds");
    return true;
}

static bool zone_read_types(const struct zone_header *header, const uint8_t *types,
                            const uint8_t *chars, int32_t ret_offsets_s[ZONE_TYPES_MAX],
                            struct err *err)
{
    if (chars[header->char_count - 1] != '\0')
        return zone_corrupt(err, "abbreviations without an end");
    for (uint32_t i = 0; i < header->type_count; i++) {
        const uint8_t *type = types + i * ZONE_TYPE_BYTES;
        const int32_t offset_s = (int32_t)(uint32_t)zone_number(type, 4);
        if (offset_s < ZONE_OFFSET_MIN_S || offset_s > ZONE_OFFSET_MAX_S || type[4] > 1 ||
            type[5] >= header->char_count)
            return zone_corrupt(err, "impossible type");
        ret_offsets_s[i] = offset_s;
    }
    return true;
}

// Sign-extends what was read from a time of 4 or 8 bytes.
static int64_t zone_time(const uint8_t *bytes, size_t time_bytes)
{
    const uint64_t value = zone_number(bytes, time_bytes);
    return time_bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

static bool zone_read_block(const struct zone_header *header, size_t time_bytes,
                            const uint8_t *block, struct arena *arena, struct zone *zone,
                            struct err *err)
{
    const size_t count = header->time_count;
    const uint8_t *indexes = block + count * time_bytes;
    const uint8_t *types = indexes + count;
    int32_t type_offsets_s[ZONE_TYPES_MAX];
    TRY(zone_read_types(header, types, types + header->type_count * ZONE_TYPE_BYTES, type_offsets_s,
                        err));
    int64_t *times_s = arena_alloc_array(arena, count, sizeof *times_s);
    int32_t *offsets_s = arena_alloc_array(arena, count, sizeof *offsets_s);
    for (size_t i = 0; i < count; i++) {
        times_s[i] = zone_time(block + i * time_bytes, time_bytes);
        if (times_s[i] < -ZONE_TIME_LIMIT_S || times_s[i] > ZONE_TIME_LIMIT_S)
            return zone_corrupt(err, "impossible time");
        if (i > 0 && times_s[i] <= times_s[i - 1])
            return zone_corrupt(err, "times out of order");
        if (indexes[i] >= header->type_count)
            return zone_corrupt(err, "time of an unknown type");
        offsets_s[i] = type_offsets_s[indexes[i]];
    }
    zone->transition_count = count;
    zone->times_s = times_s;
    zone->offsets_s = offsets_s;
    zone->first_offset_s = type_offsets_s[0];
    return true;
}

static bool zone_read_footer(struct slice rest, struct zone *zone, struct err *err)
{
    const char *chars = slice_chars(rest);
    if (rest.size_bytes < 2 || chars[0] != '\n' || chars[rest.size_bytes - 1] != '\n')
        return zone_corrupt(err, "no footer");
    const struct slice text = slice_part(rest, 1, rest.size_bytes - 2);
    if (slice_is_empty(text))
        return true;
    if (!zone_rule_parse(text, &zone->rule))
        return zone_corrupt(err, "rule that is none");
    zone->has_rule = true;
    return true;
}

bool zone_parse(struct slice bytes, struct arena *arena, const struct zone **ret_zone,
                struct err *err)
{
    struct zone_header header = {0};
    const uint8_t *block = NULL;
    size_t time_bytes = 4;
    TRY(zone_take_header(&bytes, &header, err));
    if (header.version > 1) {
        const uint8_t version = header.version;
        TRY(zone_take(&bytes, zone_block_bytes(&header, time_bytes), &block, err));
        TRY(zone_take_header(&bytes, &header, err));
        if (header.version != version)
            return zone_corrupt(err, "headers of two versions");
        time_bytes = 8;
    }
    TRY(zone_check_header(&header, err));
    TRY(zone_take(&bytes, zone_block_bytes(&header, time_bytes), &block, err));
    struct zone *zone = arena_alloc(arena, sizeof *zone);
    TRY(zone_read_block(&header, time_bytes, block, arena, zone, err));
    if (header.version > 1)
        TRY(zone_read_footer(bytes, zone, err));
    else if (!slice_is_empty(bytes))
        return zone_corrupt(err, "bytes after the end");
    *ret_zone = zone;
    return true;
}
