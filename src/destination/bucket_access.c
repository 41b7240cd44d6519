// SPDX-License-Identifier: Apache-2.0
#include "destination/bucket_access.h"

#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "catalog/connections.h"
#include "catalog/tenants.h"
#include "cloud/aws_role.h"
#include "net/address_guard.h"
#include "store/store_gcs.h"
#include "store/store_s3.h"

struct bucket_access {
    const struct destinations_net_config *config;
    struct address_guard *customer_guard; // of endpoints that customers name
    struct address_guard *operator_guard; // of those that the operator or the provider names
    struct aws_chain *chain;
    struct aws_roles *roles;
    struct gcp_tokens *tokens;
};

static struct http_client_config bucket_access_http(const struct bucket_access *access)
{
    const struct destination_settings *settings = access->config->settings;
    return (struct http_client_config){
        .connect_timeout_ms = settings->connect_timeout_ms,
        .total_timeout_ms = settings->call_timeout_ms,
        .stall_timeout_ms = settings->stall_timeout_ms,
        .ca_file = settings->ca_file,
        .proxy = settings->proxy,
        .guard = access->operator_guard,
    };
}

static struct retry_limits bucket_access_retry(const struct bucket_access *access)
{
    const struct destination_settings *settings = access->config->settings;
    return (struct retry_limits){
        .attempts = (int)settings->attempts,
        .base_ms = settings->back_off_ms,
        .max_ms = settings->back_off_max_ms,
    };
}

// What all stores that speak S3 have in common.
static struct s3_config bucket_access_s3(const struct bucket_access *access)
{
    return (struct s3_config){
        .http = bucket_access_http(access),
        .retry = bucket_access_retry(access),
        .clock = access->config->clock,
    };
}

void bucket_access_close(struct bucket_access **address)
{
    struct bucket_access *access = *address;
    if (access == NULL)
        return;
    aws_roles_close(&access->roles);
    aws_credentials_close(&access->chain);
    gcp_tokens_close(&access->tokens);
    address_guard_free(&access->customer_guard);
    address_guard_free(&access->operator_guard);
    mem_free(access);
    *address = NULL;
}

bool bucket_access_open(const struct destinations_net_config *config,
                        struct bucket_access **ret_access, struct err *err)
{
    struct bucket_access *access CLEANUP(bucket_access_close) = mem_alloc(sizeof *access);
    const struct option_list *networks = &config->settings->allowed_networks;
    access->config = config;
    if (!address_guard_new(networks->items, networks->count, &access->customer_guard, err))
        return err_wrap(err, "destinations.allowed_networks");
    TRY(destination_operator_guard_new(&access->operator_guard, err));
    const struct cloud_config cloud = {.http = bucket_access_http(access),
                                       .retry = bucket_access_retry(access),
                                       .clock = config->clock};
    TRY(aws_credentials_open(config->aws, config->environment, &cloud, &access->chain, err));
    TRY(aws_roles_open(config->aws, access->chain, &cloud, &access->roles, err));
    TRY(gcp_tokens_open(config->gcp, &cloud, &access->tokens, err));
    *ret_access = access;
    access = NULL;
    return true;
}

// What a store asks for credentials; lives as long as its bucket.
struct bucket_keys {
    struct bucket_access *access;
    struct aws_role role;         // of a role
    struct gcp_access gcp;        // of a service account
    struct connection connection; // of a connection
    struct secret secret;         // opened from it
};

static void bucket_keys_release(void *context)
{
    secret_clear(&((struct bucket_keys *)context)->secret);
}

static struct bucket_keys *bucket_keys_new(struct bucket_access *access, struct arena *arena,
                                           struct destination_bucket *bucket)
{
    struct bucket_keys *keys = arena_alloc(arena, sizeof *keys);
    *keys = (struct bucket_keys){.access = access};
    bucket->release = bucket_keys_release;
    bucket->context = keys;
    return keys;
}

static const char *bucket_folder(const struct report_cloud *cloud, struct arena *arena)
{
    return cloud->prefix == NULL ? "" : arena_format(arena, "%s/", cloud->prefix);
}

// --- Roles

static bool bucket_role_credentials(void *context, bool is_refresh, struct arena *arena,
                                    struct s3_credentials *ret_credentials, struct err *err)
{
    const struct bucket_keys *keys = context;
    struct aws_credentials credentials;
    TRY(aws_role_get(keys->access->roles, &keys->role, is_refresh, arena, &credentials, err));
    *ret_credentials = (struct s3_credentials){
        .key_id = credentials.access_key_id,
        .secret_key = credentials.secret_access_key,
        .session_token = credentials.session_token,
    };
    return true;
}

