// SPDX-License-Identifier: Apache-2.0
// What commands that call a server share: URLs, bodies and refusals.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/json_tree.h"

// --url without a slash at its end. INVALID when it is not of http or https.
NODISCARD bool cli_call_append_base(struct buf *url, const char *base, struct err *err);

// For struct http_client_call: the context is a struct slice, the rest of the body.
bool cli_call_read_slice(void *context, void *ret_data, size_t capacity_bytes, size_t *ret_bytes,
                         struct err *err);

// Appends UTF-8 text with each control character as a question mark: what a server says is shown on
// somebody's terminal, which must not take it for commands.
void cli_call_append_visible(struct buf *destination, struct slice text);

// What the server says of a call that it did not do: always false. UNAVAILABLE when the call may be
// made again.
bool cli_call_fail(int status, const struct json_node *reply, struct err *err);
