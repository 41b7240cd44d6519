// SPDX-License-Identifier: Apache-2.0
#include "destination/hosted.h"

#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cloud/s3_address.h"
#include "net/endpoint.h"
#include "net/sigv4.h"
#include "store/store_s3.h"

#define HOSTED_CONNECT_TIMEOUT_MS INT64_C(10000)
#define HOSTED_STALL_TIMEOUT_MS   INT64_C(30000)
#define HOSTED_TOTAL_TIMEOUT_MS   INT64_C(60000)

const struct option hosted_option_table[] = {
    {.name = "hosted.type",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, type),
     .default_text = "file",
     .doc =
         "Where the hosted bucket is: `file`, in the data directory, served by milkrun; `s3`, in "
         "an S3-compatible store"},
    {.name = "hosted.endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, endpoint),
     .doc = "URL of the store (default: AWS's in the region)"},
    {.name = "hosted.public_endpoint",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, public_endpoint),
     .doc = "URL of the store as customers reach it, for the URLs of files (default: "
            "hosted.endpoint)"},
    {.name = "hosted.bucket",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, bucket),
     .doc = "Name of the bucket, which must exist; milkrun should be the only one that writes to "
            "its prefix, since it deletes there what no job lists"},
    {.name = "hosted.prefix",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, prefix),
     .doc = "Folder of the bucket, without a slash at its ends"},
    {.name = "hosted.region",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, region),
     .default_text = "us-east-1",
     .doc = "Region of the bucket"},
    {.name = "hosted.access_key_id",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, access_key_id),
     .doc =
         "Long-lived access key of the bucket; URLs are signed with it, so it must not be one of "
         "a session"},
    {.name = "hosted.secret_access_key",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, secret_access_key),
     .flags = OPTION_SECRET,
     .doc = "Its secret"},
    {.name = "hosted.path_style",
     .type = OPTION_BOOL,
     .offset = offsetof(struct hosted_settings, is_path_style),
     .default_text = "false",
     .doc = "The bucket's name is in the path of URLs, not in front of the host"},
    {.name = "hosted.ca_file",
     .type = OPTION_TEXT,
     .offset = offsetof(struct hosted_settings, ca_file),
     .doc = "Certificates (PEM) to trust instead of the system's"},
};
const size_t hosted_option_count = ARRAY_COUNT(hosted_option_table);

bool hosted_is_elsewhere(const struct hosted_settings *settings)
{
    return strcmp(settings->type, "file") != 0;
}

static bool hosted_check_endpoint(const char *name, const char *text, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct endpoint endpoint;
    if (text == NULL)
        return true;
    if (!endpoint_parse(slice_text(text), &arena, &endpoint, err) ||
        (endpoint.path[0] != '\0' && strcmp(endpoint.path, "/") != 0))
        return err_set(err, ERR_INVALID, "%s: not https://HOST[:PORT]", name);
    return true;
}

// Access keys of sessions are known by how they begin.
static bool hosted_check_key(const struct hosted_settings *settings, struct err *err)
{
    if (settings->access_key_id == NULL || settings->secret_access_key == NULL)
        return err_set(err, ERR_INVALID,
                       "hosted.access_key_id and hosted.secret_access_key are required");
    if (strncmp(settings->access_key_id, "ASIA", 4) == 0)
        return err_set(err, ERR_INVALID,
                       "hosted.access_key_id: URLs signed with a key of a session end with it, "
                       "before their seven days; give a long-lived key");
    return true;
}

bool hosted_check(const struct hosted_settings *settings, struct err *err)
{
    if (!hosted_is_elsewhere(settings))
        return true;
    if (strcmp(settings->type, "s3") != 0)
        return err_set(err, ERR_INVALID, "hosted.type: not file or s3");
    TRY(hosted_check_endpoint("hosted.endpoint", settings->endpoint, err));
    TRY(hosted_check_endpoint("hosted.public_endpoint", settings->public_endpoint, err));
    TRY(hosted_check_key(settings, err));
    if (settings->bucket == NULL || settings->bucket[0] == '\0')
        return err_set(err, ERR_INVALID, "hosted.bucket is required");
    if (settings->prefix != NULL && !store_key_is_valid(slice_text(settings->prefix)))
        return err_set(err, ERR_INVALID, "hosted.prefix: not a folder");
    return true;
}