static bool bucket_access_check_role(struct bucket_access *access, const char *role,
                                     struct arena *arena, struct err *err)
{
    const char *account = NULL;
    TRY(aws_roles_get_account(access->roles, arena, &account, err));
    if (slice_equal_text(report_role_account(slice_text(role)), account))
        return err_set(err, ERR_DENIED, "Role account not allowed");
    return true;
}

static bool bucket_access_use_role(struct bucket_access *access,
                                   const struct destination_request *request,
                                   const struct report_cloud *cloud, struct arena *arena,
                                   struct destination_bucket *bucket, struct err *err)
{
    const struct aws_settings *aws = access->config->aws;
    struct tenant_organization organization;
    TRY(tenant_get_organization(request->catalog, request->organization_id, arena, &organization,
                                err));
    TRY(bucket_access_check_role(access, cloud->resource_access_id, arena, err));
    struct bucket_keys *keys = bucket_keys_new(access, arena, bucket);
    keys->role = (struct aws_role){
        .arn = cloud->resource_access_id,
        .external_id = organization.external_id,
        .session_name = arena_format(arena, "milkrun-%s", request->subscription_id),
    };
    struct store_s3_config config = {.s3 = bucket_access_s3(access),
                                     .prefix = bucket_folder(cloud, arena),
                                     .kms_key_arn = cloud->kms_key_arn};
    config.s3.provider = S3_PROVIDER_S3;
    config.s3.endpoint = aws->s3_endpoint != NULL
                             ? aws->s3_endpoint
                             : arena_format(arena, "https://s3.%s.amazonaws.com", aws->region);
    config.s3.is_path_style = aws->s3_endpoint != NULL;
    config.s3.region = aws->region;
    config.s3.bucket = cloud->bucket;
    config.s3.get_credentials = bucket_role_credentials;
    config.s3.context = keys;
    return store_s3_open(&config, &bucket->store, err);
}

// --- Service accounts

static bool bucket_token(void *context, bool is_refresh, struct arena *arena,
                         struct secret *ret_token, struct err *err)
{
    const struct bucket_keys *keys = context;
    return gcp_token_get(keys->access->tokens, &keys->gcp, is_refresh, arena, ret_token, err);
}

static bool bucket_keys_open(struct bucket_keys *keys, struct err *err)
{
    const struct destinations_net_config *config = keys->access->config;
    const struct connection_ring ring = {config->secret_keys, config->secret_key_count};
    return connection_open_secret(&keys->connection, &ring, &keys->secret, err);
}

// With what keys->gcp says.
static bool bucket_access_open_gcs(struct bucket_keys *keys, const struct report_cloud *cloud,
                                   struct arena *arena, struct destination_bucket *bucket,
                                   struct err *err)
{
    const struct destinations_net_config *config = keys->access->config;
    const char *endpoint = keys->connection.settings.endpoint;
    struct store_gcs_config gcs = {
        .gcs = {.endpoint = endpoint != NULL ? endpoint : config->gcp->storage_endpoint,
                .bucket = cloud->bucket,
                .account = gcp_token_email(keys->access->tokens, &keys->gcp, arena),
                .get_token = bucket_token,
                .context = keys,
                .http = bucket_access_http(keys->access),
                .retry = bucket_access_retry(keys->access),
                .clock = config->clock},
        .prefix = bucket_folder(cloud, arena),
    };
    if (keys->connection.settings.ca_file != NULL)
        gcs.gcs.http.ca_file = keys->connection.settings.ca_file;
    return store_gcs_open(&gcs, &bucket->store, err);
}

// A key that the operator registered for the account goes before impersonation.
static bool bucket_access_use_account(struct bucket_access *access,
                                      const struct destination_request *request,
                                      const struct report_cloud *cloud, struct arena *arena,
                                      struct destination_bucket *bucket, struct err *err)
{
    struct bucket_keys *keys = bucket_keys_new(access, arena, bucket);
    if (connection_find_account(request->catalog, request->organization_id,
                                cloud->resource_access_id, arena, &keys->connection, err)) {
        TRY(bucket_keys_open(keys, err));
        keys->gcp.key_json = secret_reveal(&keys->secret);
    } else {
        if (err->kind != ERR_NOT_FOUND)
            return false;
        if (!destinations_have_gcp(access->config))
            return err_set(err, ERR_DENIED, "this server has no access to service accounts");
        keys->connection = (struct connection){0};
        keys->gcp.impersonate = cloud->resource_access_id;
    }
    return bucket_access_open_gcs(keys, cloud, arena, bucket, err);
}

// --- Connections

