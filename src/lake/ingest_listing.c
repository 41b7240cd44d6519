// SPDX-License-Identifier: Apache-2.0
// What recovery finds in DIR/log. Names that are not the log's are left alone.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/mem.h"
#include "lake/ingest_recover.h"

void ingest_listing_clear(struct ingest_listing *listing)
{
    mem_free(listing->bulks);
}

// The hexadecimal number between prefix and ".log".
static bool ingest_parse_name(const char *name, const char *prefix, uint64_t *ret_number)
{
    const size_t prefix_chars = strlen(prefix);
    uint8_t bytes[8];
    if (strncmp(name, prefix, prefix_chars) != 0 || strlen(name) != prefix_chars + 16 + 4 ||
        strcmp(name + prefix_chars + 16, ".log") != 0 ||
        !hex_decode(slice_of(name + prefix_chars, 16), bytes, sizeof bytes))
        return false;
    *ret_number = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        *ret_number = *ret_number << 8 | bytes[i];
    return true;
}

static bool ingest_parse_file_id(const char *name, int64_t *ret_id)
{
    if (strlen(name) != 14 || strspn(name, "0123456789") != 10 || strcmp(name + 10, ".log") != 0)
        return false;
    *ret_id = strtoll(name, NULL, 10);
    return true;
}

static bool ingest_list_spare(struct ingest_log *log, uint64_t name, struct err *err)
{
    struct ingest_writer *writer = &log->writer;
    if (writer->spare_count < INGEST_SPARES_MAX) {
        writer->spares[writer->spare_count++] = name;
        return true;
    }
    char path[INGEST_PATH_CHARS];
    ingest_writer_spare_path(writer, name, path);
    return file_remove(path, err);
}

static bool ingest_list_entry(struct ingest_log *log, const char *name,
                              struct ingest_listing *listing, struct err *err)
{
    int64_t id;
    uint64_t number;
    if (ingest_parse_file_id(name, &id)) {
        listing->last_id = id > listing->last_id ? id : listing->last_id;
    } else if (ingest_parse_name(name, "bulk-", &number)) {
        listing->bulks = mem_resize(listing->bulks,
                                    (listing->bulk_count + 1) * sizeof *listing->bulks);
        listing->bulks[listing->bulk_count++] = number;
    } else if (ingest_parse_name(name, "spare-", &number)) {
        return ingest_list_spare(log, number, err);
    }
    return true;
}

static void ingest_close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

bool ingest_list(struct ingest_log *log, struct ingest_listing *listing, struct err *err)
{
    char path[INGEST_PATH_CHARS];
    const int size = snprintf(path, sizeof path, "%s/log", log->data_directory);
    ASSERT(size > 0 && (size_t)size < sizeof path);
    DIR *entries CLEANUP(ingest_close_directory) = opendir(path);
    if (entries == NULL)
        return err_set_errno(err, "open directory %s", path);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (entry == NULL && errno != 0)
            return err_set_errno(err, "read directory %s", path);
        if (entry == NULL)
            return true;
        TRY(ingest_list_entry(log, entry->d_name, listing, err));
    }
}
