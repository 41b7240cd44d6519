// SPDX-License-Identifier: Apache-2.0
// How a function says that it failed. A fallible function returns bool (true: done; false: *err is
// set), takes `struct err *err` last and leaves its ret_ parameters untouched on failure. The kind
// says what the caller should do; the message says the fact, and callers prepend their context with
// err_wrap(). Messages never hold a secret. Values of this type belong to one thread.
#pragma once

#include <stdbool.h>

#define NODISCARD __attribute__((warn_unused_result))

// Leaves the function with false when the call does. The only macro that changes control flow.
#define TRY(call)                                                                                  \
    do {                                                                                           \
        if (!(call))                                                                               \
            return false;                                                                          \
    } while (0)

enum err_kind {
    ERR_NONE,
    ERR_INVALID,     // the request or the data cannot be right: do not try again
    ERR_NOT_FOUND,   // no such thing, or not for this caller
    ERR_CONFLICT,    // another state or another writer won
    ERR_DENIED,      // the caller may not
    ERR_UNAVAILABLE, // try again later
    ERR_LIMIT,       // a configured bound was reached
    ERR_CANCELED,    // somebody asked to stop, or the lease is lost
    ERR_IO,          // disk or engine failed
    ERR_FULL,        // no space left: try again when there is some
    ERR_CORRUPT,     // stored bytes are not what was written: a person must act
};

struct err {
    enum err_kind kind;
    char message[512];
};

// Sets *err and returns false, so that `return err_set(err, ...)` reads well. err may be NULL.
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// As err_set with the text of errno appended; the kind follows from it (ENOSPC, EDQUOT: FULL;
// ENOENT: NOT_FOUND; EACCES, EPERM: DENIED; else IO). Call before anything may change errno.
bool err_set_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Prepends "context: " and returns false.
bool err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *err);

// "invalid", "not_found", ...: stable words for logs and job reasons.
const char *err_kind_name(enum err_kind kind);

// Whether the same call may succeed later without a person doing anything.
bool err_kind_is_retryable(enum err_kind kind);

int err_kind_exit_code(enum err_kind kind);
// IO for a code that is none of ours.
enum err_kind err_kind_of_exit_code(int exit_code);
