// SPDX-License-Identifier: Apache-2.0
// A file of lines, plain or gzip (told by its first bytes), read in batches of whole lines. One
// thread.
#pragma once

#include "base/err.h"
#include "base/slice.h"

struct line_file;

// batch_bytes: a batch ends with the last line that fits; a longer line is a batch of its own, up
// to 16 times as long (LIMIT beyond).
NODISCARD bool line_file_open(const char *path, size_t batch_bytes, struct line_file **ret_file,
                              struct err *err);
void line_file_close(struct line_file **file);

// The next lines, valid until the next call; empty at the end. INVALID for damaged gzip data.
NODISCARD bool line_file_next(struct line_file *file, struct slice *ret_lines, struct err *err);

// Number of the first line of the batch that was returned last, from 1.
uint64_t line_file_first_line(const struct line_file *file);
// Bytes of the file that have been read, for progress.
uint64_t line_file_position(const struct line_file *file);
