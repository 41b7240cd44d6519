// SPDX-License-Identifier: Apache-2.0
#include "worker/bucket_probe.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "catalog/deliveries.h"
#include "catalog/subscriptions.h"
#include "job/job_deliver.h"

#define BUCKET_PROBE_NAME_CHARS ((size_t)16)

static bool bucket_probe_write(const struct bucket_probe *probe,
                               const struct subscription *subscription, struct arena *arena,
                               struct err *err)
{
    const struct destination_request request = {
        .catalog = probe->catalog,
        .organization_id = subscription->organization_id,
        .subscription_id = subscription->id,
        .report = &subscription->report,
    };
    struct destination_bucket bucket CLEANUP(destination_bucket_close) = {0};
    TRY(destinations_open_bucket(probe->destinations, &request, arena, &bucket, err));
    char name[BUCKET_PROBE_NAME_CHARS + 1];
    rng_text(rng_system(), name, BUCKET_PROBE_NAME_CHARS);
    return job_deliver_probe(&bucket, name, arena, err);
}

static bool bucket_probe_settle(const struct bucket_probe *probe, const char *id, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct subscription subscription = {0};
    TRY(subscription_get_any(probe->catalog, id, 0, &arena, &subscription, err));
    if (subscription.report.destination != REPORT_CLOUD) // an edit was quicker
        return true;
    struct err failure = {0};
    if (bucket_probe_write(probe, &subscription, &arena, &failure))
        return subscription_settle_probe(probe->catalog, id, probe->now_ms, NULL, err);
    log_event(LOG_WARN, "bucket_probe_failed", "subscription", id, "organization",
              subscription.organization_id, "reason", failure.message, NULL);
    if (err_kind_is_retryable(failure.kind))
        return true;
    return subscription_settle_probe(probe->catalog, id, probe->now_ms, failure.message, err);
}

bool bucket_probe_one(const struct bucket_probe *probe, bool *ret_has_probed, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *id = NULL;
    TRY(subscription_claim_probe(probe->catalog, probe->now_ms, probe->interval_ms, &arena, &id,
                                 err));
    *ret_has_probed = id != NULL;
    return id == NULL || bucket_probe_settle(probe, id, err);
}
