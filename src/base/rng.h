// SPDX-License-Identifier: Apache-2.0
// Randomness as a dependency. The system's generator is for secrets and ids; the seeded one is for
// tests and jitter, and not secret. Thread-safe only for rng_system().
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rng {
    void (*fill)(struct rng *rng, void *ret_bytes, size_t size_bytes);
};

struct rng *rng_system(void);

struct rng_seeded {
    struct rng base;
    uint64_t state;
};
void rng_seeded_init(struct rng_seeded *rng, uint64_t seed);

void rng_fill(struct rng *rng, void *ret_bytes, size_t size_bytes);

// Evenly from 0 to bound - 1; bound > 0.
uint64_t rng_below(struct rng *rng, uint64_t bound);

// size_chars letters and digits [0-9A-Za-z], then NUL.
void rng_text(struct rng *rng, char *ret_text, size_t size_chars);
