// SPDX-License-Identifier: Apache-2.0
// The credentials file that AWS's tools share: sections of `key = value` lines.
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/file.h"
#include "base/mem.h"
#include "cloud/aws_internal.h"

#define AWS_PROFILE_BYTES_MAX ((size_t)1024 * 1024)
#define AWS_PROFILE_KEYS      ((size_t)3)

static const char *const aws_profile_keys[AWS_PROFILE_KEYS] = {
    "aws_access_key_id", "aws_secret_access_key", "aws_session_token"};

struct aws_profile {
    char *path; // NULL: there is no home either
    char *name;
    bool is_read;
    struct stat status; // of the file when it was read
    bool has_section;
    struct secret values[AWS_PROFILE_KEYS];
};

// NULL: there is no home either. In the arena, or where the texts are.
static const char *aws_profile_path(const char *path, const char *const *environment,
                                    struct arena *arena)
{
    if (path == NULL)
        path = aws_variable(environment, "AWS_SHARED_CREDENTIALS_FILE");
    const char *home = aws_variable(environment, "HOME");
    if (path == NULL && home != NULL)
        path = arena_format(arena, "%s/.aws/credentials", home);
    return path;
}

bool aws_profile_is_given(const char *path, const char *const *environment)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    const char *usual = aws_profile_path(NULL, environment, &arena);
    return path != NULL || aws_variable(environment, "AWS_SHARED_CREDENTIALS_FILE") != NULL ||
           (usual != NULL && access(usual, F_OK) == 0);
}

bool aws_profile_open(const char *path, const char *profile, const char *const *environment,
                      struct aws_profile **ret_profile, struct err *err)
{
    struct arena arena CLEANUP(arena_clear);
    arena_init(&arena);
    path = aws_profile_path(path, environment, &arena);
    if (profile == NULL)
        profile = aws_variable(environment, "AWS_PROFILE");
    struct err failure = {0};
    if (path != NULL && !file_check_private(path, &failure) && failure.kind != ERR_NOT_FOUND)
        return err_set(err, failure.kind, "%s", failure.message);
    struct aws_profile *opened = mem_alloc(sizeof *opened);
    if (path != NULL)
        opened->path = mem_copy_text(path);
    opened->name = mem_copy_text(profile == NULL ? "default" : profile);
    *ret_profile = opened;
    return true;
}

static void aws_profile_forget(struct aws_profile *profile)
{
    for (size_t i = 0; i < AWS_PROFILE_KEYS; i++)
        secret_clear(&profile->values[i]);
    profile->has_section = false;
    profile->is_read = false;
}

void aws_profile_close(struct aws_profile **address)
{
    struct aws_profile *profile = *address;
    if (profile == NULL)
        return;
    aws_profile_forget(profile);
    mem_free(profile->path);
    mem_free(profile->name);
    mem_free(profile);
    *address = NULL;
}

static struct slice aws_profile_trim(struct slice text)
{
    static const char blank[] = " \t\r";
    while (text.size_bytes > 0 && strchr(blank, slice_chars(text)[0]) != NULL)
        text = slice_from(text, 1);
    while (text.size_bytes > 0 && strchr(blank, slice_chars(text)[text.size_bytes - 1]) != NULL)
        text.size_bytes--;
    return text;
}

static void aws_profile_take_key(struct aws_profile *profile, struct slice line)
{
    const char *equals = memchr(line.data, '=', line.size_bytes);
    if (equals == NULL)
        return;
    const size_t name_chars = (size_t)(equals - slice_chars(line));
    const struct slice name = aws_profile_trim(slice_part(line, 0, name_chars));
    for (size_t i = 0; i < AWS_PROFILE_KEYS; i++) {
        if (!slice_equal_text(name, aws_profile_keys[i]))
            continue;
        secret_clear(&profile->values[i]); // the last one counts, as with AWS's tools
        secret_init(&profile->values[i], aws_profile_trim(slice_from(line, name_chars + 1)));
    }
}

static void aws_profile_parse(struct aws_profile *profile, struct slice text)
{
    bool is_inside = false;
    while (text.size_bytes > 0) {
        const char *end = memchr(text.data, '\n', text.size_bytes);
        const size_t chars = end == NULL ? text.size_bytes : (size_t)(end - slice_chars(text));
        const struct slice line = aws_profile_trim(slice_part(text, 0, chars));
        text = slice_from(text, end == NULL ? chars : chars + 1);
        if (line.size_bytes == 0 || strchr("#;", slice_chars(line)[0]) != NULL)
            continue;
        if (slice_chars(line)[0] != '[') {
            if (is_inside)
                aws_profile_take_key(profile, line);
            continue;
        }
        const char *bracket = memchr(line.data, ']', line.size_bytes);
        const size_t name_chars = bracket == NULL ? 0 : (size_t)(bracket - slice_chars(line)) - 1;
        is_inside = slice_equal_text(aws_profile_trim(slice_part(line, 1, name_chars)),
                                     profile->name);
        profile->has_section = profile->has_section || is_inside;
    }
}

// A file that is replaced or written to has another identity, size or time.
static bool aws_profile_is_same(const struct stat *left, const struct stat *right)
{
    return left->st_dev == right->st_dev && left->st_ino == right->st_ino &&
           left->st_size == right->st_size && left->st_mtim.tv_sec == right->st_mtim.tv_sec &&
           left->st_mtim.tv_nsec == right->st_mtim.tv_nsec &&
           left->st_ctim.tv_sec == right->st_ctim.tv_sec &&
           left->st_ctim.tv_nsec == right->st_ctim.tv_nsec;
}

static bool aws_profile_read(struct aws_profile *profile, const struct stat *status,
                             struct err *err)
{
    if (profile->is_read && aws_profile_is_same(&profile->status, status))
        return true;
    TRY(file_check_private(profile->path, err));
    struct buf text CLEANUP(buf_wipe);
    buf_init(&text, AWS_PROFILE_BYTES_MAX);
    TRY(file_read(profile->path, &text, err));
    aws_profile_forget(profile);
    aws_profile_parse(profile, buf_slice(&text));
    profile->status = *status; // from before the reading: what changed meanwhile is seen next time
    profile->is_read = true;
    return true;
}

bool aws_profile_get(struct aws_profile *profile, bool is_refresh, struct arena *arena,
                     struct aws_answer *ret_answer, struct err *err)
{
    if (profile->path == NULL)
        return aws_is_absent(ret_answer, "no HOME");
    if (is_refresh)
        profile->is_read = false;
    struct stat status;
    if (stat(profile->path, &status) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return err_set_errno(err, "%s", profile->path);
        return aws_is_absent(ret_answer, arena_format(arena, "%s is not there", profile->path));
    }
    TRY(aws_profile_read(profile, &status, err));
    if (!profile->has_section)
        return aws_is_absent(
            ret_answer, arena_format(arena, "%s has no profile %s", profile->path, profile->name));
    struct aws_answer answer = {0};
    if (!aws_take(secret_reveal(&profile->values[0]), secret_reveal(&profile->values[1]),
                  secret_reveal(&profile->values[2]), arena, &answer.credentials, err))
        return err_wrap(err, "%s, profile %s", profile->path, profile->name);
    *ret_answer = answer;
    return true;
}
