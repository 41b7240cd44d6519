// SPDX-License-Identifier: Apache-2.0
// Where the files of segments are: lake/<day of making>/<16 hex digits>.parquet below the data
// directory. The name is random, so that a step that died and its repetition never write one file;
// the day only keeps directories small. The catalog stores the relative path. Thread-safe.
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/rng.h"

#define SEGMENT_PATH_DIRECTORY "lake"
#define SEGMENT_PATH_CHARS     40 // "lake/2023-05-19/0123456789abcdef.parquet"

// A new relative path.
void segment_path_new(struct rng *rng, int64_t now_ms, char ret_path[SEGMENT_PATH_CHARS + 1]);

// data_directory/path, in arena.
const char *segment_path_full(struct arena *arena, const char *data_directory, const char *path);

// Makes the directory that will hold the file, durably.
NODISCARD bool segment_path_make_directory(const char *full_path, struct err *err);
