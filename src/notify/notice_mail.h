// SPDX-License-Identifier: Apache-2.0
// A notice as a mail: plain text of our own words, with ids, times and numbers. The one part that a
// tenant may have had a hand in, the reason of a failure, is written so that no program makes a
// link of it. Pure.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "catalog/notices.h"

struct notice_mail {
    const char *subject; // ASCII
    const char *text;    // ASCII
};

// Texts live in the arena. CORRUPT when the notice's body is none.
NODISCARD bool notice_mail_compose(const struct notice *notice, struct arena *arena,
                                   struct notice_mail *ret_mail, struct err *err);

// text with '?' for all but printable ASCII, and without what makes links: dots, slashes, colons
// and at-signs between other characters become '_'.
const char *notice_mail_defuse(struct slice text, struct arena *arena);
