// SPDX-License-Identifier: Apache-2.0
#include "base/xml_text.h"

#include "base/check.h"

void xml_text_open(struct buf *xml, const char *name)
{
    buf_append_format(xml, "<%s>", name);
}

void xml_text_close(struct buf *xml, const char *name)
{
    buf_append_format(xml, "</%s>", name);
}

// Ends of lines would be made others by whoever reads them as they are.
static const char *xml_escape_of(char character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

void xml_text_escape(struct buf *xml, struct slice text)
{
    const char *chars = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        const char *escape = xml_escape_of(chars[i]);
        if (escape == NULL)
            buf_append_char(xml, chars[i]);
        else
            buf_append_text(xml, escape);
    }
}

void xml_text_append(struct buf *xml, struct slice text)
{
    ASSERT(xml_text_is_fit(text));
    xml_text_escape(xml, text);
}

void xml_text_member(struct buf *xml, const char *name, struct slice text)
{
    xml_text_open(xml, name);
    xml_text_append(xml, text);
    xml_text_close(xml, name);
}

bool xml_text_is_fit(struct slice text)
{
    const uint8_t *bytes = text.data;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (bytes[i] < 0x20 && bytes[i] != '\t' && bytes[i] != '\n' && bytes[i] != '\r')
            return false;
        if (text.size_bytes - i >= 3 && bytes[i] == 0xef && bytes[i + 1] == 0xbf &&
            bytes[i + 2] >= 0xbe)
            return false;
    }
    return true;
}
