// SPDX-License-Identifier: Apache-2.0
#include "net/http_check.h"

#include <strings.h>

#include "base/check.h"
#include "base/err.h"
#include "base/number.h"

#define HTTP_VERSION_CHARS    ((size_t)8) // "HTTP/1.1"
#define HTTP_REQUEST_ID_CHARS ((size_t)64)
#define HTTP_CLOSES           true
#define HTTP_LIVES            false

static const char http_ambiguous[] = "Ambiguous message length";

static bool http_refuse(struct http_refusal *ret_refusal, int status, const char *message,
                        bool closes)
{
    *ret_refusal = (struct http_refusal){status, message, closes};
    return false;
}

bool http_is_token_char(uint8_t byte)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr(extra, byte) != NULL);
}

static bool http_is_token(struct slice text)
{
    const uint8_t *bytes = text.data;
    for (size_t i = 0; i < text.size_bytes; i++)
        if (!http_is_token_char(bytes[i]))
            return false;
    return text.size_bytes > 0;
}

static bool http_is_field_value(struct slice text)
{
    const uint8_t *bytes = text.data;
    for (size_t i = 0; i < text.size_bytes; i++)
        if ((bytes[i] < 0x20 && bytes[i] != '\t') || bytes[i] == 0x7f)
            return false;
    return true;
}

bool http_method_is(struct slice method, const char *name)
{
    return slice_equal_text(method, name);
}

bool http_name_equal(struct slice name, const char *other)
{
    return name.size_bytes == strlen(other) &&
           (name.size_bytes == 0 || strncasecmp(name.data, other, name.size_bytes) == 0);
}

bool http_request_id_is_valid(struct slice id)
{
    const char *chars = slice_chars(id);
    for (size_t i = 0; i < id.size_bytes; i++) {
        const char c = chars[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return id.size_bytes > 0 && id.size_bytes <= HTTP_REQUEST_ID_CHARS;
}

static size_t http_find_field(const struct http_head *head, const char *name,
                              struct slice *ret_first)
{
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        if (!http_name_equal(head->fields[i].name, name))
            continue;
        if (count == 0)
            *ret_first = head->fields[i].value;
        count++;
    }
    return count;
}

static bool http_is_digit(char character)
{
    return character >= '0' && character <= '9';
}

// *ret_is_1_0 for "HTTP/1.0"; a higher minor version is one that we can answer as 1.1.
static bool http_check_version(struct slice version, bool *ret_is_1_0,
                               struct http_refusal *ret_refusal)
{
    const char *chars = slice_chars(version);
    if (version.size_bytes != HTTP_VERSION_CHARS || memcmp(chars, "HTTP/", 5) != 0 ||
        !http_is_digit(chars[5]) || chars[6] != '.' || !http_is_digit(chars[7]))
        return http_refuse(ret_refusal, 400, "Malformed request line", HTTP_CLOSES);
    if (chars[5] != '1')
        return http_refuse(ret_refusal, 505, "HTTP version not supported", HTTP_CLOSES);
    *ret_is_1_0 = chars[7] == '0';
    return true;
}

// Up to the next blank; *rest becomes what is behind it. Without a blank: all, and *rest is empty.
static struct slice http_cut_word(struct slice *rest)
{
    const char *blank = rest->size_bytes == 0 ? NULL : memchr(rest->data, ' ', rest->size_bytes);
    const size_t size = blank == NULL ? rest->size_bytes : (size_t)(blank - slice_chars(*rest));
    const struct slice word = slice_of(rest->data, size);
    *rest = slice_from(*rest, blank == NULL ? size : size + 1);
    return word;
}

bool http_check_request_line(struct slice line, struct http_head *ret_head,
                             struct http_refusal *ret_refusal)
{
    struct http_head head = {.method = http_cut_word(&line)};
    head.target = http_cut_word(&line);
    if (!http_is_token(head.method) || head.target.size_bytes == 0 ||
        !http_is_field_value(head.target) ||
        memchr(head.target.data, '\t', head.target.size_bytes) != NULL)
        return http_refuse(ret_refusal, 400, "Malformed request line", HTTP_CLOSES);
    TRY(http_check_version(line, &head.is_version_1_0, ret_refusal));
    *ret_head = head;
    return true;
}

static struct slice http_trim(struct slice text)
{
    const char *chars = slice_chars(text);
    size_t start = 0;
    size_t end = text.size_bytes;
    while (start < end && (chars[start] == ' ' || chars[start] == '\t'))
        start++;
    while (end > start && (chars[end - 1] == ' ' || chars[end - 1] == '\t'))
        end--;
    return slice_part(text, start, end - start);
}

bool http_check_field_line(struct slice line, struct http_field *ret_field,
                           struct http_refusal *ret_refusal)
{
    const char *colon = memchr(line.data, ':', line.size_bytes);
    const size_t name_bytes = colon == NULL ? 0 : (size_t)(colon - slice_chars(line));
    const struct slice name = slice_part(line, 0, name_bytes);
    // A blank before the colon or in front of the line (a folded one) is no part of a token.
    if (!http_is_token(name))
        return http_refuse(ret_refusal, 400, "Malformed header", HTTP_CLOSES);
    const struct slice value = slice_from(line, name_bytes + 1);
    if (!http_is_field_value(value))
        return http_refuse(ret_refusal, 400, "Malformed header", HTTP_CLOSES);
    *ret_field = (struct http_field){name, http_trim(value)};
    return true;
}

static bool http_check_host(const struct http_head *head, struct http_refusal *ret_refusal)
{
    struct slice host = {0};
    const size_t count = http_find_field(head, "Host", &host);
    if (count == 0 && !head->is_version_1_0)
        return http_refuse(ret_refusal, 400, "Missing Host header", HTTP_CLOSES);
    if (count > 1)
        return http_refuse(ret_refusal, 400, "Duplicate Host header", HTTP_CLOSES);
    // Letters of a reg-name, an address in brackets, a port (RFC 3986).
    static const char extra[] = "-._~!$&'()*+,;=%:[]";
    const char *chars = slice_chars(host);
    for (size_t i = 0; i < host.size_bytes; i++) {
        const char c = chars[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) &&
            strchr(extra, c) == NULL)
            return http_refuse(ret_refusal, 400, "Invalid Host header", HTTP_CLOSES);
    }
    return true;
}

