// SPDX-License-Identifier: Apache-2.0
// Where files of exports live: keys to objects. A store is all-or-nothing: an object appears when
// its sink finishes, or never; the same key may be written again and is replaced in one step. A
// store may be used by several threads, each sink by one.
#pragma once

#include "base/err.h"
#include "base/sink.h"

#define STORE_KEY_BYTES_MAX ((size_t)1024)

struct store;

// Objects are files below directory, which is made when missing.
NODISCARD bool store_file_open(const char *directory, struct store **ret_store, struct err *err);
// For a writer that may be killed: what it is writing is in a spool of its own below directory,
// which is emptied when the writer of that name opens it again. One writer per name at a time.
NODISCARD bool store_file_open_writer(const char *directory, const char *writer_name,
                                      struct store **ret_store, struct err *err);
// Test double.
struct store *store_memory_new(void);
// Test double around another store: fails the n-th call of put_begin or of its sinks (from 1).
struct store *store_fault_new(struct store *inner, uint64_t failing_call, enum err_kind kind);
void store_close(struct store **store);

// Keys are relative paths: no empty, "." or ".." parts, no NUL, not over 1,024 bytes (INVALID).
bool store_key_is_valid(struct slice key);

NODISCARD bool store_put_begin(struct store *store, const char *key, struct sink **ret_sink,
                               struct err *err);
// Opens an object for reading; the caller closes fd. NOT_FOUND. Never follows symbolic links. Only
// stores of files can (memory: through a memfd).
NODISCARD bool store_open_object(struct store *store, const char *key, int *ret_fd,
                                 uint64_t *ret_size_bytes, struct err *err);
// Missing is fine. Empty directories above it are removed as well.
NODISCARD bool store_delete(struct store *store, const char *key, struct err *err);
// Removes what killed writers left behind and, unless is_listed says that somebody wants them,
// whole objects; both only when older than age_ms. is_listed NULL: every object is wanted. Reads
// the names of all objects: for now and then.
NODISCARD bool store_sweep(struct store *store, int64_t age_ms,
                           bool (*is_listed)(const char *key, void *context, bool *ret_is_listed,
                                             struct err *err),
                           void *context, struct err *err);
