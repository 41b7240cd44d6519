// SPDX-License-Identifier: Apache-2.0
// Writing JSON into a buffer: for replies, manifests and stored documents. Commas are the writer's
// affair. The buffer's overflow flag is the error path (buf_check at the end).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

struct json_text {
    struct buf *destination;
    bool needs_comma;
};

void json_text_init(struct json_text *json, struct buf *destination);

void json_text_open(struct json_text *json, char bracket);  // '{' or '['
void json_text_close(struct json_text *json, char bracket); // '}' or ']'
void json_text_key(struct json_text *json, const char *key);
void json_text_key_slice(struct json_text *json, struct slice key); // must be UTF-8

void json_text_string(struct json_text *json, struct slice value); // must be UTF-8
void json_text_int64(struct json_text *json, int64_t value);
void json_text_double(struct json_text *json, double value); // not finite: null
void json_text_bool(struct json_text *json, bool value);
void json_text_null(struct json_text *json);
// Bytes that are JSON already.
void json_text_raw(struct json_text *json, struct slice value);

// Key and value in one call; a NULL value of json_text_member_text writes null.
void json_text_member_text(struct json_text *json, const char *key, const char *value);
void json_text_member_int64(struct json_text *json, const char *key, int64_t value);
void json_text_member_bool(struct json_text *json, const char *key, bool value);

// Appends value with quotes, escaped as RFC 8259 asks and no more: `"`, `\` and control characters.
void json_text_append_quoted(struct buf *destination, struct slice value);
