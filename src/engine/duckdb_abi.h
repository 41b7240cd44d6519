// SPDX-License-Identifier: Apache-2.0
// The part of DuckDB's C ABI that duckdb.c uses: the library comes without a header. Checked
// against versions 1.4 and 1.5. Handles are opaque pointers; the one struct that matters is the
// result, which goes by value into duckdb_fetch_chunk, so its size is part of the ABI. Texts that
// functions return belong to the object they were asked of, unless said otherwise.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef void *duckdb_database;
typedef void *duckdb_connection;
typedef void *duckdb_config;
typedef void *duckdb_prepared_statement;
typedef void *duckdb_pending_result;
typedef void *duckdb_data_chunk;
typedef void *duckdb_vector;

typedef struct {
    uint64_t reserved[5];
    void *internal;
} duckdb_result;
_Static_assert(sizeof(duckdb_result) == 48, "passed by value to the library");

enum duckdb_type { // 4 bytes, as an int is
    DUCKDB_TYPE_BOOLEAN = 1,
    DUCKDB_TYPE_BIGINT = 5,
    DUCKDB_TYPE_DOUBLE = 11,
    DUCKDB_TYPE_VARCHAR = 17,
};

// Functions that return a state: 0 is success.
#define DUCKDB_SUCCESS 0

const char *duckdb_library_version(void);

int duckdb_create_config(duckdb_config *ret_config);
// Takes unknown names too; duckdb_open_ext refuses them.
int duckdb_set_config(duckdb_config config, const char *name, const char *value);
void duckdb_destroy_config(duckdb_config *config);

// path NULL: in memory. *ret_error is the caller's (duckdb_free).
int duckdb_open_ext(const char *path, duckdb_database *ret_database, duckdb_config config,
                    char **ret_error);
void duckdb_close(duckdb_database *database);
void duckdb_free(void *data);
int duckdb_connect(duckdb_database database, duckdb_connection *ret_connection);
void duckdb_disconnect(duckdb_connection *connection);

// All objects are to be destroyed, also when the call that made them failed.
int duckdb_prepare(duckdb_connection connection, const char *sql,
                   duckdb_prepared_statement *ret_statement);
const char *duckdb_prepare_error(duckdb_prepared_statement statement);
void duckdb_destroy_prepare(duckdb_prepared_statement *statement);
int duckdb_pending_prepared_streaming(duckdb_prepared_statement statement,
                                      duckdb_pending_result *ret_pending);
const char *duckdb_pending_error(duckdb_pending_result pending);
void duckdb_destroy_pending(duckdb_pending_result *pending);
int duckdb_execute_pending(duckdb_pending_result pending, duckdb_result *ret_result);

const char *duckdb_result_error(duckdb_result *result); // NULL: none
void duckdb_destroy_result(duckdb_result *result);
uint64_t duckdb_column_count(duckdb_result *result);
enum duckdb_type duckdb_column_type(duckdb_result *result, uint64_t column);

// NULL both at the end and on an error: duckdb_result_error tells. May be empty before the end.
duckdb_data_chunk duckdb_fetch_chunk(duckdb_result result);
void duckdb_destroy_data_chunk(duckdb_data_chunk *chunk);
uint64_t duckdb_data_chunk_get_size(duckdb_data_chunk chunk);
duckdb_vector duckdb_data_chunk_get_vector(duckdb_data_chunk chunk, uint64_t column);
void *duckdb_vector_get_data(duckdb_vector vector);
uint64_t *duckdb_vector_get_validity(duckdb_vector vector); // NULL: all valid
