// SPDX-License-Identifier: Apache-2.0
// Handlers of what is asked for once: custom exports, daily exports, previews.
#pragma once

#include "api/api_internal.h"

bool api_preview(struct api_call *call, struct err *err);
bool api_logs_create(struct api_call *call, struct err *err);
bool api_logs_status(struct api_call *call, struct err *err);
bool api_data_ready(struct api_call *call, struct err *err);
bool api_daily_export(struct api_call *call, struct err *err);
bool api_logs_replay(struct api_call *call, const char *handle, struct err *err);
