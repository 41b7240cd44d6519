// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "base/check.h"
#include "cloud/gcp_token.h"

const struct option gcp_option_table[] = {
    {.name = "gcp.key_file",
     .type = OPTION_TEXT,
     .offset = offsetof(struct gcp_settings, key_file),
     .doc = "JSON key of this server's own service account (default: the machine's account). Only "
            "its owner may be able to read it; it is read again when it has changed"},
    {.name = "gcp.storage_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct gcp_settings, storage_endpoint),
     .default_text = "https://storage.googleapis.com",
     .doc = "URL of Google's storage"},
    {.name = "gcp.token_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct gcp_settings, token_endpoint),
     .default_text = "https://oauth2.googleapis.com/token",
     .doc = "URL at which tokens are asked for"},
    {.name = "gcp.iam_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct gcp_settings, iam_endpoint),
     .default_text = "https://iamcredentials.googleapis.com",
     .doc = "URL at which tokens of customers' service accounts are asked for"},
    {.name = "gcp.metadata_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct gcp_settings, metadata_endpoint),
     .default_text = "http://169.254.169.254",
     .doc = "URL of the machine's metadata service"},
    {.name = "gcp.use_metadata",
     .type = OPTION_BOOL,
     .offset = offsetof(struct gcp_settings, uses_metadata),
     .default_text = "false",
     .doc =
         "This machine is one of Google's, and its service account may be the customers': enables "
         "service accounts as destinations without gcp.key_file"},
};

const size_t gcp_option_count = ARRAY_COUNT(gcp_option_table);
