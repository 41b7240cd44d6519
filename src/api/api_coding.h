// SPDX-License-Identifier: Apache-2.0
// gzip for replies that are long enough and whose client takes it.
#pragma once

#include "base/buf.h"
#include "base/slice.h"

#define API_CODING_BYTES_MIN ((size_t)1024) // shorter bodies go as they are

// Whether a list of Accept-Encoding prefers gzip to sending the body as it is. An absent or empty
// list does not.
bool api_coding_wants_gzip(struct slice accept_encoding);

// The text as one gzip member. Needs some 2 MiB while it works.
void api_coding_gzip(struct slice text, struct buf *destination);