static bool bucket_connection_credentials(void *context, bool is_refresh, struct arena *arena,
                                          struct s3_credentials *ret_credentials, struct err *err)
{
    (void)is_refresh; // a key that was rotated takes effect with the next attempt
    (void)err;
    const struct bucket_keys *keys = context;
    *ret_credentials = (struct s3_credentials){
        .key_id = keys->connection.access_key_id,
        .secret_key = secret_copy(arena, secret_reveal(&keys->secret)),
    };
    return true;
}

static bool bucket_is_path_style(const struct connection *connection, bool has_endpoint)
{
    switch (connection->settings.style) {
    case CONNECTION_STYLE_BY_ENDPOINT:
        return has_endpoint || connection->kind == CONNECTION_GCS_HMAC;
    case CONNECTION_STYLE_PATH:
        return true;
    case CONNECTION_STYLE_HOST:
        break;
    }
    return false;
}

static bool bucket_access_open_s3(struct bucket_keys *keys, const struct report_cloud *cloud,
                                  struct arena *arena, struct destination_bucket *bucket,
                                  struct err *err)
{
    struct bucket_access *access = keys->access;
    const struct destinations_net_config *config = access->config;
    const struct connection *connection = &keys->connection;
    const char *region = connection->settings.region != NULL ? connection->settings.region
                                                             : config->aws->region;
    const char *endpoint = connection->settings.endpoint;
    const bool is_customers = endpoint == NULL && cloud->endpoint != NULL;
    if (is_customers && !config->settings->customer_endpoints)
        return err_set(err, ERR_DENIED, "Endpoint not allowed");
    if (is_customers)
        endpoint = cloud->endpoint;
    const bool has_endpoint = endpoint != NULL;
    if (endpoint == NULL)
        endpoint = connection->kind == CONNECTION_GCS_HMAC
                       ? config->gcp->storage_endpoint
                       : arena_format(arena, "https://s3.%s.amazonaws.com", region);
    const bool is_gcs = connection->kind == CONNECTION_GCS_HMAC;
    struct store_s3_config s3 = {.s3 = bucket_access_s3(access),
                                 .prefix = bucket_folder(cloud, arena),
                                 .kms_key_arn = cloud->kms_key_arn};
    s3.s3.provider = is_gcs ? S3_PROVIDER_GCS_XML : S3_PROVIDER_S3;
    s3.s3.endpoint = endpoint;
    s3.s3.is_path_style = bucket_is_path_style(connection, has_endpoint);
    s3.s3.region = region;
    s3.s3.bucket = cloud->bucket;
    s3.s3.get_credentials = bucket_connection_credentials;
    s3.s3.context = keys;
    if (is_customers)
        s3.s3.http.guard = access->customer_guard;
    if (connection->settings.ca_file != NULL)
        s3.s3.http.ca_file = connection->settings.ca_file;
    return store_s3_open(&s3, &bucket->store, err);
}

static bool bucket_access_use_connection(struct bucket_access *access,
                                         const struct destination_request *request,
                                         const struct report_cloud *cloud, struct arena *arena,
                                         struct destination_bucket *bucket, struct err *err)
{
    struct bucket_keys *keys = bucket_keys_new(access, arena, bucket);
    if (!connection_find(request->catalog, request->organization_id, cloud->resource_access_id,
                         arena, &keys->connection, err))
        return err->kind == ERR_NOT_FOUND
                   ? err_set(err, ERR_DENIED, "the connection %s is not there any more",
                             cloud->resource_access_id)
                   : false;
    TRY(bucket_keys_open(keys, err));
    if (keys->connection.kind != CONNECTION_GCS_KEY)
        return bucket_access_open_s3(keys, cloud, arena, bucket, err);
    keys->gcp.key_json = secret_reveal(&keys->secret);
    return bucket_access_open_gcs(keys, cloud, arena, bucket, err);
}

bool bucket_access_use(struct bucket_access *access, const struct destination_request *request,
                       const struct report_cloud *cloud, struct arena *arena,
                       struct destination_bucket *ret_bucket, struct err *err)
{
    struct destination_bucket bucket CLEANUP(destination_bucket_close) = {0};
    switch (cloud->access) {
    case REPORT_ROLE:
        TRY(bucket_access_use_role(access, request, cloud, arena, &bucket, err));
        break;
    case REPORT_ACCOUNT:
        TRY(bucket_access_use_account(access, request, cloud, arena, &bucket, err));
        break;
    case REPORT_CONNECTION:
        TRY(bucket_access_use_connection(access, request, cloud, arena, &bucket, err));
        break;
    }
    *ret_bucket = bucket;
    bucket = (struct destination_bucket){0};
    return true;
}
