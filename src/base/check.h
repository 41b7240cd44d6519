// SPDX-License-Identifier: Apache-2.0
// Assertions against our own mistakes, never against input, disk or network. Always compiled in: a
// process that finds its own state impossible stops, and its supervisor starts a fresh one.
// One condition per ASSERT, free of side effects.
#pragma once

#include <stddef.h>

_Noreturn void check_failed(const char *condition, const char *file, int line);

#define ASSERT(condition) ((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

#define ARRAY_COUNT(array) (sizeof(array) / sizeof((array)[0]))
