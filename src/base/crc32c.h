// SPDX-License-Identifier: Apache-2.0
// Checksums at hardware speed, through ISA-L. Thread-safe.
#pragma once

#include <stdint.h>

#include "base/slice.h"

// CRC32C (Castagnoli, RFC 3720): frames of the ingest log, snappy framing.
uint32_t crc32c(struct slice bytes);

// CRC-32 of gzip (RFC 1952).
uint32_t crc32_gzip(struct slice bytes);
