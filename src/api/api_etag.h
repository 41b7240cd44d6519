// SPDX-License-Identifier: Apache-2.0
// Entity tags of things that clients edit: strong, quotes included, for rows with API_ETAGGED.
#pragma once

#include "api/api_internal.h"

// Says what state of the thing the staged reply shows. A GET whose If-None-Match has the tag
// becomes a 304.
void api_stage_etag(struct api_call *call, const char *etag);

// Before a change: 412 with the message when If-Match is there and has not the tag.
NODISCARD bool api_check_if_match(struct api_call *call, const char *etag, const char *message,
                                  struct err *err);
