// SPDX-License-Identifier: Apache-2.0
// What token services give out for a while, kept until five minutes before its end. When a new one
// cannot be had for a reason that may pass, the old one is used on, as long as it is good. One
// thread per cache, which wipes what it kept.
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"

#define TICKET_EARLY_MS  INT64_C(300000) // before its end, a new one is asked for
#define TICKET_KEY_BYTES ((size_t)32)
#define TICKET_TEXTS     ((size_t)3)
#define TICKET_COUNT_MAX ((size_t)256) // then the one that was used longest ago is forgotten

struct ticket {
    struct secret texts[TICKET_TEXTS]; // what they mean is the caller's affair
    int64_t expires_at_ms;
};

struct ticket_source {
    // Gets a new one; its texts live in the arena.
    bool (*fetch)(void *context, struct arena *arena, struct ticket *ret_ticket, struct err *err);
    void *context;
};

struct ticket_cache;

struct ticket_cache *ticket_cache_new(const struct clock *clock); // borrowed
void ticket_cache_free(struct ticket_cache **cache);

// The ticket of that key (a hash of what it is for), copied into the arena; is_refresh: a new one
// in any case, as the old one was refused. Errors: those of fetch.
NODISCARD bool ticket_cache_get(struct ticket_cache *cache, const uint8_t key[TICKET_KEY_BYTES],
                                bool is_refresh, const struct ticket_source *source,
                                struct arena *arena, struct ticket *ret_ticket, struct err *err);
