// SPDX-License-Identifier: Apache-2.0
#include "base/json_text.h"

#include <math.h>

#include "base/check.h"
#include "base/number.h"

void json_text_init(struct json_text *json, struct buf *destination)
{
    *json = (struct json_text){.destination = destination};
}

static void json_text_separate(struct json_text *json)
{
    if (json->needs_comma)
        buf_append_char(json->destination, ',');
    json->needs_comma = true;
}

void json_text_open(struct json_text *json, char bracket)
{
    ASSERT(bracket == '{' || bracket == '[');
    json_text_separate(json);
    buf_append_char(json->destination, bracket);
    json->needs_comma = false;
}

void json_text_close(struct json_text *json, char bracket)
{
    ASSERT(bracket == '}' || bracket == ']');
    buf_append_char(json->destination, bracket);
    json->needs_comma = true;
}

void json_text_key_slice(struct json_text *json, struct slice key)
{
    json_text_separate(json);
    json_text_append_quoted(json->destination, key);
    buf_append_char(json->destination, ':');
    json->needs_comma = false;
}

void json_text_key(struct json_text *json, const char *key)
{
    json_text_key_slice(json, slice_text(key));
}

void json_text_string(struct json_text *json, struct slice value)
{
    json_text_separate(json);
    json_text_append_quoted(json->destination, value);
}

void json_text_int64(struct json_text *json, int64_t value)
{
    char text[NUMBER_CHARS_MAX];
    json_text_raw(json, slice_of(text, number_format_int64(value, text)));
}

void json_text_double(struct json_text *json, double value)
{
    if (!isfinite(value)) {
        json_text_null(json);
        return;
    }
    char text[NUMBER_CHARS_MAX];
    json_text_raw(json, slice_of(text, number_format_double(value, text)));
}

void json_text_bool(struct json_text *json, bool value)
{
    json_text_raw(json, slice_text(value ? "true" : "false"));
}

void json_text_null(struct json_text *json)
{
    json_text_raw(json, slice_text("null"));
}

void json_text_raw(struct json_text *json, struct slice value)
{
    json_text_separate(json);
    buf_append(json->destination, value);
}

void json_text_member_text(struct json_text *json, const char *key, const char *value)
{
    json_text_key(json, key);
    if (value == NULL)
        json_text_null(json);
    else
        json_text_string(json, slice_text(value));
}

void json_text_member_int64(struct json_text *json, const char *key, int64_t value)
{
    json_text_key(json, key);
    json_text_int64(json, value);
}

void json_text_member_bool(struct json_text *json, const char *key, bool value)
{
    json_text_key(json, key);
    json_text_bool(json, value);
}

// 0: as it is; 'u': as \u00XX; else the letter after the backslash.
static char json_text_escape_of(unsigned char character)
{
    switch (character) {
    case '"':
    case '\\':
        return (char)character;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return character < ' ' ? 'u' : '\0';
    }
}

void json_text_append_quoted(struct buf *destination, struct slice value)
{
    buf_append_char(destination, '"');
    const char *bytes = slice_chars(value);
    size_t start = 0;
    for (size_t i = 0; i < value.size_bytes; i++) {
        const char escape = json_text_escape_of((unsigned char)bytes[i]);
        if (escape == '\0')
            continue;
        buf_append(destination, slice_of(bytes + start, i - start));
        if (escape == 'u')
            buf_append_format(destination, "\\u%04x", (unsigned char)bytes[i]);
        else
            buf_append_format(destination, "\\%c", escape);
        start = i + 1;
    }
    if (start < value.size_bytes)
        buf_append(destination, slice_of(bytes + start, value.size_bytes - start));
    buf_append_char(destination, '"');
}
