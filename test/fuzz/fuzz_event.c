// SPDX-License-Identifier: Apache-2.0
// Lines of ingest: whatever the scanner accepts can be unescaped and stays inside the line.
#include "base/check.h"
#include "model/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct event event;
    char detail[256];
    struct err err = {0};
    if (!event_scan(slice_of(data, size), INT64_C(1800000000000), &event, detail, &err)) {
        ASSERT(err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
        return 0;
    }
    struct buf text;
    buf_init(&text, size + 16);
    for (size_t i = 0; i < event.property_count; i++) {
        const struct event_property *property = &event.properties[i];
        const char *start = slice_chars(property->value);
        ASSERT(start >= (const char *)data);
        ASSERT(start + property->value.size_bytes <= (const char *)data + size);
        buf_reset(&text);
        event_append_unescaped(&text, property->name);
        ASSERT(!text.overflowed);
        if (property->kind != EVENT_TEXT)
            continue;
        buf_reset(&text);
        event_append_unescaped(&text, property->value);
        ASSERT(!text.overflowed);
    }
    buf_clear(&text);
    return 0;
}
