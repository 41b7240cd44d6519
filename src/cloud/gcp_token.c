// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "cloud/gcp_internal.h"

static bool gcp_read_key_file(const struct gcp_tokens *tokens, struct arena *arena,
                              struct slice *ret_json, struct err *err)
{
    const char *path = tokens->settings->key_file;
    TRY(file_check_private(path, err));
    struct buf text CLEANUP(buf_wipe);
    buf_init(&text, GCP_KEY_BYTES_MAX);
    TRY(file_read(path, &text, err));
    *ret_json = slice_of(arena_copy_slice(arena, buf_slice(&text)), text.size_bytes);
    return true;
}

static bool gcp_check_settings(const struct gcp_tokens *tokens, struct err *err)
{
    const struct gcp_settings *settings = tokens->settings;
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    struct endpoint endpoint;
    if (!endpoint_parse(slice_text(settings->token_endpoint), &arena, &endpoint, NULL))
        return err_set(err, ERR_INVALID, "gcp.token_endpoint: not a URL");
    TRY(cloud_endpoint_check("gcp.iam_endpoint", settings->iam_endpoint, err));
    TRY(cloud_endpoint_check("gcp.metadata_endpoint", settings->metadata_endpoint, err));
    struct slice json;
    struct gcp_key key;
    if (settings->key_file == NULL)
        return true;
    if (!gcp_read_key_file(tokens, &arena, &json, err) || !gcp_key_parse(json, &arena, &key, err))
        return err_wrap(err, "gcp.key_file");
    return true;
}

bool gcp_tokens_open(const struct gcp_settings *settings, const struct cloud_config *config,
                     struct gcp_tokens **ret_tokens, struct err *err)
{
    struct gcp_tokens *tokens CLEANUP(gcp_tokens_close) = mem_alloc(sizeof *tokens);
    tokens->settings = settings;
    TRY(gcp_check_settings(tokens, err));
    cloud_caller_open(config, &tokens->caller);
    cloud_caller_open_metadata(config, &tokens->near);
    tokens->tickets = ticket_cache_new(tokens->caller.clock);
    *ret_tokens = tokens;
    tokens = NULL;
    return true;
}

void gcp_tokens_close(struct gcp_tokens **address)
{
    struct gcp_tokens *tokens = *address;
    if (tokens == NULL)
        return;
    cloud_caller_close(&tokens->caller);
    cloud_caller_close(&tokens->near);
    ticket_cache_free(&tokens->tickets);
    mem_free(tokens);
    *address = NULL;
}

static bool gcp_find_asker(struct gcp_tokens *tokens, const struct gcp_access *access,
                           struct arena *arena, struct gcp_asker *ret_asker, struct err *err)
{
    *ret_asker = (struct gcp_asker){
        .tokens = tokens,
        .json = access->key_json,
        .is_own = slice_is_empty(access->key_json),
        .scope = access->impersonate == NULL ? GCP_SCOPE_STORAGE : GCP_SCOPE_ALL,
    };
    if (!ret_asker->is_own || tokens->settings->key_file == NULL)
        return true;
    struct err failure = {0};
    if (!gcp_read_key_file(tokens, arena, &ret_asker->json, &failure))
        return err_set(err, ERR_UNAVAILABLE, "gcp.key_file: %s", failure.message);
    return true;
}

static bool gcp_fetch_own(void *context, struct arena *arena, struct ticket *ret_ticket,
                          struct err *err)
{
    const struct gcp_asker *asker = context;
    if (slice_is_empty(asker->json))
        return gcp_grant_by_machine(asker->tokens, arena, ret_ticket, err);
    struct gcp_key key;
    struct err failure = {0};
    // What is wrong with the operator's own file is not the customer's affair, and may pass.
    if (!gcp_key_parse(asker->json, arena, &key, &failure))
        return err_set(err, asker->is_own ? ERR_UNAVAILABLE : ERR_INVALID, "%s%s",
                       asker->is_own ? "gcp.key_file: " : "", failure.message);
    return gcp_grant_by_key(asker->tokens, &key, asker->scope,
                            asker->is_own ? ERR_UNAVAILABLE : ERR_DENIED, arena, ret_ticket, err);
}

static void gcp_key_of(const struct gcp_asker *asker, const char *impersonate, struct arena *arena,
                       uint8_t ret_key[TICKET_KEY_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_CHARS + 1];
    sha256_of(asker->json, digest);
    hex_encode(slice_of(digest, sizeof digest), hex);
    const char *name = arena_format(arena, "%s\n%d\n%s\n%s", hex, asker->is_own, asker->scope,
                                    impersonate == NULL ? "" : impersonate);
    sha256_of(slice_text(name), ret_key);
}

static bool gcp_get_own(const struct gcp_asker *asker, bool is_refresh, struct arena *arena,
                        struct secret *ret_token, struct err *err)
{
    uint8_t key[TICKET_KEY_BYTES];
    gcp_key_of(asker, NULL, arena, key);
    struct gcp_asker asking = *asker;
    const struct ticket_source source = {gcp_fetch_own, &asking};
    struct ticket ticket;
    TRY(ticket_cache_get(asker->tokens->tickets, key, is_refresh, &source, arena, &ticket, err));
    *ret_token = ticket.texts[0];
    return true;
}

const char *gcp_asker_email(const struct gcp_asker *asker, struct arena *arena)
{
    struct gcp_key key;
    const char *email = NULL;
    if (slice_is_empty(asker->json))
        email = gcp_machine_email(asker->tokens, arena);
    else if (gcp_key_parse(asker->json, arena, &key, NULL))
        email = key.email;
    return email == NULL ? "the service account of this server" : email;
}

struct gcp_impersonating {
    const struct gcp_asker *asker;
    const char *email;
};

static bool gcp_fetch_as(void *context, struct arena *arena, struct ticket *ret_ticket,
                         struct err *err)
{
    const struct gcp_impersonating *impersonating = context;
    const struct gcp_asker *asker = impersonating->asker;
    for (int i = 0;; i++) {
        struct secret token;
        TRY(gcp_get_own(asker, i > 0, arena, &token, err));
        bool is_unauthorized = false;
        if (gcp_grant_as(asker, &token, impersonating->email, arena, ret_ticket, &is_unauthorized,
                         err))
            return true;
        if (!is_unauthorized || i == 1)
            return false;
    }
}

bool gcp_token_get(struct gcp_tokens *tokens, const struct gcp_access *access, bool is_refresh,
                   struct arena *arena, struct secret *ret_token, struct err *err)
{
    struct gcp_asker asker;
    TRY(gcp_find_asker(tokens, access, arena, &asker, err));
    if (access->impersonate == NULL)
        return gcp_get_own(&asker, is_refresh, arena, ret_token, err);
    uint8_t key[TICKET_KEY_BYTES];
    gcp_key_of(&asker, access->impersonate, arena, key);
    struct gcp_impersonating impersonating = {&asker, access->impersonate};
    const struct ticket_source source = {gcp_fetch_as, &impersonating};
    struct ticket ticket;
    TRY(ticket_cache_get(tokens->tickets, key, is_refresh, &source, arena, &ticket, err));
    *ret_token = ticket.texts[0];
    return true;
}

const char *gcp_token_email(struct gcp_tokens *tokens, const struct gcp_access *access,
                            struct arena *arena)
{
    struct gcp_asker asker;
    if (access->impersonate != NULL)
        return access->impersonate;
    if (!gcp_find_asker(tokens, access, arena, &asker, NULL))
        return "the service account of this server";
    return gcp_asker_email(&asker, arena);
}
