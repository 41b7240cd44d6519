// SPDX-License-Identifier: Apache-2.0
// Matching of paths against the route table. The table has some thirty rows, so it is walked.
#include "api/api_route.h"

#include <stdio.h>

#include "base/check.h"

#define API_PREFIX_TWICE "/scheduled-exports/exports/logs/"
#define API_PREFIX_CUT   (sizeof "/scheduled-exports/exports" - 1) // what follows is "/logs/"

// The path in two pieces, so that the second prefix needs no copy: head is empty or
// "/scheduled-exports".
struct api_path {
    struct slice head;
    struct slice rest;
};

static struct slice api_next_segment(struct slice *path)
{
    ASSERT(!slice_is_empty(*path));
    const char *start = (const char *)path->data + 1; // past '/'
    const size_t room = path->size_bytes - 1;
    const char *slash = room == 0 ? NULL : memchr(start, '/', room);
    const size_t size = slash == NULL ? room : (size_t)(slash - start);
    *path = slice_from(*path, 1 + size);
    return slice_of(start, size);
}

static struct slice api_path_next(struct api_path *path)
{
    return api_next_segment(slice_is_empty(path->head) ? &path->rest : &path->head);
}

static bool api_path_is_done(const struct api_path *path)
{
    return slice_is_empty(path->head) && slice_is_empty(path->rest);
}

static bool api_is_param(struct slice segment)
{
    return slice_starts_with(segment, slice_text("{"));
}

static bool api_pattern_matches(const char *pattern, struct api_path path,
                                struct slice params[API_ROUTE_PARAMS_MAX])
{
    struct slice rest = slice_text(pattern);
    size_t param_count = 0;
    while (!slice_is_empty(rest)) {
        const struct slice wanted = api_next_segment(&rest);
        if (api_path_is_done(&path))
            return false;
        if (slice_equal_text(wanted, "*")) {
            params[param_count] = slice_from(path.rest, 1);
            return true;
        }
        const struct slice got = api_path_next(&path);
        if (!api_is_param(wanted)) {
            if (!slice_equal(wanted, got))
                return false;
            continue;
        }
        if (slice_is_empty(got))
            return false;
        ASSERT(param_count < API_ROUTE_PARAMS_MAX);
        params[param_count++] = got;
    }
    return api_path_is_done(&path);
}

static struct api_path api_path_normal(struct slice path)
{
    const char *bytes = slice_chars(path);
    const bool is_bucket = slice_starts_with(path, slice_text("/exports/"));
    if (!is_bucket && path.size_bytes > 2 && bytes[path.size_bytes - 1] == '/')
        path = slice_part(path, 0, path.size_bytes - 1);
    if (!slice_starts_with(path, slice_text(API_PREFIX_TWICE)))
        return (struct api_path){.rest = path};
    return (struct api_path){
        .head = slice_part(path, 0, sizeof "/scheduled-exports" - 1),
        .rest = slice_from(path, API_PREFIX_CUT),
    };
}

static void api_allow_add(char allow[API_ROUTE_ALLOW_CHARS], const char *method)
{
    if (strstr(allow, method) != NULL)
        return;
    const size_t size = strlen(allow);
    const int added = snprintf(allow + size, API_ROUTE_ALLOW_CHARS - size, "%s%s",
                               size == 0 ? "" : ", ", method);
    ASSERT(added > 0);
    ASSERT((size_t)added < API_ROUTE_ALLOW_CHARS - size);
}

void api_route_match(struct slice method, struct slice path, struct api_match *ret_match)
{
    *ret_match = (struct api_match){0};
    if (slice_is_empty(path) || slice_chars(path)[0] != '/')
        return;
    const struct api_path normal = api_path_normal(path);
    const bool is_head = slice_equal_text(method, "HEAD");
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        struct slice params[API_ROUTE_PARAMS_MAX] = {{0}};
        if (!api_pattern_matches(route->pattern, normal, params))
            continue;
        api_allow_add(ret_match->allow, route->method);
        if (strcmp(route->method, "GET") == 0)
            api_allow_add(ret_match->allow, "HEAD");
        const bool fits = slice_equal_text(method, route->method) ||
                          (is_head && strcmp(route->method, "GET") == 0);
        if (!fits || ret_match->route != NULL)
            continue;
        ret_match->route = route;
        memcpy(ret_match->params, params, sizeof params);
    }
    if (ret_match->allow[0] != '\0')
        api_allow_add(ret_match->allow, "OPTIONS");
}

bool api_route_next_name(struct slice *list, struct api_route_name *ret_name)
{
    if (slice_is_empty(*list))
        return false;
    const char *space = memchr(list->data, ' ', list->size_bytes);
    const size_t size = space == NULL ? list->size_bytes : (size_t)(space - slice_chars(*list));
    struct slice name = slice_part(*list, 0, size);
    *list = space == NULL ? slice_of(NULL, 0) : slice_from(*list, size + 1);
    ret_name->is_needed = size > 0 && slice_chars(name)[size - 1] == '!';
    ret_name->name = slice_part(name, 0, size - (ret_name->is_needed ? 1 : 0));
    return true;
}
