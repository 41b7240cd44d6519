// SPDX-License-Identifier: Apache-2.0
// Where a failed assertion ends: one line on standard error, then abort.
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "level=fatal event=assertion_failed file=%s line=%d condition=\"%s\"\n",
                  file, line, condition);
    abort();
}
