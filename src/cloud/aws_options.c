// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "base/check.h"
#include "cloud/aws_credentials.h"

const struct option aws_option_table[] = {
    {.name = "aws.credentials",
     .type = OPTION_LIST,
     .offset = offsetof(struct aws_settings, credentials),
     .default_text = "static,environment,file,container,instance",
     .doc = "Where this server's own AWS credentials are looked for, in this order; with them it "
            "assumes the roles of customers"},
    {.name = "aws.access_key_id",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, access_key_id),
     .doc = "Access key (static)"},
    {.name = "aws.secret_access_key",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, secret_access_key),
     .flags = OPTION_SECRET,
     .doc = "Its secret (static)"},
    {.name = "aws.session_token",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, session_token),
     .flags = OPTION_SECRET,
     .doc = "Session token, for temporary keys (static)"},
    {.name = "aws.credentials_file",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, credentials_file),
     .doc = "Credentials file (file); else AWS_SHARED_CREDENTIALS_FILE, else "
            "~/.aws/credentials. Only its owner may be able to read it; it is read again when it "
            "has changed"},
    {.name = "aws.profile",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, profile),
     .doc = "Its profile (file); else AWS_PROFILE, else `default`"},
    {.name = "aws.region",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, region),
     .default_text = "us-east-1",
     .doc = "Region whose token service is asked, and where buckets are thought to be at first"},
    {.name = "aws.account_id",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, account_id),
     .doc = "Number of this server's AWS account, whose roles no customer may name; asked for "
            "when not given"},
    {.name = "aws.sts_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, sts_endpoint),
     .doc = "URL of the token service (default: AWS's in the region)"},
    {.name = "aws.s3_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, s3_endpoint),
     .doc = "URL of the object store for buckets behind roles (default: AWS's in the region)"},
    {.name = "aws.metadata_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct aws_settings, metadata_endpoint),
     .default_text = "http://169.254.169.254",
     .doc = "URL of the machine's metadata service (instance)"},
};

const size_t aws_option_count = ARRAY_COUNT(aws_option_table);
