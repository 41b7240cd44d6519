// SPDX-License-Identifier: Apache-2.0
#include "cloud/ticket.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"

// A ticket that is shorter than TICKET_EARLY_MS is asked for once in this time, as is a new one
// that could not be had. (Metadata services may go on giving out one that has ended, for which
// stores make an exception when the service that would give new ones is down.)
#define TICKET_PAUSE_MS INT64_C(60000)

struct ticket_place {
    uint8_t key[TICKET_KEY_BYTES];
    struct ticket ticket;
    int64_t refresh_at_ms;
    uint64_t used_at; // by the cache's count of uses; 0: free
};

struct ticket_cache {
    const struct clock *clock;
    uint64_t use_count;
    struct ticket_place places[TICKET_COUNT_MAX];
};

struct ticket_cache *ticket_cache_new(const struct clock *clock)
{
    struct ticket_cache *cache = mem_alloc(sizeof *cache);
    cache->clock = clock;
    return cache;
}

static void ticket_forget(struct ticket_place *place)
{
    for (size_t i = 0; i < TICKET_TEXTS; i++)
        secret_clear(&place->ticket.texts[i]);
    *place = (struct ticket_place){0};
}

void ticket_cache_free(struct ticket_cache **address)
{
    struct ticket_cache *cache = *address;
    if (cache == NULL)
        return;
    for (size_t i = 0; i < TICKET_COUNT_MAX; i++)
        ticket_forget(&cache->places[i]);
    mem_free(cache);
    *address = NULL;
}

static struct ticket_place *ticket_find(struct ticket_cache *cache, const uint8_t *key)
{
    for (size_t i = 0; i < TICKET_COUNT_MAX; i++) {
        struct ticket_place *place = &cache->places[i];
        if (place->used_at != 0 && memcmp(place->key, key, TICKET_KEY_BYTES) == 0)
            return place;
    }
    return NULL;
}

static struct ticket_place *ticket_make_room(struct ticket_cache *cache)
{
    struct ticket_place *oldest = &cache->places[0];
    for (size_t i = 1; i < TICKET_COUNT_MAX; i++) {
        if (cache->places[i].used_at < oldest->used_at)
            oldest = &cache->places[i];
    }
    ticket_forget(oldest);
    return oldest;
}

static void ticket_copy(struct ticket_cache *cache, struct ticket_place *place, struct arena *arena,
                        struct ticket *ret_ticket)
{
    place->used_at = ++cache->use_count;
    *ret_ticket = (struct ticket){.expires_at_ms = place->ticket.expires_at_ms};
    for (size_t i = 0; i < TICKET_TEXTS; i++)
        ret_ticket->texts[i] = secret_copy(arena, secret_reveal(&place->ticket.texts[i]));
}

static void ticket_keep(struct ticket_cache *cache, const uint8_t *key, const struct ticket *ticket)
{
    const int64_t now_ms = clock_wall_ms(cache->clock);
    struct ticket_place *place = ticket_find(cache, key);
    if (place == NULL)
        place = ticket_make_room(cache);
    else
        ticket_forget(place);
    memcpy(place->key, key, TICKET_KEY_BYTES);
    for (size_t i = 0; i < TICKET_TEXTS; i++)
        secret_init(&place->ticket.texts[i], secret_reveal(&ticket->texts[i]));
    place->ticket.expires_at_ms = ticket->expires_at_ms;
    place->refresh_at_ms = ticket->expires_at_ms - TICKET_EARLY_MS;
    if (place->refresh_at_ms < now_ms + TICKET_PAUSE_MS)
        place->refresh_at_ms = now_ms + TICKET_PAUSE_MS;
    place->used_at = ++cache->use_count;
}

bool ticket_cache_get(struct ticket_cache *cache, const uint8_t key[TICKET_KEY_BYTES],
                      bool is_refresh, const struct ticket_source *source, struct arena *arena,
                      struct ticket *ret_ticket, struct err *err)
{
    struct ticket_place *place = ticket_find(cache, key);
    if (place != NULL && !is_refresh && clock_wall_ms(cache->clock) < place->refresh_at_ms) {
        ticket_copy(cache, place, arena, ret_ticket);
        return true;
    }
    struct ticket fresh = {0};
    struct err failure = {0};
    if (source->fetch(source->context, arena, &fresh, &failure)) {
        ticket_keep(cache, key, &fresh);
        *ret_ticket = fresh;
        return true;
    }
    ASSERT(failure.kind != ERR_NONE);
    const int64_t now_ms = clock_wall_ms(cache->clock);
    place = ticket_find(cache, key); // fetch may have used the cache as well
    if (place != NULL && !is_refresh && err_kind_is_retryable(failure.kind) &&
        now_ms < place->ticket.expires_at_ms) {
        place->refresh_at_ms = now_ms + TICKET_PAUSE_MS;
        ticket_copy(cache, place, arena, ret_ticket);
        return true;
    }
    return err_set(err, failure.kind, "%s", failure.message);
}