// Whether a header that lists words has that one, in any of its lines.
static bool http_lists(const struct http_head *head, const char *name, const char *word)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct slice rest = head->fields[i].value;
        if (!http_name_equal(head->fields[i].name, name))
            continue;
        while (rest.size_bytes > 0) {
            const char *comma = memchr(rest.data, ',', rest.size_bytes);
            const size_t size = comma == NULL ? rest.size_bytes
                                              : (size_t)(comma - slice_chars(rest));
            if (http_name_equal(http_trim(slice_part(rest, 0, size)), word))
                return true;
            rest = slice_from(rest, comma == NULL ? size : size + 1);
        }
    }
    return false;
}

// How often "chunked" stands in a list of codings.
static int http_count_chunked(struct slice list)
{
    int count = 0;
    const char *chars = slice_chars(list);
    static const char word[] = "chunked";
    for (size_t i = 0; i + sizeof word - 1 <= list.size_bytes; i++)
        if (strncasecmp(chars + i, word, sizeof word - 1) == 0)
            count++;
    return count;
}

// Content-Length as RFC 9110 has it: digits. Leading zeros are allowed there. A list of numbers
// is what becomes of several headers on their way.
static bool http_parse_length(struct slice text, int64_t *ret_length, struct http_refusal *refusal)
{
    const char *chars = slice_chars(text);
    size_t comma_count = 0;
    bool is_numeric = text.size_bytes > 0 && http_is_digit(chars[0]);
    for (size_t i = 0; i < text.size_bytes; i++) {
        comma_count += chars[i] == ',';
        if (!http_is_digit(chars[i]) && (comma_count == 0 || strchr(", \t", chars[i]) == NULL))
            is_numeric = false;
    }
    if (!is_numeric)
        return http_refuse(refusal, 400, "Invalid Content-Length", HTTP_CLOSES);
    if (comma_count > 0)
        return http_refuse(refusal, 400, http_ambiguous, HTTP_CLOSES);
    size_t zeros = 0;
    while (zeros + 1 < text.size_bytes && chars[zeros] == '0')
        zeros++;
    if (!number_parse_int64(slice_from(text, zeros), ret_length))
        return http_refuse(refusal, 413, "Request body too large", HTTP_CLOSES);
    return true;
}

static bool http_check_framing(const struct http_head *head, struct http_framing *ret_framing,
                               struct http_refusal *ret_refusal)
{
    struct slice coding = {0};
    struct slice length = {0};
    const size_t coding_count = http_find_field(head, "Transfer-Encoding", &coding);
    const size_t length_count = http_find_field(head, "Content-Length", &length);
    if (coding_count > 1 || length_count > 1 || (coding_count > 0 && length_count > 0) ||
        (coding_count > 0 && head->is_version_1_0) || http_count_chunked(coding) > 1)
        return http_refuse(ret_refusal, 400, http_ambiguous, HTTP_CLOSES);
    if (coding_count > 0 && !http_name_equal(coding, "chunked"))
        return http_refuse(ret_refusal, 501, "Transfer coding not implemented", HTTP_CLOSES);
    const bool stays = http_lists(head, "Connection", "keep-alive");
    struct http_framing framing = {
        .is_chunked = coding_count > 0,
        .length_bytes = -1,
        .closes = http_lists(head, "Connection", "close") || (head->is_version_1_0 && !stays),
    };
    if (length_count > 0)
        TRY(http_parse_length(length, &framing.length_bytes, ret_refusal));
    for (size_t i = 0; i < head->field_count; i++) {
        if (!http_name_equal(head->fields[i].name, "Expect"))
            continue;
        if (!http_name_equal(head->fields[i].value, "100-continue"))
            return http_refuse(ret_refusal, 417, "Expectation failed", HTTP_CLOSES);
        // Without a body there is nothing to continue with (RFC 9110, 10.1.1); and the library,
        // which would ask for it all the same, takes what comes behind the head for a body then.
        framing.expects_continue = !head->is_version_1_0 &&
                                   (framing.is_chunked || framing.length_bytes > 0);
    }
    *ret_framing = framing;
    return true;
}

bool http_check_method(struct slice method, struct http_refusal *ret_refusal)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (http_method_is(method, known[i]))
            return true;
    if (http_method_is(method, "TRACE"))
        return http_refuse(ret_refusal, 405, "Method not allowed", HTTP_LIVES);
    return http_refuse(ret_refusal, 501, "Method not implemented", HTTP_LIVES);
}

bool http_check_head(const struct http_head *head, struct http_framing *ret_framing,
                     struct http_refusal *ret_refusal)
{
    TRY(http_check_host(head, ret_refusal));
    return http_check_framing(head, ret_framing, ret_refusal);
}
