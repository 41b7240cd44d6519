// SPDX-License-Identifier: Apache-2.0
#include "base/uri.h"

#include <stdint.h>
#include <string.h>

bool uri_is_unreserved(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character != '\0' && strchr("-._~", character) != NULL);
}

void uri_append_encoded(struct buf *destination, struct slice text, const char *kept)
{
    const char *chars = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        const char c = chars[i];
        if (uri_is_unreserved(c) || (c != '\0' && strchr(kept, c) != NULL))
            buf_append_char(destination, c);
        else
            buf_append_format(destination, "%%%02X", (unsigned)(uint8_t)c);
    }
}
