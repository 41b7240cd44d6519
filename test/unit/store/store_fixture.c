// SPDX-License-Identifier: Apache-2.0
#include "store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

void test_file_open(struct test_file *file, const char *key, size_t size_bytes, int seed)
{
    struct err err = {0};
    *file = (struct test_file){.spec = {.key = key,
                                        .fd = memfd_create("file", MFD_CLOEXEC),
                                        .size_bytes = size_bytes,
                                        .content_type = "text/csv"}};
    assert_true(file->spec.fd >= 0);
    buf_init(&file->bytes, size_bytes + 1);
    for (size_t i = 0; i < size_bytes; i++)
        buf_append_char(&file->bytes, (char)((i * 31 + (size_t)seed * 7 + i / 251) & 0xff));
    sha256_of(buf_slice(&file->bytes), file->spec.sha256);
    assert_true(file_write_all(file->spec.fd, buf_slice(&file->bytes), "file", &err));
}

void test_file_close(struct test_file *file)
{
    assert_int_equal(close(file->spec.fd), 0);
    buf_clear(&file->bytes);
}

static bool test_get_credentials(void *context, bool is_refresh, struct arena *arena,
                                 struct s3_credentials *ret_credentials, struct err *err)
{
    (void)arena;
    (void)err;
    struct test_credentials *test = context;
    if (is_refresh) {
        test->refresh_count++;
        if (test->refreshed.key_id != NULL)
            test->credentials = test->refreshed;
    }
    *ret_credentials = test->credentials;
    return true;
}

struct test_credentials test_s3_credentials(void)
{
    // Literals cannot be wiped, and are not.
    static char secret_key[] = S3_SERVER_SECRET;
    return (struct test_credentials){
        .credentials = {
            .key_id = S3_SERVER_KEY,
            .secret_key = {.hidden = secret_key, .hidden_bytes = sizeof secret_key - 1}}};
}

struct store_s3_config test_s3_config(const struct s3_server *server, char ret_endpoint[64],
                                      struct test_credentials *credentials)
{
    (void)snprintf(ret_endpoint, 64, "http://127.0.0.1:%d", server->base.port);
    return (struct store_s3_config){
        .s3 = {.endpoint = ret_endpoint,
               .provider = server->is_goog ? S3_PROVIDER_GCS_XML : S3_PROVIDER_S3,
               .is_path_style = true,
               .region = S3_SERVER_REGION,
               .bucket = S3_SERVER_BUCKET,
               .get_credentials = test_get_credentials,
               .context = credentials,
               .http = {.connect_timeout_ms = 2000,
                        .total_timeout_ms = 5000,
                        .stall_timeout_ms = 5000},
               .retry = {.attempts = TEST_S3_ATTEMPTS, .base_ms = 1, .max_ms = 4}},
        .single_put_bytes_max = TEST_S3_SINGLE_BYTES,
        .part_bytes_min = TEST_S3_PART_BYTES,
    };
}
