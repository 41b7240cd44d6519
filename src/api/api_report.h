// SPDX-License-Identifier: Apache-2.0
// Whether a caller may have a report: what subscribing, editing, previews and custom exports have
// in common.
#pragma once

#include "api/api_internal.h"

// Destination, topic, fields, filter and permissions; the report is as report_parse or report_edit
// left it. Sets its filter_typed, and call->faults when fields are unknown. A built-in topic
// that nobody of the organization used so far is theirs from here on, so it writes the catalog.
NODISCARD bool api_accept_report(struct api_call *call, struct report *report,
                                 int64_t *ret_topic_id, struct err *err);
