// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "cloud/aws_internal.h"

#define AWS_PLACES_MAX        ((size_t)16)
#define AWS_ABSENCE_BYTES_MAX ((size_t)400)

struct aws_place {
    const char *name;
    bool (*get)(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                struct aws_answer *ret_answer, struct err *err);
};

struct aws_chain {
    const struct aws_settings *settings;
    const char *const *environment;
    struct aws_profile *profile;   // NULL: not in the list
    struct aws_metadata *metadata; // NULL: not in the list
    const struct aws_place *places[AWS_PLACES_MAX];
    size_t place_count;
};

bool aws_is_absent(struct aws_answer *ret_answer, const char *absence)
{
    *ret_answer = (struct aws_answer){.absence = absence};
    return true;
}

const char *aws_variable(const char *const *environment, const char *name)
{
    const size_t name_chars = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, name_chars) == 0 && (*environment)[name_chars] == '=')
            return (*environment)[name_chars + 1] == '\0' ? NULL : *environment + name_chars + 1;
    }
    return NULL;
}

bool aws_take(struct slice key_id, struct slice secret, struct slice token, struct arena *arena,
              struct aws_credentials *ret_credentials, struct err *err)
{
    if (!cloud_is_header_text(key_id, AWS_KEY_ID_CHARS_MAX))
        return err_set(err, ERR_INVALID, "the access key is missing or malformed");
    if (!cloud_is_header_text(secret, AWS_SECRET_CHARS_MAX))
        return err_set(err, ERR_INVALID, "the secret access key is missing or malformed");
    if (token.size_bytes > 0 && !cloud_is_header_text(token, AWS_TOKEN_CHARS_MAX))
        return err_set(err, ERR_INVALID, "the session token is malformed");
    *ret_credentials = (struct aws_credentials){
        .access_key_id = arena_copy_slice(arena, key_id),
        .secret_access_key = secret_copy(arena, secret),
        .session_token = secret_copy(arena, token),
    };
    return true;
}

struct ticket aws_ticket_of(const struct aws_credentials *credentials, struct arena *arena)
{
    return (struct ticket){
        .texts = {secret_copy(arena, slice_text(credentials->access_key_id)),
                  credentials->secret_access_key, credentials->session_token},
        .expires_at_ms = credentials->expires_at_ms,
    };
}

struct aws_credentials aws_credentials_of(const struct ticket *ticket)
{
    return (struct aws_credentials){
        .access_key_id = slice_chars(secret_reveal(&ticket->texts[0])),
        .secret_access_key = ticket->texts[1],
        .session_token = ticket->texts[2],
        .expires_at_ms = ticket->expires_at_ms,
    };
}

static bool aws_get_static(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                           struct aws_answer *ret_answer, struct err *err)
{
    (void)is_refresh;
    const struct aws_settings *settings = chain->settings;
    if (settings->access_key_id == NULL && settings->secret_access_key == NULL)
        return aws_is_absent(ret_answer, "not set");
    struct aws_answer answer = {0};
    TRY(aws_take(slice_text(settings->access_key_id), slice_text(settings->secret_access_key),
                 slice_text(settings->session_token), arena, &answer.credentials, err));
    *ret_answer = answer;
    return true;
}

static bool aws_get_environment(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                                struct aws_answer *ret_answer, struct err *err)
{
    (void)is_refresh;
    const char *key_id = aws_variable(chain->environment, "AWS_ACCESS_KEY_ID");
    const char *secret = aws_variable(chain->environment, "AWS_SECRET_ACCESS_KEY");
    if (key_id == NULL && secret == NULL)
        return aws_is_absent(ret_answer, "not set");
    struct aws_answer answer = {0};
    TRY(aws_take(slice_text(key_id), slice_text(secret),
                 slice_text(aws_variable(chain->environment, "AWS_SESSION_TOKEN")), arena,
                 &answer.credentials, err));
    *ret_answer = answer;
    return true;
}

static bool aws_get_file(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                         struct aws_answer *ret_answer, struct err *err)
{
    return aws_profile_get(chain->profile, is_refresh, arena, ret_answer, err);
}

static bool aws_get_container(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                              struct aws_answer *ret_answer, struct err *err)
{
    return aws_metadata_get_container(chain->metadata, is_refresh, arena, ret_answer, err);
}

