// SPDX-License-Identifier: Apache-2.0
// Numbers of the Parquet format that more than one file needs, by their names in its specification.
#pragma once

#define PARQUET_MAGIC       "PAR1"
#define PARQUET_MAGIC_BYTES 4

enum parquet_encoding {
    PARQUET_ENCODING_PLAIN = 0,
    PARQUET_ENCODING_RLE = 3,
    PARQUET_ENCODING_RLE_DICTIONARY = 8,
};
