// SPDX-License-Identifier: Apache-2.0
// What makes a JSON object an event: names with a meaning of their own, and bounds.
#include "base/check.h"
#include "base/civil.h"
#include "base/number.h"
#include "model/event_internal.h"

#define EVENT_TIME_MIN_MS    INT64_C(946684800000)    // 2000-01-01
#define EVENT_TIME_LAST_MS   INT64_C(253402300799999) // the end of year 9999
#define EVENT_TIME_AHEAD_MS  CIVIL_DAY_MS
#define EVENT_APP_ID_MIN     ((size_t)18)
#define EVENT_APP_ID_MAX     ((size_t)19)
#define EVENT_TIME_CHARS_MAX ((size_t)64) // ISO 8601 is shorter

struct event_special {
    const char *name;
    size_t size_bytes;
    enum event_meaning meaning;
};

enum event_meaning event_meaning_of(const char *name, size_t size_bytes)
{
    static const struct event_special specials[] = {
        {"id", 2, EVENT_MEANS_ID},
        {"timestamp", 9, EVENT_MEANS_TIMESTAMP},
        {"app_id", 6, EVENT_MEANS_APP_ID},
        {"received_at", 11, EVENT_MEANS_RESERVED},
        {"_seq", 4, EVENT_MEANS_RESERVED},
        {"org_id", 6, EVENT_MEANS_RESERVED},
        {"organization_id", 15, EVENT_MEANS_RESERVED},
        {"_topic", 6, EVENT_MEANS_RESERVED},
        {"_app", 4, EVENT_MEANS_RESERVED},
        {"_time", 5, EVENT_MEANS_RESERVED},
    };
    // Most names have none of these sizes, or another first letter.
    const unsigned sizes = 1u << 2 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 9 | 1u << 11 | 1u << 15;
    if (size_bytes > 15 || (sizes >> size_bytes & 1) == 0)
        return EVENT_MEANS_NOTHING;
    for (size_t i = 0; i < ARRAY_COUNT(specials); i++) {
        if (name[0] == specials[i].name[0] && size_bytes == specials[i].size_bytes &&
            memcmp(name, specials[i].name, size_bytes) == 0)
            return specials[i].meaning;
    }
    return EVENT_MEANS_NOTHING;
}

bool event_name_is_reserved(struct slice name)
{
    return event_meaning_of(slice_chars(name), name.size_bytes) == EVENT_MEANS_RESERVED;
}

static bool event_text_time(const struct event_property *property, int64_t *ret_time_ms)
{
    char text[EVENT_TIME_CHARS_MAX];
    if (!property->value_has_escapes)
        return civil_parse(property->value, ret_time_ms);
    if (property->value.size_bytes > sizeof text)
        return false;
    return civil_parse(slice_of(text, event_unescape(property->value, text)), ret_time_ms);
}

bool event_property_time(const struct event_property *property, int64_t *ret_time_ms)
{
    if (property->kind == EVENT_TEXT)
        return event_text_time(property, ret_time_ms);
    if (property->kind != EVENT_INT64)
        return false;
    const struct civil first = {.year = 0, .month = 1, .day = 1};
    if (property->number < civil_to_ms(first) || property->number > EVENT_TIME_LAST_MS)
        return false;
    *ret_time_ms = property->number;
    return true;
}

static bool event_accept_timestamp(struct event_scanner *scanner,
                                   const struct event_property *property)
{
    int64_t time_ms;
    if (!event_property_time(property, &time_ms) ||
        (property->kind == EVENT_INT64 && property->number <= 0))
        return err_set(scanner->err, ERR_INVALID, "Invalid timestamp");
    if (time_ms < EVENT_TIME_MIN_MS || time_ms > scanner->now_ms + EVENT_TIME_AHEAD_MS)
        return err_set(scanner->err, ERR_INVALID, "Timestamp out of range");
    scanner->event->time_ms = time_ms;
    scanner->has_timestamp = true;
    return true;
}

static bool event_accept_app_id(struct event_scanner *scanner,
                                const struct event_property *property)
{
    int64_t number;
    const struct slice value = property->value;
    if ((property->kind != EVENT_TEXT && property->kind != EVENT_INT64) ||
        value.size_bytes < EVENT_APP_ID_MIN || value.size_bytes > EVENT_APP_ID_MAX ||
        !number_parse_int64(value, &number) || number < 0)
        return err_set(scanner->err, ERR_INVALID, "Invalid app_id");
    scanner->event->app_id = value;
    return true;
}

// An id of null is no id, as in the files that we export.
static bool event_id_is_valid(const struct event_property *property)
{
    if (property->kind == EVENT_NULL)
        return true;
    if (property->kind != EVENT_TEXT || slice_is_empty(property->value))
        return false;
    return property->value.size_bytes <= EVENT_ID_BYTES_MAX ||
           (property->value_has_escapes &&
            event_unescaped_size(property->value) <= EVENT_ID_BYTES_MAX);
}

static bool event_value_is_short(const struct event_property *property)
{
    return property->value.size_bytes <= EVENT_VALUE_BYTES_MAX ||
           (property->value_has_escapes &&
            event_unescaped_size(property->value) <= EVENT_VALUE_BYTES_MAX);
}

bool event_accept_property(struct event_scanner *scanner, const struct event_property *property,
                           enum event_meaning meaning)
{
    if (!event_value_is_short(property))
        return err_set(scanner->err, ERR_INVALID, "Property too long");
    switch (meaning) {
    case EVENT_MEANS_TIMESTAMP:
        return event_accept_timestamp(scanner, property);
    case EVENT_MEANS_APP_ID:
        return event_accept_app_id(scanner, property);
    case EVENT_MEANS_RESERVED:
        return err_set(scanner->err, ERR_INVALID, "Reserved field");
    case EVENT_MEANS_ID:
        if (!event_id_is_valid(property))
            return err_set(scanner->err, ERR_INVALID, "Invalid id");
        break;
    case EVENT_MEANS_NOTHING:
        break;
    }
    struct event *event = scanner->event;
    if (event->property_count >= EVENT_PROPERTIES_MAX)
        return err_set(scanner->err, ERR_INVALID, "Too many properties");
    event->property_count++;
    return true;
}
