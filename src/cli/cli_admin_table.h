// SPDX-License-Identifier: Apache-2.0
// Replies for people: a list of objects as a table, one object as lines of names and values.
#pragma once

#include "base/buf.h"
#include "base/json_tree.h"

void cli_admin_write_table(const struct json_node *reply, struct buf *destination);
