// SPDX-License-Identifier: Apache-2.0
#include "net/http_check.h"

#include <strings.h>

#include "base/check.h"
#include "base/number.h"
#include "net/http_server.h"

#define HTTP_VERSION_CHARS    ((size_t)8)
#define HTTP_FIELD_BYTES_MAX  ((size_t)8192) // of one header line without its end
#define HTTP_FIELD_COLON      ((size_t)2)    // ": "
#define HTTP_REQUEST_ID_CHARS ((size_t)64)
#define HTTP_LINE_END_BYTES   ((uintptr_t)2)
#define HTTP_CLOSES           true
#define HTTP_LIVES            false

static bool http_refuse(struct http_refusal *ret_refusal, int status, const char *message,
                        bool closes)
{
    *ret_refusal = (struct http_refusal){status, message, closes};
    return false;
}

// One CRLF must lie between end and next.
static bool http_check_line_end(uintptr_t end, uintptr_t next, struct http_refusal *ret_refusal)
{
    if (next == end + HTTP_LINE_END_BYTES)
        return true;
    if (next == end + HTTP_LINE_END_BYTES - 1)
        return http_refuse(ret_refusal, 400, "Bare LF in message head", HTTP_CLOSES);
    return http_refuse(ret_refusal, 400, "Malformed header", HTTP_CLOSES);
}

bool http_check_layout(const struct http_layout *layout, struct http_refusal *ret_refusal)
{
    const uintptr_t start = (uintptr_t)layout->start;
    const uintptr_t target = (uintptr_t)layout->target;
    const uintptr_t version = (uintptr_t)layout->version;
    if (target != start + strlen(layout->start) + 1 || version != target + layout->target_bytes + 1)
        return http_refuse(ret_refusal, 400, "Malformed request line", HTTP_CLOSES);
    uintptr_t end = version + HTTP_VERSION_CHARS;
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct http_field *field = &layout->fields[i];
        const uintptr_t name = (uintptr_t)field->name.data;
        const uintptr_t value = (uintptr_t)field->value.data;
        TRY(http_check_line_end(end, name, ret_refusal));
        if (value <= name + field->name.size_bytes)
            return http_refuse(ret_refusal, 400, "Malformed header", HTTP_CLOSES);
        end = value + field->value.size_bytes;
    }
    // The empty line is a second line end.
    return http_check_line_end(end + HTTP_LINE_END_BYTES, start + layout->size_bytes, ret_refusal);
}

static bool http_is_token(struct slice text)
{
    static const char extra[] = "!#$%&'*+-.^_`|~";
    const char *chars = slice_chars(text);
    for (size_t i = 0; i < text.size_bytes; i++) {
        const char c = chars[i];
        const bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                     (c >= '0' && c <= '9');
        if (!is_alphanumeric && (c == '\0' || strchr(extra, c) == NULL))
            return false;
    }
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

static bool http_check_sizes(const struct http_head *head, const struct http_limits *limits,
                             struct http_refusal *ret_refusal)
{
    if ((int64_t)head->target.size_bytes > limits->request_line_bytes)
        return http_refuse(ret_refusal, 414, "URI too long", HTTP_CLOSES);
    if ((int64_t)head->field_count > limits->header_count)
        return http_refuse(ret_refusal, 431, "Too many header fields", HTTP_CLOSES);
    if ((int64_t)head->field_bytes > limits->header_bytes)
        return http_refuse(ret_refusal, 431, "Header fields too large", HTTP_CLOSES);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->name.size_bytes + HTTP_FIELD_COLON + field->value.size_bytes >
            HTTP_FIELD_BYTES_MAX)
            return http_refuse(ret_refusal, 431, "Header field too large", HTTP_CLOSES);
    }
    return true;
}

static bool http_check_syntax(const struct http_head *head, struct http_refusal *ret_refusal)
{
    if (!http_is_token(head->method))
        return http_refuse(ret_refusal, 400, "Malformed request line", HTTP_CLOSES);
    for (size_t i = 0; i < head->field_count; i++)
        if (!http_is_token(head->fields[i].name) || !http_is_field_value(head->fields[i].value))
            return http_refuse(ret_refusal, 400, "Malformed header", HTTP_CLOSES);
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

// Content-Length as RFC 9110 has it: digits. Leading zeros are allowed there.
static bool http_parse_length(struct slice text, int64_t *ret_length, struct http_refusal *refusal)
{
    const char *chars = slice_chars(text);
    if (text.size_bytes == 0)
        return http_refuse(refusal, 400, "Invalid Content-Length", HTTP_CLOSES);
    for (size_t i = 0; i < text.size_bytes; i++)
        if (chars[i] < '0' || chars[i] > '9')
            return http_refuse(refusal, 400, "Invalid Content-Length", HTTP_CLOSES);
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
    static const char ambiguous[] = "Ambiguous message length";
    struct slice coding = {0};
    struct slice length = {0};
    const size_t coding_count = http_find_field(head, "Transfer-Encoding", &coding);
    const size_t length_count = http_find_field(head, "Content-Length", &length);
    if (coding_count > 1 || length_count > 1 || (coding_count > 0 && length_count > 0) ||
        (coding_count > 0 && head->is_version_1_0) || http_count_chunked(coding) > 1)
        return http_refuse(ret_refusal, 400, ambiguous, HTTP_CLOSES);
    if (coding_count > 0 && !http_name_equal(coding, "chunked"))
        return http_refuse(ret_refusal, 501, "Transfer coding not implemented", HTTP_CLOSES);
    struct http_framing framing = {.is_chunked = coding_count > 0, .length_bytes = -1};
    if (length_count > 0)
        TRY(http_parse_length(length, &framing.length_bytes, ret_refusal));
    for (size_t i = 0; i < head->field_count; i++) {
        if (!http_name_equal(head->fields[i].name, "Expect"))
            continue;
        if (!http_name_equal(head->fields[i].value, "100-continue"))
            return http_refuse(ret_refusal, 417, "Expectation failed", HTTP_CLOSES);
        framing.expects_continue = !head->is_version_1_0;
    }
    *ret_framing = framing;
    return true;
}

static bool http_check_method(struct slice method, struct http_refusal *ret_refusal)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (http_method_is(method, known[i]))
            return true;
    if (http_method_is(method, "TRACE"))
        return http_refuse(ret_refusal, 405, "Method not allowed", HTTP_LIVES);
    return http_refuse(ret_refusal, 501, "Method not implemented", HTTP_LIVES);
}

bool http_check_head(const struct http_head *head, const struct http_limits *limits,
                     struct http_framing *ret_framing, struct http_refusal *ret_refusal)
{
    TRY(http_check_sizes(head, limits, ret_refusal));
    TRY(http_check_syntax(head, ret_refusal));
    TRY(http_check_host(head, ret_refusal));
    TRY(http_check_framing(head, ret_framing, ret_refusal));
    return http_check_method(head->method, ret_refusal);
}
