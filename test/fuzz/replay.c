// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over a directory of inputs without the fuzzer: each file, and each of its
// beginnings. So what was once found stays found, in every run of the tests.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

#define REPLAY_FILE_BYTES_MAX   ((size_t)4 * 1024 * 1024)
#define REPLAY_PREFIX_BYTES_MAX ((size_t)4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A copy of its own for each call, so that reading past the end is seen.
static void replay_bytes(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size); // 0 by the interface
    free(copy);
}

static bool replay_file(const char *path, struct err *err)
{
    struct buf text CLEANUP(buf_clear);
    buf_init(&text, REPLAY_FILE_BYTES_MAX);
    TRY(file_read(path, &text, err));
    const size_t prefix_max = text.size_bytes < REPLAY_PREFIX_BYTES_MAX ? text.size_bytes
                                                                        : REPLAY_PREFIX_BYTES_MAX;
    for (size_t size = 0; size < prefix_max; size++)
        replay_bytes((const uint8_t *)text.data, size);
    replay_bytes((const uint8_t *)text.data, text.size_bytes);
    return true;
}

int main(int argc, char **argv)
{
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    if (directory == NULL) {
        (void)fprintf(stderr, "usage: replay DIRECTORY\n");
        return 2;
    }
    int count = 0;
    int status = 0;
    for (const struct dirent *entry = readdir(directory); entry != NULL;
         entry = readdir(directory)) {
        if (entry->d_name[0] == '.')
            continue;
        struct err err = {0};
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (!replay_file(path, &err)) {
            (void)fprintf(stderr, "%s\n", err.message);
            status = 1;
        }
        count++;
    }
    (void)closedir(directory);
    (void)printf("%d files\n", count);
    return count == 0 ? 1 : status; // a corpus that is not there tests nothing
}
