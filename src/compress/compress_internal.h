// SPDX-License-Identifier: Apache-2.0
// The constructors of the compressors; compress.c alone calls them.
#pragma once

#include "base/sink_ops.h"
#include "compress/compress.h"

struct sink *compress_gzip_new(unsigned helper_count, struct sink *next);
struct sink *compress_snappy_new(struct sink *next);
struct sink *compress_zstd_new(struct sink *next);
