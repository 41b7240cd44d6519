// SPDX-License-Identifier: Apache-2.0
// Compressors are sinks: bytes in, compressed bytes to the next sink, which they own. The result is
// a pure function of the bytes that came in: not of how they were cut into writes, nor of threads.
// Upholds INV-5 (docs/invariants.md).
#pragma once

#include "base/sink.h"

enum compress_method {
    COMPRESS_NONE,   // passes through
    COMPRESS_GZIP,   // one member of 1 MiB blocks, ISA-L level 1, mtime 0
    COMPRESS_SNAPPY, // framing format
    COMPRESS_ZSTD,   // one frame, level 1, with content checksum
};

struct compress_options {
    enum compress_method method;
    // Threads that help with compression besides the writing one (gzip): 0 to 15. Same bytes
    // anyway.
    unsigned helper_count;
};

struct sink *compress_sink_new(const struct compress_options *options, struct sink *next);

// Library and level, part of a recipe: "isal-2.30.0-l1-1m", "snappy-framed", "zstd-1.5.4-l1".
const char *compress_id(enum compress_method method);
