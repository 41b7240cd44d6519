// SPDX-License-Identifier: Apache-2.0
// A store in the scripted server's bucket, with small pieces and quick back-off.
#pragma once

#include "gcs_server.h"
#include "store/store_gcs.h"

#define TEST_GCS_PIECE_BYTES 300
#define TEST_GCS_ATTEMPTS    4
#define TEST_GCS_ACCOUNT     "milkrun@own.iam.gserviceaccount.com"

struct test_tokens {
    int refresh_count;
    bool never_fresh; // a new one is no better
};

struct store_gcs_config test_gcs_config(const struct gcs_server *server, char ret_endpoint[64],
                                        struct test_tokens *tokens);
