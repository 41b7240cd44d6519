// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

struct err_kind_info {
    const char *name;
    bool retryable;
    int exit_code;
};

static const struct err_kind_info err_kind_infos[] = {
    [ERR_NONE] = {"none", false, 0},
    [ERR_INVALID] = {"invalid", false, 2},
    [ERR_NOT_FOUND] = {"not_found", false, 3},
    [ERR_CONFLICT] = {"conflict", false, 4},
    [ERR_DENIED] = {"denied", false, 5},
    [ERR_UNAVAILABLE] = {"unavailable", true, 6},
    [ERR_LIMIT] = {"limit", true, 7},
    [ERR_CANCELED] = {"canceled", false, 8},
    [ERR_IO] = {"io", true, 9},
    [ERR_FULL] = {"full", true, 10},
    [ERR_CORRUPT] = {"corrupt", false, 11},
};

static const struct err_kind_info *err_kind_info(enum err_kind kind)
{
    ASSERT((size_t)kind < ARRAY_COUNT(err_kind_infos));
    return &err_kind_infos[kind];
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    ASSERT(kind != ERR_NONE);
    if (err == NULL)
        return false;
    err->kind = kind;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return false;
}

static enum err_kind err_kind_of_errno(int number)
{
    if (number == ENOSPC || number == EDQUOT)
        return ERR_FULL;
    if (number == ENOENT)
        return ERR_NOT_FOUND;
    if (number == EACCES || number == EPERM)
        return ERR_DENIED;
    return ERR_IO;
}

bool err_set_errno(struct err *err, const char *format, ...)
{
    const int number = errno;
    if (err == NULL)
        return false;
    err->kind = err_kind_of_errno(number);
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length + 2 >= sizeof err->message)
        return false;
    char reason[128];
    const char *text = strerror_r(number, reason, sizeof reason);
    (void)snprintf(err->message + length, sizeof err->message - (size_t)length, ": %s", text);
    return false;
}

bool err_wrap(struct err *err, const char *format, ...)
{
    if (err == NULL)
        return false;
    ASSERT(err->kind != ERR_NONE);
    char fact[sizeof err->message];
    memcpy(fact, err->message, sizeof fact);
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length + 2 >= sizeof err->message)
        return false;
    const size_t room = sizeof err->message - (size_t)length;
    (void)snprintf(err->message + length, room, ": %.*s", (int)room - 3, fact);
    return false;
}

void err_clear(struct err *err)
{
    err->kind = ERR_NONE;
    err->message[0] = '\0';
}

const char *err_kind_name(enum err_kind kind)
{
    return err_kind_info(kind)->name;
}

bool err_kind_is_retryable(enum err_kind kind)
{
    return err_kind_info(kind)->retryable;
}

int err_kind_exit_code(enum err_kind kind)
{
    return err_kind_info(kind)->exit_code;
}

enum err_kind err_kind_of_exit_code(int exit_code)
{
    for (size_t i = 1; i < ARRAY_COUNT(err_kind_infos); i++) {
        if (err_kind_infos[i].exit_code == exit_code)
            return (enum err_kind)i;
    }
    return ERR_IO;
}
