// SPDX-License-Identifier: Apache-2.0
// GCRA: full_at is when the bucket is full again; a request moves it by period / count, and is
// refused when it would come to lie more than a period ahead.
//
//     now            full_at        now + period
//      |----- used ----|---- left ----|
#include "api/api_rate.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"

#define API_RATE_SETS       ((size_t)8192)
#define API_RATE_WAYS       ((size_t)8)
#define API_RATE_CLAIMS_MAX ((size_t)4)
#define API_RATE_US_PER_MS  INT64_C(1000)

struct api_bucket_state {
    uint64_t key;
    int64_t full_at_us;
};

struct api_rate {
    struct mutex mutex; // guards sets
    struct api_bucket_state sets[API_RATE_SETS][API_RATE_WAYS];
};

struct api_rate *api_rate_new(void)
{
    struct api_rate *rate = mem_alloc(sizeof *rate);
    mutex_init(&rate->mutex);
    return rate;
}

void api_rate_free(struct api_rate **rate)
{
    if (*rate == NULL)
        return;
    mutex_clear(&(*rate)->mutex);
    mem_free(*rate);
    *rate = NULL;
}

static uint64_t api_rate_key(const char *name)
{
    uint8_t digest[SHA256_BYTES];
    uint64_t key;
    sha256_of(slice_text(name), digest);
    memcpy(&key, digest, sizeof key);
    return key;
}

// The bucket, or one that may be taken for it. A bucket that is full is as good as none.
static struct api_bucket_state *api_rate_find(struct api_rate *rate, uint64_t key)
{
    struct api_bucket_state *set = rate->sets[key % API_RATE_SETS];
    struct api_bucket_state *fullest = &set[0];
    for (size_t i = 0; i < API_RATE_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].full_at_us < fullest->full_at_us)
            fullest = &set[i];
    }
    return fullest;
}

// full_at after one more request.
static int64_t api_rate_next_us(const struct api_bucket_state *state, uint64_t key,
                                const struct api_rate_claim *claim, int64_t now_us)
{
    const bool is_used = state->key == key && state->full_at_us > now_us;
    const int64_t interval_us = claim->period_ms * API_RATE_US_PER_MS / claim->count;
    return (is_used ? state->full_at_us : now_us) + interval_us;
}

static int64_t api_rate_wait_us(const struct api_rate_claim *claim, int64_t next_us, int64_t now_us)
{
    const int64_t ahead_us = next_us - now_us - claim->period_ms * API_RATE_US_PER_MS;
    return ahead_us > 0 ? ahead_us : 0;
}

int64_t api_rate_take(struct api_rate *rate, const struct api_rate_claim *claims, size_t count,
                      int64_t now_ms)
{
    ASSERT(count <= API_RATE_CLAIMS_MAX);
    uint64_t keys[API_RATE_CLAIMS_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        keys[i] = claims[i].count == 0 ? 0 : api_rate_key(claims[i].name);
    const int64_t now_us = now_ms * API_RATE_US_PER_MS;
    int64_t longest_us = 0;
    mutex_lock(&rate->mutex);
    for (size_t i = 0; i < count; i++) {
        if (claims[i].count == 0)
            continue;
        const int64_t next_us = api_rate_next_us(api_rate_find(rate, keys[i]), keys[i], &claims[i],
                                                 now_us);
        const int64_t wait_us = api_rate_wait_us(&claims[i], next_us, now_us);
        if (wait_us > longest_us)
            longest_us = wait_us;
    }
    for (size_t i = 0; i < count && longest_us == 0; i++) {
        if (claims[i].count == 0)
            continue;
        struct api_bucket_state *state = api_rate_find(rate, keys[i]);
        state->full_at_us = api_rate_next_us(state, keys[i], &claims[i], now_us);
        state->key = keys[i];
    }
    mutex_unlock(&rate->mutex);
    return (longest_us + API_RATE_US_PER_MS - 1) / API_RATE_US_PER_MS;
}
