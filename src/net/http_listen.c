// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/number.h"
#include "net/http_server.h"

#define HTTP_BACKLOG     4096
#define HTTP_PORT_MAX    65535
#define HTTP_ADDRESS_MAX ((size_t)300)

struct http_address {
    char host[HTTP_ADDRESS_MAX]; // empty: all interfaces
    char port[NUMBER_CHARS_MAX];
};

// "host:port", "[v6]:port", ":port"
static bool http_address_parse(const char *text, struct http_address *ret_address, struct err *err)
{
    const char *colon = strrchr(text, ':');
    int64_t port = 0;
    if (colon == NULL || !number_parse_int64(slice_text(colon + 1), &port) || port < 0 ||
        port > HTTP_PORT_MAX)
        return err_set(err, ERR_INVALID, "listen address \"%s\" is not HOST:PORT", text);
    struct slice host = slice_of(text, (size_t)(colon - text));
    const char *chars = slice_chars(host);
    const bool has_brackets = host.size_bytes >= 2 && chars[0] == '[';
    if (has_brackets && chars[host.size_bytes - 1] == ']')
        host = slice_part(host, 1, host.size_bytes - 2);
    else if (has_brackets || (host.size_bytes > 0 && memchr(chars, ':', host.size_bytes) != NULL))
        return err_set(err, ERR_INVALID, "listen address \"%s\" is not HOST:PORT", text);
    if (host.size_bytes >= HTTP_ADDRESS_MAX)
        return err_set(err, ERR_INVALID, "listen address is too long");
    memcpy(ret_address->host, host.data, host.size_bytes);
    ret_address->host[host.size_bytes] = '\0';
    memcpy(ret_address->port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static bool http_listen_one(const struct addrinfo *info, const char *text, int *ret_fd,
                            struct err *err)
{
    const int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                          info->ai_protocol);
    if (fd < 0)
        return err_set_errno(err, "socket for %s", text);
    const int yes = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, HTTP_BACKLOG) == 0) {
        *ret_fd = fd;
        return true;
    }
    (void)err_set_errno(err, "cannot listen on %s", text); // said by the return value
    (void)close(fd);                                       // nothing was written
    return false;
}

static bool http_bound_port(int fd, int *ret_port, struct err *err)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0)
        return err_set_errno(err, "getsockname");
    if (bound.ss_family == AF_INET6)
        *ret_port = ntohs(((const struct sockaddr_in6 *)&bound)->sin6_port);
    else
        *ret_port = ntohs(((const struct sockaddr_in *)&bound)->sin_port);
    return true;
}

bool http_listen(const char *address, int *ret_fd, int *ret_port, struct err *err)
{
    struct http_address parsed;
    TRY(http_address_parse(address, &parsed, err));
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    const int failed = getaddrinfo(parsed.host[0] == '\0' ? NULL : parsed.host, parsed.port, &hints,
                                   &found);
    if (failed != 0)
        return err_set(err, ERR_INVALID, "listen address \"%s\": %s", address,
                       gai_strerror(failed));
    int fd = -1;
    bool is_listening = false;
    for (const struct addrinfo *info = found; info != NULL && !is_listening; info = info->ai_next)
        is_listening = http_listen_one(info, address, &fd, err);
    freeaddrinfo(found);
    if (!is_listening)
        return false;
    int port = 0;
    if (!http_bound_port(fd, &port, err)) {
        (void)close(fd); // nothing was written
        return false;
    }
    *ret_fd = fd;
    *ret_port = port;
    return true;
}
