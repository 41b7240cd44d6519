// SPDX-License-Identifier: Apache-2.0
#include "api/api_budget.h"

#include "api/api_rate.h"
#include "api/api_reply.h"
#include "base/check.h"

#define API_SECOND_MS INT64_C(1000)
#define API_MINUTE_MS (60 * API_SECOND_MS)
#define API_HOUR_MS   (60 * API_MINUTE_MS)

bool api_budget_is_limited(const struct api_settings *settings)
{
    const struct api_rate_settings *rates = &settings->rates;
    return (rates->organization_per_second | rates->token_per_second | rates->create_per_minute |
            rates->create_per_hour | rates->status_per_minute | rates->status_per_hour) != 0;
}

static size_t api_budget_claims(const struct api_call *call, const char *owner,
                                struct api_rate_claim ret_claims[4])
{
    const struct api_rate_settings *rates = &call->api->config.settings.rates;
    size_t count = 0;
    ret_claims[count++] = (struct api_rate_claim){arena_format(call->arena, "all %s", owner),
                                                  rates->organization_per_second, API_SECOND_MS};
    ret_claims[count++] =
        (struct api_rate_claim){arena_format(call->arena, "token %s", call->identity.key_id),
                                rates->token_per_second, API_SECOND_MS};
    switch (call->match.route->budget) {
    case API_BUDGET_GENERAL:
    case API_BUDGET_NONE:
        return count;
    case API_BUDGET_EXPORT_CREATE:
        ret_claims[count++] =
            (struct api_rate_claim){arena_format(call->arena, "create/min %s", owner),
                                    rates->create_per_minute, API_MINUTE_MS};
        ret_claims[count++] = (struct api_rate_claim){
            arena_format(call->arena, "create/h %s", owner), rates->create_per_hour, API_HOUR_MS};
        return count;
    case API_BUDGET_EXPORT_STATUS:
        break;
    }
    ret_claims[count++] = (struct api_rate_claim){arena_format(call->arena, "status/min %s", owner),
                                                  rates->status_per_minute, API_MINUTE_MS};
    ret_claims[count++] = (struct api_rate_claim){arena_format(call->arena, "status/h %s", owner),
                                                  rates->status_per_hour, API_HOUR_MS};
    return count;
}

bool api_take_budget(struct api_call *call, struct err *err)
{
    struct api_rate *rate = call->api->rate;
    const char *organization_id = call->identity.organization_id;
    if (rate == NULL || call->has_budget || call->match.route->budget == API_BUDGET_NONE ||
        organization_id == NULL)
        return true;
    struct api_rate_claim claims[4];
    const size_t count = api_budget_claims(call, organization_id, claims);
    const int64_t wait_ms = api_rate_take(rate, claims, count,
                                          clock_boot_ms(call->api->config.clock));
    if (wait_ms == 0) {
        call->has_budget = true;
        return true;
    }
    call->retry_after_s = (wait_ms + API_SECOND_MS - 1) / API_SECOND_MS;
    return api_refuse(call, err, 429, "Rate limit reached.");
}
