// SPDX-License-Identifier: Apache-2.0
// What export files really hold: the SHA-256 of a file's bytes, read once and remembered for as
// long as the file's device, inode, size and times stay. Bounded, by forgetting what was read
// earlier. Thread-safe.
#pragma once

#include <stdint.h>

#include "base/err.h"

struct api_digests;

struct api_digests *api_digests_new(void);
void api_digests_free(struct api_digests **digests);

// Never reads the file. False when its bytes are not known.
NODISCARD bool api_digests_find(struct api_digests *digests, int fd, uint8_t ret_digest[32]);

// Reads the whole file, which may take seconds; fd's position stays. A file that was changed a
// moment ago is not remembered: another change could leave its times as they are. IO.
NODISCARD bool api_digests_read(struct api_digests *digests, int fd, uint8_t ret_digest[32],
                                struct err *err);

// Files that were read.
int64_t api_digests_read_count(const struct api_digests *digests);
