// SPDX-License-Identifier: Apache-2.0
// Compression of one page of a Parquet file. One thread.
#pragma once

#include "base/slice.h"
#include "encode/encoder.h"

struct page_codec;

struct page_codec *page_codec_new(enum encoder_codec codec);
void page_codec_free(struct page_codec **codec);

// The compressed page; valid until the next call. Without compression it is the page itself.
struct slice page_codec_compress(struct page_codec *codec, struct slice page);