static bool aws_get_instance(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                             struct aws_answer *ret_answer, struct err *err)
{
    return aws_metadata_get_instance(chain->metadata, is_refresh, arena, ret_answer, err);
}

static const struct aws_place aws_places[] = {
    {"static", aws_get_static},       {"environment", aws_get_environment}, {"file", aws_get_file},
    {"container", aws_get_container}, {"instance", aws_get_instance},
};

static bool aws_is_given(const struct aws_settings *settings, const char *const *environment,
                         const char *place)
{
    if (strcmp(place, "static") == 0)
        return settings->access_key_id != NULL;
    if (strcmp(place, "environment") == 0)
        return aws_variable(environment, "AWS_ACCESS_KEY_ID") != NULL;
    if (strcmp(place, "file") == 0)
        return aws_profile_is_given(settings->credentials_file, environment);
    if (strcmp(place, "container") == 0)
        return aws_variable(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
               aws_variable(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL;
    return settings->credentials.count == 1 && strcmp(place, "instance") == 0;
}

bool aws_credentials_are_given(const struct aws_settings *settings, const char *const *environment)
{
    for (size_t i = 0; i < settings->credentials.count; i++) {
        if (aws_is_given(settings, environment, settings->credentials.items[i]))
            return true;
    }
    return false;
}

static bool aws_open_places(struct aws_chain *chain, const struct cloud_config *config,
                            struct err *err)
{
    const struct aws_settings *settings = chain->settings;
    for (size_t i = 0; i < settings->credentials.count; i++) {
        const struct aws_place *place = NULL;
        for (size_t j = 0; j < ARRAY_COUNT(aws_places); j++) {
            if (strcmp(settings->credentials.items[i], aws_places[j].name) == 0)
                place = &aws_places[j];
        }
        if (place == NULL)
            return err_set(err, ERR_INVALID,
                           "aws.credentials: %s is none of static, environment, file, container, "
                           "instance",
                           settings->credentials.items[i]);
        ASSERT(chain->place_count < AWS_PLACES_MAX);
        chain->places[chain->place_count++] = place;
        if (place->get == aws_get_file && chain->profile == NULL)
            TRY(aws_profile_open(settings->credentials_file, settings->profile, chain->environment,
                                 &chain->profile, err));
        if ((place->get == aws_get_container || place->get == aws_get_instance) &&
            chain->metadata == NULL)
            aws_metadata_open(settings->metadata_endpoint, chain->environment, config,
                              &chain->metadata);
    }
    return true;
}

bool aws_credentials_open(const struct aws_settings *settings, const char *const *environment,
                          const struct cloud_config *config, struct aws_chain **ret_chain,
                          struct err *err)
{
    if ((settings->access_key_id == NULL) != (settings->secret_access_key == NULL))
        return err_set(err, ERR_INVALID, "aws.access_key_id and aws.secret_access_key go together");
    TRY(cloud_endpoint_check("aws.metadata_endpoint", settings->metadata_endpoint, err));
    struct aws_chain *chain CLEANUP(aws_credentials_close) = mem_alloc(sizeof *chain);
    chain->settings = settings;
    chain->environment = environment;
    TRY(aws_open_places(chain, config, err));
    *ret_chain = chain;
    chain = NULL;
    return true;
}

void aws_credentials_close(struct aws_chain **address)
{
    struct aws_chain *chain = *address;
    if (chain == NULL)
        return;
    aws_profile_close(&chain->profile);
    aws_metadata_close(&chain->metadata);
    mem_free(chain);
    *address = NULL;
}

bool aws_credentials_get(struct aws_chain *chain, bool is_refresh, struct arena *arena,
                         struct aws_credentials *ret_credentials, struct err *err)
{
    struct buf absences CLEANUP(buf_clear);
    buf_init(&absences, AWS_ABSENCE_BYTES_MAX);
    for (size_t i = 0; i < chain->place_count; i++) {
        const struct aws_place *place = chain->places[i];
        struct aws_answer answer = {0};
        if (!place->get(chain, is_refresh, arena, &answer, err))
            return err_wrap(err, "this server's AWS credentials (%s)", place->name);
        if (answer.absence == NULL) {
            *ret_credentials = answer.credentials;
            return true;
        }
        buf_append_format(&absences, "%s%s: %s", i == 0 ? "" : "; ", place->name, answer.absence);
    }
    return err_set(err, ERR_UNAVAILABLE, "this server has no AWS credentials (%s)",
                   buf_text(&absences));
}
