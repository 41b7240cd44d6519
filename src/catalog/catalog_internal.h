// SPDX-License-Identifier: Apache-2.0
// Shared by the files of this folder alone.
#pragma once

#include "catalog/catalog.h"
#include "db/db.h"

struct catalog {
    struct db *db;
    int64_t seen_version; // of catalog_poll
};

extern const char catalog_schema_sql[];
