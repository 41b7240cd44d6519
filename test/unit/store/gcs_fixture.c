// SPDX-License-Identifier: Apache-2.0
#include "gcs_fixture.h"

#include <stdio.h>

static bool test_get_token(void *context, bool is_refresh, struct arena *arena,
                           struct secret *ret_token, struct err *err)
{
    (void)err;
    struct test_tokens *tokens = context;
    tokens->refresh_count += is_refresh ? 1 : 0;
    const bool is_fresh = tokens->refresh_count > 0 && !tokens->never_fresh;
    *ret_token = secret_copy(arena,
                             slice_text(is_fresh ? GCS_SERVER_FRESH_TOKEN : GCS_SERVER_TOKEN));
    return true;
}

struct store_gcs_config test_gcs_config(const struct gcs_server *server, char ret_endpoint[64],
                                        struct test_tokens *tokens)
{
    (void)snprintf(ret_endpoint, 64, "http://127.0.0.1:%d", server->base.port);
    return (struct store_gcs_config){
        .gcs = {.endpoint = ret_endpoint,
                .bucket = GCS_SERVER_BUCKET,
                .account = TEST_GCS_ACCOUNT,
                .get_token = test_get_token,
                .context = tokens,
                .http = {.connect_timeout_ms = 2000,
                         .total_timeout_ms = 5000,
                         .stall_timeout_ms = 5000},
                .retry = {.attempts = TEST_GCS_ATTEMPTS, .base_ms = 1, .max_ms = 4}},
        .piece_bytes = TEST_GCS_PIECE_BYTES};
}
