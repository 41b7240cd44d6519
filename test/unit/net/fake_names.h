// SPDX-License-Identifier: Apache-2.0
// The system's look-up of names, replaced for the program that is linked with this: names under
// .test have the addresses that the test says. All others go to the system.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct fake_name {
    const char *name;
    const char *addresses[8];       // up to the first NULL
    const char *later_addresses[8]; // from the second look-up on; none: the same
    int delay_ms;
    _Atomic int look_up_count;
};

// The names must stay as long as anybody may look them up.
void fake_names_set(struct fake_name *names, int count);
