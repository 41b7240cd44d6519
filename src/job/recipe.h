// SPDX-License-Identifier: Apache-2.0
// The recipe of a job: everything that decides its bytes, frozen at the first claim and used by
// every attempt. Same recipe, same bytes, same keys (INV-5). One writer, one reader: this file.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "compress/compress.h"
#include "encode/encoder.h"
#include "model/filter.h"
#include "model/report.h"
#include "model/schema.h"

struct recipe {
    int64_t seq_lo; // (lo, hi]
    int64_t seq_hi;
    int64_t schema_id;
    const struct column *columns;
    size_t column_count;
    const struct filter *filter; // NULL: all rows
    enum report_format format;
    enum report_compression compression;
    bool csv_formula_guard;
    int64_t part_bytes; // a file ends with the row that reaches it, by uncompressed encoded bytes
    int64_t part_rows;  // and with this many rows; 0: by bytes alone
    int64_t row_limit;  // of all files together; 0: none
    // Of a job of an organization: one task for each, in this order. NULL: the job is of one app.
    const char *const *app_ids;
    size_t app_count;
    const char *encoder; // id of everything that shapes bytes: encoder, compressor, engine
};

// What a claim of a job that has none yet is frozen to. Lives in arena. INVALID when a field that
// was asked for is not in the schema, or the filter that was kept cannot be read any more.
struct recipe_request {
    const struct report *report;
    const struct schema *schema;
    int64_t seq_lo;
    int64_t seq_hi;
    bool csv_formula_guard;
    int64_t part_bytes;
    const char *const *app_ids; // as in the recipe
    size_t app_count;
};
NODISCARD bool recipe_make(const struct recipe_request *request, struct arena *arena,
                           struct recipe *ret_recipe, struct err *err);

void recipe_store(const struct recipe *recipe, struct buf *destination);
// CORRUPT for what recipe_store did not write.
NODISCARD bool recipe_load(struct slice text, struct arena *arena, struct recipe *ret_recipe,
                           struct err *err);

// What this program and machine would write: compare with recipe->encoder.
const char *recipe_encoder_id(enum report_format format, enum report_compression compression,
                              struct arena *arena);

enum encoder_format recipe_encoder_format(enum report_format format);
// The codec inside a Parquet file; NONE for text.
enum encoder_codec recipe_codec(const struct recipe *recipe);
// The compressor around a text file; NONE for Parquet.
enum compress_method recipe_compress_method(const struct recipe *recipe);
