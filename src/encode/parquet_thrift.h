// SPDX-License-Identifier: Apache-2.0
// The compact protocol of Apache Thrift, as far as the metadata of Parquet needs it. Writes into a
// buffer whose overflow flag is the error path. One thread.
//
// A struct is a run of fields, each a byte of (id - previous id) * 16 + type, closed by a zero
// byte; integers are zigzag varints; a list is a byte of count * 16 + type, then the elements.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum parquet_thrift_type {
    PARQUET_THRIFT_TRUE = 1,
    PARQUET_THRIFT_FALSE = 2,
    PARQUET_THRIFT_I32 = 5,
    PARQUET_THRIFT_I64 = 6,
    PARQUET_THRIFT_BINARY = 8,
    PARQUET_THRIFT_LIST = 9,
    PARQUET_THRIFT_STRUCT = 12,
};

#define PARQUET_THRIFT_DEPTH_MAX 8

struct parquet_thrift {
    struct buf *destination;
    unsigned depth;
    unsigned last_ids[PARQUET_THRIFT_DEPTH_MAX]; // of the structs that are open
};

// Structs are opened before fields: the outermost one, and elements of lists, by open_element.
void parquet_thrift_init(struct parquet_thrift *thrift, struct buf *destination);
void parquet_thrift_open_element(struct parquet_thrift *thrift);
void parquet_thrift_open_field(struct parquet_thrift *thrift, unsigned id);
void parquet_thrift_close(struct parquet_thrift *thrift);

void parquet_thrift_bool(struct parquet_thrift *thrift, unsigned id, bool value);
void parquet_thrift_i32(struct parquet_thrift *thrift, unsigned id, int32_t value);
void parquet_thrift_i64(struct parquet_thrift *thrift, unsigned id, int64_t value);
void parquet_thrift_binary(struct parquet_thrift *thrift, unsigned id, struct slice value);

// The head of a list; the caller writes exactly count elements after it.
void parquet_thrift_list(struct parquet_thrift *thrift, unsigned id,
                         enum parquet_thrift_type element_type, size_t count);
void parquet_thrift_i32_element(struct parquet_thrift *thrift, int32_t value);
void parquet_thrift_binary_element(struct parquet_thrift *thrift, struct slice value);
