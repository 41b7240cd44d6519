// SPDX-License-Identifier: Apache-2.0
// Heap memory. Running out of it aborts, here and nowhere else, so no caller has a path for it:
// every size that input can drive is bounded before it is allocated, and a killed process is
// restarted by its supervisor and repeats its work from the catalog. Thread-safe.
#pragma once

#include <stddef.h>

// Calls the destructor, which takes the variable's address, when the variable leaves its scope.
#define CLEANUP(destructor) __attribute__((cleanup(destructor)))

// Zeroed; never NULL. Sizes of zero give a valid pointer.
void *mem_alloc(size_t size_bytes);
void *mem_alloc_array(size_t count, size_t item_size_bytes);

// Grows or shrinks; new bytes are not zeroed.
void *mem_resize(void *data, size_t size_bytes);

char *mem_copy_text(const char *text);

void mem_free(void *data);

// For CLEANUP on char * and other plain heap pointers: frees *(void **)address and sets it NULL.
void mem_free_at(void *address);
