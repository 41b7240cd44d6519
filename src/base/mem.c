// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static void *mem_or_abort(void *data, size_t size_bytes)
{
    if (data == NULL) {
        (void)fprintf(stderr, "level=fatal event=out_of_memory size_bytes=%zu\n", size_bytes);
        abort();
    }
    return data;
}

void *mem_alloc(size_t size_bytes)
{
    return mem_or_abort(calloc(1, size_bytes > 0 ? size_bytes : 1), size_bytes);
}

void *mem_alloc_array(size_t count, size_t item_size_bytes)
{
    ASSERT(item_size_bytes > 0);
    ASSERT(count <= SIZE_MAX / item_size_bytes);
    return mem_alloc(count * item_size_bytes);
}

void *mem_resize(void *data, size_t size_bytes)
{
    return mem_or_abort(realloc(data, size_bytes > 0 ? size_bytes : 1), size_bytes);
}

char *mem_copy_text(const char *text)
{
    ASSERT(text != NULL);
    return mem_or_abort(strdup(text), strlen(text) + 1);
}

void mem_free(void *data)
{
    free(data);
}

void mem_free_at(void *address)
{
    void *data;
    memcpy(&data, address, sizeof data);
    free(data);
    data = NULL;
    memcpy(address, &data, sizeof data);
}
