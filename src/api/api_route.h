// SPDX-License-Identifier: Apache-2.0
// What calls there are: one table for dispatch, metrics and /openapi.json. Read-only data.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct api_call;

enum api_access {
    API_ACCESS_PUBLIC,
    API_ACCESS_BRANCH,    // token with permission and app_id or organization_id; 400 for all else
    API_ACCESS_SUBSCRIBE, // as before, with the statuses documented for the subscribe call
    API_ACCESS_NATIVE,    // token of an organization with permission; app_id may narrow it
    API_ACCESS_ADMIN,
    API_ACCESS_INGEST, // its own rules for app_id
    API_ACCESS_SIGNED, // by signature in the query or the headers
};

enum api_mode {
    API_MODE_INLINE,   // on the server's thread: reads little
    API_MODE_DEFERRED, // on a writer thread
    API_MODE_STREAMED, // ingest
    API_MODE_BUCKET,   // speaks XML and replies with files
};

// Requests that have a budget of their own besides the general one (api_rate.h).
enum api_budget {
    API_BUDGET_GENERAL,
    API_BUDGET_NONE,          // whoever asks must be answered: monitors, signed downloads
    API_BUDGET_EXPORT_CREATE, // custom exports
    API_BUDGET_EXPORT_STATUS,
};

enum api_trait {
    API_PAGED = 1,          // takes limit and cursor, and gives Link (api_page.h)
    API_ETAGGED = 2,        // gives ETag; GET takes If-None-Match, what changes takes If-Match
    API_SCOPED_BY_BODY = 4, // the query need not name app or organization
};

// A row is its first nine columns in this order, then those that have a name:
// {"POST", "/v1/things", api_thing_create, API_ACCESS_NATIVE, API_MODE_DEFERRED, EXPORT, "app_id",
//  "ThingRequest", "Creates a thing", .id = "createThing", .reply = "Thing"}
// Names of shapes are those of the tables in api_shapes*.c, parameters those of api_parameters.c.
struct api_route {
    const char *method;
    const char *pattern; // "{name}" stands for one segment, a final "*" for the rest
    bool (*handler)(struct api_call *call, struct err *err); // NULL: streamed, files of the bucket
    enum api_access access;
    enum api_mode mode;
    unsigned permissions; // of enum tenant_permission: one of them is needed
    const char *query;    // names that may come, separated by spaces; '!' marks needed ones
    const char *request;  // shape of the JSON body; NULL: none
    const char *doc;
    const char *id;    // the operation's name in /openapi.json
    const char *reply; // type of the body of a 200 (api_shapes.h); NULL: it is no JSON
    // What the call answers beside 200 and what its access, mode and traits bring: "202 409".
    const char *statuses;
    // Of calls that create: takes Idempotency-Key. Stages the reply to a repeated request, from
    // the id of the thing that the first one made; what is shown once is null then.
    bool (*replay)(struct api_call *call, const char *object_id, struct err *err);
    unsigned traits; // of enum api_trait
    enum api_budget budget;
};

extern const struct api_route api_routes[];
extern const size_t api_route_count;

#define API_ROUTE_PARAMS_MAX  ((size_t)2)
#define API_ROUTE_ALLOW_CHARS ((size_t)48)

struct api_match {
    const struct api_route *route; // NULL: none
    struct slice params[API_ROUTE_PARAMS_MAX];
    // Methods that the path takes ("GET, HEAD, POST, OPTIONS"), empty for an unknown path.
    char allow[API_ROUTE_ALLOW_CHARS];
};

// path: decoded. One trailing slash is tolerated (not below /exports/), both prefixes of the Branch
// surface are the same, HEAD is matched by rows of
// GET as well, and rows that come first win.
void api_route_match(struct slice method, struct slice path, struct api_match *ret_match);

// The next name of a list as in api_route.query; false at the end.
struct api_route_name {
    struct slice name;
    bool is_needed;
};
bool api_route_next_name(struct slice *list, struct api_route_name *ret_name);
