// SPDX-License-Identifier: Apache-2.0
// Idempotency-Key: a request that creates may be sent again, and makes its thing once. The catalog
// keeps the key with the id of the thing for 24 hours, in the transaction that makes it; a repeated
// request is answered with the thing as it is then. Ingest keeps its keys in the log (ingest_log.h)
// and only reads the header here.
#pragma once

#include "api/api_internal.h"

// The header's value, empty when there is none. "Duplicate header: idempotency-key", "Invalid
// Idempotency-Key".
NODISCARD bool api_idempotency_key(struct api_call *call, struct slice *ret_key, struct err *err);

// Runs the handler of a row that has `replay`, at most once for a key. Writes the catalog, so on a
// writer thread, with call->actor entered. 409 for a key that came with another request.
NODISCARD bool api_create_once(struct api_call *call, struct err *err);
