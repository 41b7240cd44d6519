// SPDX-License-Identifier: Apache-2.0
// Time zones of the tz database, read from the system's compiled files (TZif, RFC 8536 and 9636):
// no time zone of the process, no locale, nothing cached, so that an update of the database acts at
// the next load. A zone is constant after its load; any thread may read it. Where a zone is taken,
// NULL is UTC, which needs no database.
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/civil.h"
#include "base/err.h"
#include "base/slice.h"

#define ZONE_DIRECTORY      "/usr/share/zoneinfo"
#define ZONE_NAME_CHARS_MAX ((size_t)64)
#define ZONE_FILE_BYTES_MAX ((size_t)1024 * 1024)

struct zone;

// The zone of that name (Europe/Berlin, UTC, Etc/GMT+5, US/Pacific) below directory, which is
// ZONE_DIRECTORY unless an operator keeps another one. Lives in arena.
//
// Names are case-sensitive; each part begins with a capital letter and has letters, digits and
// _ + - only. That leaves out the machine's own "localtime", the folders "posix" and "right" and
// all that is no zone. INVALID "Invalid timezone": no such name. CORRUPT: its file is damaged,
// larger than ZONE_FILE_BYTES_MAX or counts leap seconds. IO: it cannot be read, or there is no
// database.
NODISCARD bool zone_load(const char *directory, struct slice name, struct arena *arena,
                         const struct zone **ret_zone, struct err *err);

// The zone from the bytes of a TZif file, version 1 to 9. Lives in arena, bytes are not kept.
// CORRUPT says what is wrong with them.
NODISCARD bool zone_parse(struct slice bytes, struct arena *arena, const struct zone **ret_zone,
                          struct err *err);

// Local time minus UTC at an instant between CIVIL_FIRST_MS and CIVIL_LAST_MS; less than 26 hours
// either way, in whole seconds. After the last transition of the file its POSIX rule decides, for
// ever; before the first one the file's first offset, which is local mean time for most places.
int64_t zone_offset_ms(const struct zone *zone, int64_t time_ms);

// Which instant is meant when clocks went back and showed a local time twice.
enum zone_pick {
    ZONE_PICK_FIRST,
    ZONE_PICK_LAST,
};

// The instant at which clocks of the zone show the local time, which must be valid
// (civil_is_valid). A time that clocks skipped moves forward by what they skipped: 02:30 where
// 02:00 was followed by 03:00 is the instant that is called 03:30. The result may lie up to 26
// hours outside of CIVIL_FIRST_MS and CIVIL_LAST_MS.
int64_t zone_local_to_ms(const struct zone *zone, struct civil local, enum zone_pick pick);

// The database's version, as "2025b", for manifests and bug reports: from the first line of
// tzdata.zi, else from the file +VERSION, else "unknown". At most 31 characters and NUL.
#define ZONE_VERSION_CHARS 31
void zone_database_version(const char *directory, char ret_version[ZONE_VERSION_CHARS + 1]);
