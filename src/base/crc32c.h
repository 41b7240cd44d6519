// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli, RFC 3720), hardware speed through ISA-L. Thread-safe.
#pragma once

#include <stdint.h>

#include "base/slice.h"

uint32_t crc32c(struct slice bytes);
