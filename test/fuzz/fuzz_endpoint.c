// SPDX-License-Identifier: Apache-2.0
// Foreign endpoints: what is taken is the same when it is put together and read again, and is read
// by libcurl, which will connect, as it is read here. What is allowed is https and no address of
// ours in any spelling that the C library takes, which a second, simpler check finds out.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool fuzz_is_v6(const struct endpoint *endpoint)
{
    return strchr(endpoint->host, ':') != NULL;
}

static void fuzz_check_parts(const struct endpoint *endpoint)
{
    ASSERT(endpoint->port > 0);
    ASSERT(endpoint->host[0] != '\0');
    ASSERT(endpoint->path[0] == '\0' || endpoint->path[0] == '/');
    const char *const texts[] = {endpoint->host, endpoint->authority, endpoint->path};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        for (const char *at = texts[i]; *at != '\0'; at++) {
            ASSERT(*at > ' ');
            ASSERT(*at < 0x7f);
            ASSERT(strchr("@\\#", *at) == NULL || (i == 2 && *at == '@'));
        }
}

static void fuzz_check_again(const struct endpoint *endpoint, struct arena *arena)
{
    const char *text = arena_format(arena, "%s://%s%s", endpoint->is_https ? "https" : "http",
                                    endpoint->authority, endpoint->path);
    struct endpoint again;
    struct err err = {0};
    if (strlen(text) > ENDPOINT_CHARS_MAX)
        return;
    const bool is_same = endpoint_parse(slice_text(text), arena, &again, &err);
    ASSERT(is_same);
    ASSERT(again.is_https == endpoint->is_https);
    ASSERT(again.port == endpoint->port);
    ASSERT(strcmp(again.host, endpoint->host) == 0);
    ASSERT(strcmp(again.authority, endpoint->authority) == 0);
    ASSERT(strcmp(again.path, endpoint->path) == 0);
}

// The one that connects must not see another host or port.
static void fuzz_check_curl(const char *text, const struct endpoint *endpoint)
{
    CURLU *url = curl_url();
    char *host = NULL;
    char *port = NULL;
    char *user = NULL;
    ASSERT(url != NULL);
    const CURLUcode read = curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS);
    ASSERT(read == CURLUE_OK);
    (void)curl_url_get(url, CURLUPART_HOST, &host, 0);
    (void)curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    (void)curl_url_get(url, CURLUPART_USER, &user, 0);
    ASSERT(host != NULL);
    ASSERT(port != NULL);
    ASSERT(user == NULL);
    ASSERT(strtol(port, NULL, 10) == endpoint->port);
    if (fuzz_is_v6(endpoint)) {
        struct in6_addr ours;
        struct in6_addr theirs;
        ASSERT(host[0] == '[');
        host[strlen(host) - 1] = '\0';
        const bool are_addresses = inet_pton(AF_INET6, endpoint->host, &ours) == 1 &&
                                   inet_pton(AF_INET6, host + 1, &theirs) == 1;
        ASSERT(are_addresses);
        ASSERT(memcmp(&ours, &theirs, sizeof ours) == 0);
    } else {
        ASSERT(strcasecmp(host, endpoint->host) == 0);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
}

static void fuzz_check_v4(uint32_t address)
{
    static const struct {
        uint32_t network;
        int prefix_bits;
    } refused[] = {{0, 8},           {0x0a000000, 8},  {0x64400000, 10}, {0x7f000000, 8},
                   {0xa9fe0000, 16}, {0xac100000, 12}, {0xc0a80000, 16}, {0xe0000000, 3}};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        ASSERT((address ^ refused[i].network) >> (32 - refused[i].prefix_bits) != 0);
}

static void fuzz_check_v6(const uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    static const uint8_t nat[12] = {0x00, 0x64, 0xff, 0x9b};
    uint32_t inner = 0;
    if (memcmp(bytes, mapped, sizeof mapped) == 0 || memcmp(bytes, nat, sizeof nat) == 0)
        memcpy(&inner, bytes + 12, sizeof inner);
    else if (bytes[0] == 0x20 && bytes[1] == 0x02)
        memcpy(&inner, bytes + 2, sizeof inner);
    else {
        ASSERT(bytes[0] >> 5 == 1);
        return;
    }
    fuzz_check_v4(ntohl(inner));
}

static void fuzz_check_allowed(const struct endpoint *endpoint)
{
    struct in_addr v4;
    struct in6_addr v6;
    ASSERT(endpoint->is_https);
    if (inet_aton(endpoint->host, &v4) != 0) {
        char text[INET_ADDRSTRLEN];
        (void)inet_ntop(AF_INET, &v4, text, sizeof text);
        ASSERT(strcmp(text, endpoint->host) == 0);
        fuzz_check_v4(ntohl(v4.s_addr));
    } else if (fuzz_is_v6(endpoint)) {
        const int is_address = inet_pton(AF_INET6, endpoint->host, &v6);
        ASSERT(is_address == 1);
        fuzz_check_v6(v6.s6_addr);
    } else {
        const char *label = strrchr(endpoint->host, '.');
        ASSERT(label != NULL);
        ASSERT(strcmp(label, ".localhost") != 0);
        ASSERT(strcmp(label, ".local") != 0);
        ASSERT(strcmp(label, ".internal") != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct address_guard *guard CLEANUP(address_guard_free) = NULL;
    struct err err = {0};
    const bool is_made = address_guard_new(NULL, 0, &guard, &err);
    ASSERT(is_made);
    struct endpoint endpoint;
    if (!endpoint_parse(slice_of(data, size), &arena, &endpoint, &err)) {
        ASSERT(err.kind == ERR_INVALID);
        return 0;
    }
    fuzz_check_parts(&endpoint);
    fuzz_check_again(&endpoint, &arena);
    if (!endpoint_check(&endpoint, guard, &err)) {
        ASSERT(err.kind == ERR_INVALID || err.kind == ERR_DENIED);
        return 0;
    }
    fuzz_check_allowed(&endpoint);
    fuzz_check_curl(arena_copy_slice(&arena, slice_of(data, size)), &endpoint);
    return 0;
}
