// SPDX-License-Identifier: Apache-2.0
#include "net/address_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/slice.h"

#define ADDRESS_V4_BYTES 4
#define ADDRESS_V6_BYTES 16

struct address_network {
    int family;
    uint8_t bytes[ADDRESS_V6_BYTES]; // an IPv4 address has the first four
    unsigned prefix_bits;
};

struct address_guard {
    struct address_network *allowed;
    size_t allowed_count;
};

// What IANA's registry of special-purpose IPv4 addresses does not call globally reachable.
static const struct address_network address_refused_v4[] = {
    {AF_INET, {0}, 8},             // "this" network
    {AF_INET, {10}, 8},            // private
    {AF_INET, {100, 64}, 10},      // shared with customers of a carrier
    {AF_INET, {127}, 8},           // this host
    {AF_INET, {169, 254}, 16},     // link-local
    {AF_INET, {172, 16}, 12},      // private
    {AF_INET, {192, 0, 0}, 24},    // protocol assignments
    {AF_INET, {192, 0, 2}, 24},    // documentation
    {AF_INET, {192, 88, 99}, 24},  // former relays of 6to4
    {AF_INET, {192, 168}, 16},     // private
    {AF_INET, {198, 18}, 15},      // benchmarks
    {AF_INET, {198, 51, 100}, 24}, // documentation
    {AF_INET, {203, 0, 113}, 24},  // documentation
    {AF_INET, {224}, 4},           // multicast
    {AF_INET, {240}, 4},           // reserved, broadcast
};

static const struct address_network address_global_v6 = {AF_INET6, {0x20}, 3};

// Within the global block; all of the others is refused anyway.
static const struct address_network address_refused_v6[] = {
    {AF_INET6, {0x20, 0x01}, 23},             // protocol assignments, Teredo among them
    {AF_INET6, {0x20, 0x01, 0x0d, 0xb8}, 32}, // documentation
    {AF_INET6, {0x3f, 0xff}, 20},             // documentation
};

// Where clouds answer with credentials of the machine; not all of it is private by its form.
static const struct address_network address_metadata[] = {
    {AF_INET, {169, 254, 169, 254}, 32},
    {AF_INET, {169, 254, 170, 2}, 32},
    {AF_INET, {169, 254, 170, 23}, 32},
    {AF_INET, {100, 100, 100, 200}, 32},
    {AF_INET, {168, 63, 129, 16}, 32},
    {AF_INET6, {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54}, 128},
    {AF_INET6, {0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}, 128},
    {AF_INET6, {0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54}, 128},
};

// IPv6 prefixes with an IPv4 address behind them.
static const struct address_network address_embedding[] = {
    {AF_INET6, {[10] = 0xff, 0xff}, 96},      // mapped
    {AF_INET6, {0x00, 0x64, 0xff, 0x9b}, 96}, // NAT64
    {AF_INET6, {0x20, 0x02}, 16},             // 6to4
};

static unsigned address_bits(int family)
{
    return family == AF_INET ? ADDRESS_V4_BYTES * 8 : ADDRESS_V6_BYTES * 8;
}

static bool address_is_in(const struct address_network *address,
                          const struct address_network *network)
{
    if (address->family != network->family)
        return false;
    const size_t whole_bytes = network->prefix_bits / 8;
    if (memcmp(address->bytes, network->bytes, whole_bytes) != 0)
        return false;
    const unsigned rest_bits = network->prefix_bits % 8;
    if (rest_bits == 0)
        return true;
    const unsigned difference = address->bytes[whole_bytes] ^ network->bytes[whole_bytes];
    return difference >> (8 - rest_bits) == 0;
}

static bool address_is_in_any(const struct address_network *address,
                              const struct address_network *networks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (address_is_in(address, &networks[i]))
            return true;
    return false;
}

// An IPv6 address that stands for an IPv4 one becomes that.
static void address_unwrap(struct address_network *address)
{
    for (size_t i = 0; i < ARRAY_COUNT(address_embedding); i++) {
        if (!address_is_in(address, &address_embedding[i]))
            continue;
        const size_t offset = address_embedding[i].prefix_bits / 8;
        struct address_network inner = {.family = AF_INET, .prefix_bits = address_bits(AF_INET)};
        memcpy(inner.bytes, address->bytes + offset, ADDRESS_V4_BYTES);
        *address = inner;
        return;
    }
}