static const char *hosted_endpoint(const struct hosted_settings *settings, const char *given,
                                   struct arena *arena)
{
    return given != NULL ? given
                         : arena_format(arena, "https://s3.%s.amazonaws.com", settings->region);
}

static const char *hosted_prefix(const struct hosted_settings *settings, struct arena *arena)
{
    return settings->prefix == NULL ? "" : arena_format(arena, "%s/", settings->prefix);
}

static bool hosted_get_credentials(void *context, bool is_refresh, struct arena *arena,
                                   struct s3_credentials *ret_credentials, struct err *err)
{
    (void)is_refresh; // there are no others
    (void)err;
    const struct hosted_settings *settings = context;
    *ret_credentials = (struct s3_credentials){
        .key_id = settings->access_key_id,
        .secret_key = secret_copy(arena, slice_text(settings->secret_access_key)),
    };
    return true;
}

bool hosted_open_store(const struct hosted_settings *settings, const struct clock *clock,
                       struct store **ret_store, struct err *err)
{
    ASSERT(hosted_is_elsewhere(settings));
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    union {
        const struct hosted_settings *settings;
        void *context;
    } borrowed = {settings};
    const struct store_s3_config config = {
        .s3 = {.provider = S3_PROVIDER_S3,
               .endpoint = hosted_endpoint(settings, settings->endpoint, &arena),
               .is_path_style = settings->is_path_style,
               .region = settings->region,
               .bucket = settings->bucket,
               .get_credentials = hosted_get_credentials,
               .context = borrowed.context,
               .http = {.connect_timeout_ms = HOSTED_CONNECT_TIMEOUT_MS,
                        .total_timeout_ms = HOSTED_TOTAL_TIMEOUT_MS,
                        .stall_timeout_ms = HOSTED_STALL_TIMEOUT_MS,
                        .ca_file = settings->ca_file},
               .clock = clock},
        .prefix = hosted_prefix(settings, &arena),
    };
    return store_s3_open(&config, ret_store, err);
}

// --- URLs

void hosted_url_secret(struct slice url_key, const char *key_id,
                       uint8_t ret_secret[HOSTED_SECRET_BYTES])
{
    hmac_sha256(url_key, slice_text(key_id), ret_secret);
}

static const char *hosted_sign_elsewhere(const struct hosted_settings *settings, const char *key,
                                         int64_t now_ms, struct arena *arena)
{
    const char *given = settings->public_endpoint != NULL ? settings->public_endpoint
                                                          : settings->endpoint;
    const char *endpoint = hosted_endpoint(settings, given, arena);
    const char *host = strstr(endpoint, "://") + 3; // hosted_check has checked it
    const int scheme_size = (int)(host - endpoint);
    const int host_size = (int)strcspn(host, "/");
    const bool is_path_style = settings->is_path_style ||
                               s3_needs_path_style(endpoint, settings->bucket);
    const char *full_host = is_path_style
                                ? arena_format(arena, "%.*s", host_size, host)
                                : arena_format(arena, "%s.%.*s", settings->bucket, host_size, host);
    const struct sigv4_url url = {
        .host = full_host,
        .path = arena_format(arena, "/%s%s%s%s", is_path_style ? settings->bucket : "",
                             is_path_style ? "/" : "", hosted_prefix(settings, arena), key),
        .key_id = settings->access_key_id,
        .secret = slice_text(settings->secret_access_key),
        .region = settings->region,
        .signed_at_ms = now_ms,
        .expires_s = SIGV4_EXPIRES_MAX_S,
    };
    return arena_format(arena, "%.*s%s%s", scheme_size, endpoint, full_host,
                        sigv4_sign_url(&url, arena));
}

const char *hosted_sign(const struct hosted_signer *signer, const char *key, int64_t now_ms,
                        struct arena *arena)
{
    if (hosted_is_elsewhere(signer->settings))
        return hosted_sign_elsewhere(signer->settings, key, now_ms, arena);
    const struct sigv4_url url = {
        .host = strstr(signer->base_url, "://") + 3, // whoever took it, has checked it
        .path = arena_format(arena, "/exports/%s", key),
        .key_id = signer->key_id,
        .secret = signer->secret,
        .region = HOSTED_REGION,
        .signed_at_ms = now_ms,
        .expires_s = SIGV4_EXPIRES_MAX_S,
    };
    return arena_format(arena, "%s%s", signer->base_url, sigv4_sign_url(&url, arena));
}
