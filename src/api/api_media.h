// SPDX-License-Identifier: Apache-2.0
// Small readers of header fields. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

// Range: bytes=A-B, bytes=A-, bytes=-N. What is not one such range, several among them, is ignored.
enum api_range_kind {
    API_RANGE_WHOLE,
    API_RANGE_PART,
    API_RANGE_UNSATISFIABLE,
};

struct api_range {
    enum api_range_kind kind;
    uint64_t offset_bytes; // of API_RANGE_PART
    uint64_t size_bytes;
};

struct api_range api_range_parse(struct slice header, uint64_t object_bytes);

// Whether a list of entity tags (If-None-Match) holds `etag` (with its quotes) or is "*". Weak tags
// compare by their opaque part, as RFC 9110 has it for this field.
bool api_etag_list_has(struct slice list, const char *etag);
// The same for If-Match, where a weak tag is no match.
bool api_etag_list_has_strong(struct slice list, const char *etag);

// Without spaces and tabs at both ends.
struct slice api_trimmed(struct slice text);

// Whether a Content-Type names this media type, whatever its parameters.
bool api_media_type_is(struct slice content_type, const char *media_type);
