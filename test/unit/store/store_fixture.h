// SPDX-License-Identifier: Apache-2.0
// Files to put and stores to put them into, for the tests of stores.
#pragma once

#include "s3_server.h"
#include "store/store_s3.h"

// A file in memory whose bytes depend on seed, with its spec; closed by test_file_close.
struct test_file {
    struct store_file_spec spec;
    struct buf bytes;
};
void test_file_open(struct test_file *file, const char *key, size_t size_bytes, int seed);
void test_file_close(struct test_file *file);

// Small sizes of parts, quick back-off, the server's credentials.
#define TEST_S3_SINGLE_BYTES 1000
#define TEST_S3_PART_BYTES   300
#define TEST_S3_ATTEMPTS     4
struct test_credentials {
    struct s3_credentials credentials;
    struct s3_credentials refreshed; // key_id NULL: the same
    int refresh_count;
};
struct store_s3_config test_s3_config(const struct s3_server *server, char ret_endpoint[64],
                                      struct test_credentials *credentials);
struct test_credentials test_s3_credentials(void);
