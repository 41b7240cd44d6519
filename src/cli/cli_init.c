// SPDX-License-Identifier: Apache-2.0
// `milkrun init`: a data directory with a first organization, app and tokens. It is made beside its
// place and renamed there when complete, so that a killed init leaves nothing that looks like one.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "catalog/tenant_tokens.h"
#include "catalog/tenants.h"
#include "cli/cli.h"
#include "cli/data_directory.h"

struct cli_init_options {
    const char *data;
    const char *organization;
    const char *app;
};

static const struct option cli_init_options[] = {
    {.name = "data",
     .type = OPTION_TEXT,
     .offset = offsetof(struct cli_init_options, data),
     .flags = OPTION_REQUIRED,
     .doc = "The data directory to make; it must not exist"},
    {.name = "organization",
     .type = OPTION_TEXT,
     .offset = offsetof(struct cli_init_options, organization),
     .default_text = "default",
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Name of the first organization"},
    {.name = "app",
     .type = OPTION_TEXT,
     .offset = offsetof(struct cli_init_options, app),
     .default_text = "default",
     .flags = OPTION_ARGUMENT_ONLY,
     .doc = "Name of its first app"},
};

static size_t cli_init_list_options(struct option_set ret_sets[CLI_SETS_MAX])
{
    ret_sets[0] = (struct option_set){cli_init_options, ARRAY_COUNT(cli_init_options), NULL};
    return 1;
}

static bool cli_init_fill_catalog(struct catalog *catalog, const struct cli_init_options *options,
                                  struct arena *arena, struct buf *reply, struct err *err)
{
    const int64_t now_ms = clock_wall_ms(clock_system());
    struct tenant_organization organization;
    TRY(tenant_create_organization(catalog, options->organization, now_ms, arena, &organization,
                                   err));
    struct tenant_app app;
    const char *branch_secret = NULL;
    TRY(tenant_create_app(catalog, organization.id, options->app, now_ms, arena, &app,
                          &branch_secret, err));
    struct tenant_token details;
    const char *access_token = NULL;
    const struct tenant_token_request customer = {
        .organization_id = organization.id,
        .name = "init",
        .permissions = TENANT_EXPORT | TENANT_INGEST | TENANT_SENSITIVE_DATA,
    };
    TRY(tenant_create_token(catalog, &customer, now_ms, arena, &details, &access_token, err));
    const char *admin_token = NULL;
    const struct tenant_token_request admin = {
        .name = "operator",
        .permissions = TENANT_ADMIN | TENANT_OPERATOR_INGEST,
    };
    TRY(tenant_create_token(catalog, &admin, now_ms, arena, &details, &admin_token, err));
    struct json_text json;
    json_text_init(&json, reply);
    json_text_open(&json, '{');
    json_text_member_text(&json, "organization_id", organization.id);
    json_text_member_text(&json, "app_id", app.id);
    json_text_member_text(&json, "access_token", access_token);
    json_text_member_text(&json, "admin_token", admin_token);
    json_text_member_text(&json, "branch_key", app.branch_key);
    json_text_member_text(&json, "branch_secret", branch_secret);
    json_text_close(&json, '}');
    buf_append_char(reply, '\n');
    return buf_check(reply, err);
}

static bool cli_init_make(const struct cli_init_options *options, const char *building_path,
                          struct arena *arena, struct buf *reply, struct err *err)
{
    TRY(data_directory_create(building_path, err));
    struct catalog *catalog CLEANUP(catalog_close) = NULL;
    TRY(catalog_create(arena_format(arena, "%s/milkrun.db", building_path), &catalog, err));
    TRY(cli_init_fill_catalog(catalog, options, arena, reply, err));
    return true;
}

static bool cli_init_run(const struct cli_invocation *invocation, struct err *err)
{
    struct cli_init_options options = {0};
    const struct option_set set = {cli_init_options, ARRAY_COUNT(cli_init_options), &options};
    TRY(option_read(&set, 1, &invocation->input, invocation->arena, NULL, NULL, err));
    if (options.data[0] == '\0')
        return err_set(err, ERR_INVALID, "--data: empty");
    struct stat status;
    if (lstat(options.data, &status) == 0)
        return err_set(err, ERR_CONFLICT, "%s exists already", options.data);
    char *building_path = arena_format(invocation->arena, "%s.init-%ld", options.data,
                                       (long)getpid());
    struct buf reply CLEANUP(buf_clear);
    buf_init(&reply, 4096);
    TRY(cli_init_make(&options, building_path, invocation->arena, &reply, err));
    // RENAME_NOREPLACE: of two inits at once, one wins and the other says so.
    if (renameat2(AT_FDCWD, building_path, AT_FDCWD, options.data, RENAME_NOREPLACE) != 0)
        return err_set_errno(err, "rename %s to %s", building_path, options.data);
    TRY(file_sync_parent(options.data, err));
    return file_write_all(STDOUT_FILENO, buf_slice(&reply), "standard output", err);
}

const struct cli_command cli_init_command = {
    .name = "init",
    .usage = "init --data DIR",
    .summary = "make a data directory with a first organization, app and tokens",
    .details = "Makes the data directory and prints one JSON object with organization_id, app_id,\n"
               "access_token (export, ingest and sensitive_data permission), admin_token,\n"
               "branch_key and branch_secret. Secrets are shown this once.",
    .run = cli_init_run,
    .list_options = cli_init_list_options,
};
