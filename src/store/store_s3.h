// SPDX-License-Identifier: Apache-2.0
// A store in a bucket of S3, of a store that speaks its language, or of Google's (XML interface,
// HMAC keys). It takes finished files; one thread at a time.
//
// Small files are one PUT, larger ones are uploaded in parts, of which there are 10,000 at most and
// which grow for that; memory does not grow with either. Every request says the SHA-256 of its
// bytes, every answer must have their MD5 as its ETag (unless the store says that it encrypts with
// keys of its own). Nothing is overwritten: by If-None-Match (at Google's by
// x-goog-if-generation-match), and by a look before, where it is not known that the store heeds it.
#pragma once

#include "cloud/s3_client.h"
#include "store/store.h"

struct store_s3_config {
    struct s3_config s3;
    const char *prefix;            // "" or "folder/": in front of all keys; sweeps stay within
    uint64_t single_put_bytes_max; // 0: 16 MiB
    uint64_t part_bytes_min;       // 0: 8 MiB
    const char *kms_key_arn;       // objects are encrypted with this key of AWS's KMS; NULL: as the
                                   // bucket does it
};

// The config's texts are copied; see s3_client_open for the rest. INVALID.
NODISCARD bool store_s3_open(const struct store_s3_config *config, struct store **ret_store,
                             struct err *err);
