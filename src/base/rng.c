// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"

static void rng_system_fill(struct rng *rng, void *ret_bytes, size_t size_bytes)
{
    (void)rng;
    char *bytes = ret_bytes;
    while (size_bytes > 0) {
        const ssize_t got = getrandom(bytes, size_bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        ASSERT(got > 0);
        bytes += got;
        size_bytes -= (size_t)got;
    }
}

struct rng *rng_system(void)
{
    static struct rng system_rng = {rng_system_fill};
    return &system_rng;
}

// SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t rng_seeded_next(struct rng_seeded *rng)
{
    rng->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = rng->state;
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static void rng_seeded_fill(struct rng *rng, void *ret_bytes, size_t size_bytes)
{
    struct rng_seeded *seeded = (struct rng_seeded *)rng;
    char *bytes = ret_bytes;
    while (size_bytes > 0) {
        const uint64_t value = rng_seeded_next(seeded);
        const size_t part = size_bytes < sizeof value ? size_bytes : sizeof value;
        memcpy(bytes, &value, part);
        bytes += part;
        size_bytes -= part;
    }
}

void rng_seeded_init(struct rng_seeded *rng, uint64_t seed)
{
    *rng = (struct rng_seeded){.base = {rng_seeded_fill}, .state = seed};
}

void rng_fill(struct rng *rng, void *ret_bytes, size_t size_bytes)
{
    rng->fill(rng, ret_bytes, size_bytes);
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    ASSERT(bound > 0);
    const uint64_t unfair = UINT64_MAX - UINT64_MAX % bound; // values from here would be biased
    uint64_t value;
    do {
        rng_fill(rng, &value, sizeof value);
    } while (value >= unfair);
    return value % bound;
}

void rng_text(struct rng *rng, char *ret_text, size_t size_chars)
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const unsigned letter_count = sizeof alphabet - 1;
    const unsigned unfair = 256 - 256 % letter_count; // bytes from here would favour some letters
    uint8_t bytes[64];                                // one question to the system for many letters
    size_t used = sizeof bytes;
    for (size_t i = 0; i < size_chars;) {
        if (used == sizeof bytes) {
            rng_fill(rng, bytes, sizeof bytes);
            used = 0;
        }
        const unsigned byte = bytes[used++];
        if (byte < unfair)
            ret_text[i++] = alphabet[byte % letter_count];
    }
    ret_text[size_chars] = '\0';
}
