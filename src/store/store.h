// SPDX-License-Identifier: Apache-2.0
// Where files of exports live: keys to objects. A store is all-or-nothing: an object appears whole,
// when its sink finishes or its file is put, or never. There are two ways to write. store_put_begin
// takes bytes as they are made and replaces what is there (stores of this machine); store_put_file
// takes a finished file and never replaces anything (all stores). A store may be used by several
// threads, each sink by one; those of other machines by one thread at a time.
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
// Test double around another store, which it owns: fails the n-th call of put_begin and of its
// sinks (from 1, over all puts). Sinks go before it.
struct store *store_fault_new(struct store *inner, uint64_t failing_call, enum err_kind kind);
void store_close(struct store **store);

// Keys are relative paths: no empty, "." or ".." parts, no NUL, not over 1,024 bytes (INVALID).
bool store_key_is_valid(struct slice key);

// INVALID from stores of other machines: they take finished files only.
NODISCARD bool store_put_begin(struct store *store, const char *key, struct sink **ret_sink,
                               struct err *err);

struct store_file_spec {
    const char *key;
    int fd; // read by position, maybe several times
    uint64_t size_bytes;
    uint8_t sha256[32];
    const char *content_type;
    // An earlier put of this key was perhaps killed before upload_begun could tell of its upload:
    // such are looked for and ended first, where that is permitted. No other put of the key goes on
    // meanwhile, or that one is lost.
    bool may_have_strays;
};
// What the caller wants to be asked and told; each is optional. An upload is what other machines
// keep of an object that has not appeared yet; it must be finished or aborted. upload_begun comes
// before the first byte of it is sent, and its failure ends the put; upload_over when nothing is
// left of the upload.
struct store_hooks {
    bool (*keep_going)(void *context); // at least every second; false: CANCELED
    bool (*upload_begun)(void *context, const char *key, const char *upload_id, struct err *err);
    bool (*upload_over)(void *context, const char *key, const char *upload_id, struct err *err);
    void *context;
};
enum store_put_outcome {
    STORE_WRITTEN,
    STORE_WAS_THERE, // an object with these bytes
};
// Puts the file under its key, whole or not at all. An object that is there stays: with the same
// bytes all is well, with others it is a CONFLICT. The bytes are hashed before they are published:
// CORRUPT when they are not those of the spec, or when a store keeps confirming others. hooks may
// be NULL. DENIED and NOT_FOUND say what the owner of the store must do; UNAVAILABLE comes after
// retries.
NODISCARD bool store_put_file(struct store *store, const struct store_file_spec *spec,
                              const struct store_hooks *hooks, enum store_put_outcome *ret_outcome,
                              struct err *err);

enum store_state {
    STORE_ABSENT,
    STORE_SAME,       // an object with these bytes is there
    STORE_OTHER,      // one with other bytes
    STORE_UNREADABLE, // whoever asks may not know
};
NODISCARD bool store_check(struct store *store, const char *key, uint64_t size_bytes,
                           const uint8_t sha256[32], enum store_state *ret_state, struct err *err);
// Ends an upload of which store_put_file told and that somebody else cannot end any more. One that
// is not known is fine.
NODISCARD bool store_abort_upload(struct store *store, const char *key, const char *upload_id,
                                  struct err *err);

struct store_probe {
    bool is_readable;  // false: reading back is not permitted, which is fine
    bool is_deletable; // false: the object stays, as in a store that is written once
};
// Writes a small object, reads it back and deletes it. DENIED names the permission that is missing
// and how to grant it; CORRUPT when other bytes come back. key must be one that nobody else uses.
NODISCARD bool store_probe(struct store *store, const char *key, struct store_probe *ret_probe,
                           struct err *err);

// Opens an object for reading; the caller closes fd. NOT_FOUND. Never follows symbolic links.
// INVALID from stores of other machines. (Memory: through a memfd.)
NODISCARD bool store_open_object(struct store *store, const char *key, int *ret_fd,
                                 uint64_t *ret_size_bytes, struct err *err);
// Missing is fine. Empty directories above it are removed as well.
NODISCARD bool store_delete(struct store *store, const char *key, struct err *err);
// Removes what killed writers left behind (open uploads, too) and, unless is_listed says that
// somebody wants them, whole objects; both only when older than age_ms. is_listed NULL: every
// object is wanted. Reads the names of all objects: for now and then.
NODISCARD bool store_sweep(struct store *store, int64_t age_ms,
                           bool (*is_listed)(const char *key, void *context, bool *ret_is_listed,
                                             struct err *err),
                           void *context, struct err *err);
