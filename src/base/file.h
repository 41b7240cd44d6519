// SPDX-License-Identifier: Apache-2.0
// Files, durable. Paths are NUL-terminated. Errors: ENOSPC is FULL, absence is NOT_FOUND, else IO.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

// Writes all bytes, repeating short writes. name is for the error's text.
NODISCARD bool file_write_all(int fd, struct slice bytes, const char *name, struct err *err);

// For CLEANUP: closes a descriptor, unless it is negative.
void file_close(const int *fd);

// Fsyncs the directory that holds path.
NODISCARD bool file_sync_parent(const char *path, struct err *err);

// Makes the directory and its parents (mode 0700); what exists already is fine. New entries are
// fsynced into their parents.
NODISCARD bool file_make_directories(const char *path, struct err *err);

// Reads the whole file into buf, whose limit bounds it (LIMIT).
NODISCARD bool file_read(const char *path, struct buf *ret_bytes, struct err *err);

// INVALID with path and mode when group or others may read a file that holds a secret.
NODISCARD bool file_check_private(const char *path, struct err *err);

// The same from an open descriptor, which stays open. name is for the error's text.
NODISCARD bool file_read_fd(int fd, const char *name, struct buf *ret_bytes, struct err *err);

// Reads size_bytes at offset_bytes, wherever the descriptor stands. CORRUPT when the file ends
// before.
NODISCARD bool file_read_at(int fd, uint64_t offset_bytes, void *ret_data, size_t size_bytes,
                            struct err *err);

// Replaces path in one durable step (temporary name, fsync, rename, directory fsync); mode 0600.
NODISCARD bool file_replace(const char *path, struct slice bytes, struct err *err);

// A missing file is fine.
NODISCARD bool file_remove(const char *path, struct err *err);

// SHA-256 and size of the file's bytes, read straight through.
NODISCARD bool file_digest(const char *path, uint8_t ret_sha256[32], uint64_t *ret_size_bytes,
                           struct err *err);
// The same by positions, wherever the descriptor stands; it stays open.
NODISCARD bool file_digest_fd(int fd, const char *name, uint8_t ret_sha256[32],
                              uint64_t *ret_size_bytes, struct err *err);

// Calls visit for each regular file below directory whose name ends in suffix ("" for all); visit
// may remove it. A missing directory has no files. Stops at the first failure.
NODISCARD bool file_walk(const char *directory, const char *suffix,
                         bool (*visit)(const char *path, void *context, struct err *err),
                         void *context, struct err *err);
