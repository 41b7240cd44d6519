// SPDX-License-Identifier: Apache-2.0
// One line of JSON for each request that ended: at level info when api.access_log is on, else at
// debug; failures of the server always. Tokens, secrets and signatures are left out wherever they
// stand, values are cut at 256 bytes, and no byte of a client can end a line or steer a terminal.
#pragma once

#include "api/api_internal.h"

void api_log_request(const struct api_call *call, int status);

// Appends the text as JSON, cut and without secrets. For tests as well.
void api_log_append(struct buf *line, struct slice text);

// Whether the value of a parameter of this name is a secret.
bool api_log_is_secret(struct slice name);