static bool address_is_global(const struct address_network *address)
{
    if (address->family == AF_INET)
        return !address_is_in_any(address, address_refused_v4, ARRAY_COUNT(address_refused_v4));
    return address_is_in(address, &address_global_v6) &&
           !address_is_in_any(address, address_refused_v6, ARRAY_COUNT(address_refused_v6));
}

static bool address_guard_names(const struct address_guard *guard,
                                const struct address_network *address, bool is_alone)
{
    for (size_t i = 0; i < guard->allowed_count; i++) {
        const struct address_network *network = &guard->allowed[i];
        const bool is_single = network->prefix_bits == address_bits(network->family);
        if (address_is_in(address, network) && (is_single || !is_alone))
            return true;
    }
    return false;
}

bool address_guard_allows(const struct address_guard *guard, const struct sockaddr *address)
{
    struct address_network found = {.family = address->sa_family};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(found.bytes, &v4.sin_addr, ADDRESS_V4_BYTES);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(found.bytes, &v6.sin6_addr, ADDRESS_V6_BYTES);
        address_unwrap(&found);
    } else {
        return false;
    }
    if (address_is_in_any(&found, address_metadata, ARRAY_COUNT(address_metadata)))
        return address_guard_names(guard, &found, true);
    return address_is_global(&found) || address_guard_names(guard, &found, false);
}

static bool address_has_bits_behind(const struct address_network *network)
{
    for (unsigned i = network->prefix_bits; i < address_bits(network->family); i++)
        if ((network->bytes[i / 8] >> (7 - i % 8) & 1) != 0)
            return true;
    return false;
}

static bool address_parse_network(const char *text, struct address_network *ret_network,
                                  struct err *err)
{
    const char *slash = strchr(text, '/');
    const size_t host_chars = slash == NULL ? strlen(text) : (size_t)(slash - text);
    char host[INET6_ADDRSTRLEN];
    if (host_chars >= sizeof host)
        return err_set(err, ERR_INVALID, "\"%s\" is not a network", text);
    memcpy(host, text, host_chars);
    host[host_chars] = '\0';
    struct address_network network = {.family = strchr(host, ':') == NULL ? AF_INET : AF_INET6};
    int64_t prefix_bits = address_bits(network.family);
    if (inet_pton(network.family, host, network.bytes) != 1)
        return err_set(err, ERR_INVALID, "\"%s\" is not a network", text);
    if (slash != NULL && (!number_parse_int64(slice_text(slash + 1), &prefix_bits) ||
                          prefix_bits < 0 || prefix_bits > address_bits(network.family)))
        return err_set(err, ERR_INVALID, "\"%s\" is not a network", text);
    network.prefix_bits = (unsigned)prefix_bits;
    if (address_has_bits_behind(&network))
        return err_set(err, ERR_INVALID, "network \"%s\" has bits behind its prefix", text);
    struct address_network inner = network;
    address_unwrap(&inner);
    if (inner.family != network.family)
        return err_set(err, ERR_INVALID, "network \"%s\" must be written as IPv4", text);
    *ret_network = network;
    return true;
}

bool address_guard_new(const char *const *allowed_networks, size_t count,
                       struct address_guard **ret_guard, struct err *err)
{
    struct address_guard *guard CLEANUP(address_guard_free) = mem_alloc(sizeof *guard);
    guard->allowed = mem_alloc_array(count, sizeof *guard->allowed);
    for (size_t i = 0; i < count; i++)
        TRY(address_parse_network(allowed_networks[i], &guard->allowed[i], err));
    guard->allowed_count = count;
    *ret_guard = guard;
    guard = NULL;
    return true;
}

void address_guard_free(struct address_guard **address)
{
    struct address_guard *guard = *address;
    if (guard == NULL)
        return;
    mem_free(guard->allowed);
    mem_free(guard);
    *address = NULL;
}
