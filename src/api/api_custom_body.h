// SPDX-License-Identifier: Apache-2.0
// The body of POST /v2/logs: read whole, so that one 400 names everything that is wrong with it.
#pragma once

#include "api/api_internal.h"
#include "model/export_dates.h"

struct api_custom_body {
    struct report report;
    struct export_dates dates;
    int64_t topic_id;
};

// 400 with call->faults.
NODISCARD bool api_custom_read(struct api_call *call, struct api_custom_body *ret_body,
                               struct err *err);
