// SPDX-License-Identifier: Apache-2.0
#include "net/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "net/transfer.h"

#define ENDPOINT_HOST_CHARS_MAX  ((size_t)253)
#define ENDPOINT_LABEL_CHARS_MAX ((size_t)63)
#define ENDPOINT_HTTP_PORT       80
#define ENDPOINT_HTTPS_PORT      443
#define ENDPOINT_PORT_MAX        65535

static bool endpoint_fail_form(struct err *err)
{
    return err_set(err, ERR_INVALID, "Invalid endpoint URL");
}

static bool endpoint_fail_class(struct err *err)
{
    return err_set(err, ERR_DENIED, "Endpoint not allowed");
}

// --- Form

static bool endpoint_is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static bool endpoint_is_hex(char character)
{
    return endpoint_is_digit(character) || (character >= 'a' && character <= 'f') ||
           (character >= 'A' && character <= 'F');
}

static bool endpoint_is_name_char(char character)
{
    return endpoint_is_digit(character) || (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z') || character == '-' || character == '_';
}

// Labels of letters, digits, '-' and '_' with dots between. Other alphabets come as punycode, as
// some of their characters turn into dots and digits.
static bool endpoint_is_name(struct slice host)
{
    const char *chars = slice_chars(host);
    size_t label_chars = 0;
    if (host.size_bytes > ENDPOINT_HOST_CHARS_MAX)
        return false;
    for (size_t i = 0; i < host.size_bytes; i++) {
        const bool is_last = i + 1 == host.size_bytes || chars[i + 1] == '.';
        if (chars[i] == '.' && label_chars > 0) {
            label_chars = 0;
            continue;
        }
        if (!endpoint_is_name_char(chars[i]) || ++label_chars > ENDPOINT_LABEL_CHARS_MAX)
            return false;
        if (chars[i] == '-' && (label_chars == 1 || is_last))
            return false;
    }
    return label_chars > 0;
}

static const char *endpoint_last_label(const char *host)
{
    const char *dot = strrchr(host, '.');
    return dot == NULL ? host : dot + 1;
}

// A host whose last label begins as a number is one, to the functions that connect.
static bool endpoint_is_numeric(const char *host)
{
    const char *label = endpoint_last_label(host);
    const size_t size_chars = strlen(label);
    if (label[0] == '0' && label[1] == 'x')
        return strspn(label + 2, "0123456789abcdef") == size_chars - 2;
    return strspn(label, "0123456789") == size_chars;
}

// An IPv6 address, perhaps with a zone (which is never allowed, but has a form).
static bool endpoint_is_v6(struct slice host)
{
    char text[INET6_ADDRSTRLEN];
    const char *chars = slice_chars(host);
    const char *zone = host.size_bytes == 0 ? NULL : memchr(chars, '%', host.size_bytes);
    const size_t size_chars = zone == NULL ? host.size_bytes : (size_t)(zone - chars);
    struct in6_addr address;
    if (size_chars >= sizeof text)
        return false;
    memcpy(text, chars, size_chars);
    text[size_chars] = '\0';
    if (strlen(text) != size_chars || inet_pton(AF_INET6, text, &address) != 1)
        return false;
    if (zone == NULL)
        return true;
    const struct slice name = slice_from(host, size_chars + 1);
    for (size_t i = 0; i < name.size_bytes; i++)
        if (!endpoint_is_name_char(slice_chars(name)[i]) && slice_chars(name)[i] != '.')
            return false;
    return name.size_bytes > 0;
}

static char *endpoint_copy_small(struct arena *arena, struct slice text)
{
    char *copy = arena_copy_slice(arena, text);
    for (size_t i = 0; i < text.size_bytes; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] = (char)(copy[i] - 'A' + 'a');
    return copy;
}

static bool endpoint_parse_port(struct slice text, uint16_t *ret_port)
{
    int64_t port = 0;
    if (!number_parse_int64(text, &port) || port < 1 || port > ENDPOINT_PORT_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

// HOST or HOST:PORT or [V6] or [V6]:PORT.
static bool endpoint_parse_authority(struct slice text, struct arena *arena,
                                     struct endpoint *endpoint)
{
    const char *chars = slice_chars(text);
    const bool has_brackets = text.size_bytes > 0 && chars[0] == '[';
    const char *end = text.size_bytes == 0
                          ? NULL
                          : memchr(chars, has_brackets ? ']' : ':', text.size_bytes);
    size_t host_chars = end == NULL ? text.size_bytes : (size_t)(end - chars);
    if (has_brackets && end == NULL)
        return false;
    const struct slice host = has_brackets ? slice_part(text, 1, host_chars - 1)
                                           : slice_part(text, 0, host_chars);
    if (has_brackets ? !endpoint_is_v6(host) : !endpoint_is_name(host))
        return false;
    endpoint->host = endpoint_copy_small(arena, host);
    const struct slice rest = slice_from(text, has_brackets ? host_chars + 1 : host_chars);
    const uint16_t own_port = endpoint->is_https ? ENDPOINT_HTTPS_PORT : ENDPOINT_HTTP_PORT;
    endpoint->port = own_port;
    if (rest.size_bytes > 0 &&
        (slice_chars(rest)[0] != ':' || !endpoint_parse_port(slice_from(rest, 1), &endpoint->port)))
        return false;
    const char *bare = has_brackets ? arena_format(arena, "[%s]", endpoint->host) : endpoint->host;
    endpoint->authority = endpoint->port == own_port
                              ? bare
                              : arena_format(arena, "%s:%u", bare, (unsigned)endpoint->port);
    return true;
}

// What RFC 3986 lets stand in a path or query.
static bool endpoint_is_path(struct slice path)
{
    const char *chars = slice_chars(path);
    for (size_t i = 0; i < path.size_bytes; i++) {
        const bool is_escape = chars[i] == '%' && i + 2 < path.size_bytes &&
                               endpoint_is_hex(chars[i + 1]) && endpoint_is_hex(chars[i + 2]);
        const bool is_mark = chars[i] != '\0' && strchr(".~!$&'()*+,;=:@/?", chars[i]) != NULL;
        if (!endpoint_is_name_char(chars[i]) && !is_mark && !is_escape)
            return false;
    }
    return true;
}

bool endpoint_parse(struct slice text, struct arena *arena, struct endpoint *ret_endpoint,
                    struct err *err)
{
    static const char http[] = "http://";
    static const char https[] = "https://";
    struct endpoint endpoint = {.is_https = slice_starts_with(text, slice_text(https))};
    if (text.size_bytes > ENDPOINT_CHARS_MAX ||
        (!endpoint.is_https && !slice_starts_with(text, slice_text(http))))
        return endpoint_fail_form(err);
    const struct slice rest = slice_from(text, strlen(endpoint.is_https ? https : http));
    const char *slash = rest.size_bytes == 0 ? NULL : memchr(rest.data, '/', rest.size_bytes);
    const size_t authority_chars = slash == NULL ? rest.size_bytes
                                                 : (size_t)(slash - slice_chars(rest));
    const struct slice path = slice_from(rest, authority_chars);
    if (!endpoint_parse_authority(slice_part(rest, 0, authority_chars), arena, &endpoint) ||
        !endpoint_is_path(path))
        return endpoint_fail_form(err);
    endpoint.path = arena_copy_slice(arena, path);
    *ret_endpoint = endpoint;
    return true;
}

// --- Class

static bool endpoint_is_allowed_v6(const char *host, const struct address_guard *guard)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    return inet_pton(AF_INET6, host, &address.sin6_addr) == 1 && // not so with a zone
           address_guard_allows(guard, (const struct sockaddr *)&address);
}

// Four decimal numbers, and nothing else that inet_aton() takes: 127.1, 0x7f000001, 0177.0.0.1.
static bool endpoint_is_allowed_v4(const char *host, const struct address_guard *guard)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    return inet_pton(AF_INET, host, &address.sin_addr) == 1 &&
           address_guard_allows(guard, (const struct sockaddr *)&address);
}

static bool endpoint_is_allowed_name(const char *host)
{
    // Not names of the public DNS: RFC 6761, RFC 6762, RFC 8375 and ICANN for ".internal".
    static const char *const local[] = {"localhost",   "local",     "internal",
                                        "localdomain", "home.arpa", "lan"};
    const size_t host_chars = strlen(host);
    for (size_t i = 0; i < ARRAY_COUNT(local); i++) {
        const size_t local_chars = strlen(local[i]);
        if (host_chars > local_chars && host[host_chars - local_chars - 1] == '.' &&
            strcmp(host + host_chars - local_chars, local[i]) == 0)
            return false;
    }
    return strchr(host, '.') != NULL; // "localhost", "metadata": whatever a search list makes of it
}

bool endpoint_check(const struct endpoint *endpoint, const struct address_guard *guard,
                    struct err *err)
{
    const char *host = endpoint->host;
    bool is_allowed;
    if (strchr(host, ':') != NULL)
        is_allowed = endpoint_is_allowed_v6(host, guard);
    else if (endpoint_is_numeric(host))
        is_allowed = endpoint_is_allowed_v4(host, guard);
    else
        is_allowed = endpoint_is_allowed_name(host);
    if (!is_allowed)
        return endpoint_fail_class(err);
    if (!endpoint->is_https)
        return err_set(err, ERR_INVALID, "Endpoint must use https");
    return true;
}

bool endpoint_check_other(const struct endpoint *endpoint, const struct endpoint *own,
                          struct err *err)
{
    return strcmp(endpoint->host, own->host) != 0 || endpoint_fail_class(err);
}

bool endpoint_resolve(const struct endpoint *endpoint, const struct address_guard *guard,
                      int64_t timeout_ms, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const struct transfer_config config = {.connect_timeout_ms = timeout_ms, .guard = guard};
    struct transfer *transfer CLEANUP(transfer_close) = NULL;
    transfer_open(&config, &transfer);
    return transfer_look_up(transfer, arena_format(&arena, "https://%s/", endpoint->authority),
                            err);
}
