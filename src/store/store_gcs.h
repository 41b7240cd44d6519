// SPDX-License-Identifier: Apache-2.0
// A store in a bucket of Google's over its JSON interface (the XML interface with HMAC keys is
// store_s3.h's). It takes finished files; one thread at a time.
//
// Every file is a resumable upload: in pieces, of which a broken one goes on where Google says that
// it stopped; memory does not grow with them. Google is told size and MD5 of the whole before the
// first byte, and to write only what is not there (ifGenerationMatch=0), so it publishes these
// bytes or none, and never in the place of others. Its answer is compared nevertheless.
#pragma once

#include "cloud/gcs_client.h"
#include "store/store.h"

#define STORE_GCS_GRANULE_BYTES ((uint64_t)256 * 1024) // pieces are multiples of it

struct store_gcs_config {
    struct gcs_config gcs;
    const char *prefix;   // "" or "folder/": in front of all keys; sweeps stay within
    uint64_t piece_bytes; // of an upload; 0: 16 MiB
};

// The config's texts are copied; see gcs_client_open for the rest. INVALID.
NODISCARD bool store_gcs_open(const struct store_gcs_config *config, struct store **ret_store,
                              struct err *err);
