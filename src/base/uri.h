// SPDX-License-Identifier: Apache-2.0
// Writing parts of URLs. Pure.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/slice.h"

// Letters, digits and "-._~" (RFC 3986).
bool uri_is_unreserved(char character);

// Percent-encodes all but unreserved characters and those in `kept`, with upper-case digits.
void uri_append_encoded(struct buf *destination, struct slice text, const char *kept);
