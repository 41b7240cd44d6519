// SPDX-License-Identifier: Apache-2.0
// The mail of a job: what was exported, and signed links to its files. Each recipient is settled
// alone, so that one who was refused keeps nobody else from it, and a second try goes to those who
// still wait.
#pragma once

#include "job/job_deliver.h"

// UNAVAILABLE while somebody's mail was put off; DENIED when all recipients were refused.
NODISCARD bool job_mail_send(const struct job_delivery *delivery, struct err *err);
