// SPDX-License-Identifier: Apache-2.0
// What the answers of S3-compatible stores mean. Pure.
#pragma once

#include "base/err.h"
#include "cloud/s3_client.h"

enum s3_step {
    S3_STEP_DONE,    // answer says how
    S3_STEP_LATER,   // may pass
    S3_STEP_REFRESH, // with other credentials
    S3_STEP_CLOCK,   // with the store's time
    S3_STEP_MOVE,    // in another region
    S3_STEP_FAIL,    // kind and text say why; DENIED: a permission is missing
};

struct s3_meaning {
    enum s3_step step;
    enum s3_answer answer; // DONE
    enum err_kind kind;    // FAIL, and where REFRESH, CLOCK and MOVE lead to nothing
    const char *text;      // the same
};

// code: that of the error in the body, NULL: none, as always for HEAD.
struct s3_meaning s3_meaning_of(int status, const char *code);
