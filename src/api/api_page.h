// SPDX-License-Identifier: Apache-2.0
// Lists page by page, for clients that ask with `limit`: the array stays an array, and the next
// page is named by a Link header with a cursor. A cursor holds the place of the last element in the
// list's order, so nothing is left out or comes twice because elements before it came or went. It
// is authenticated, and good for the same list of the same caller alone.
//
//     struct api_page page;
//     TRY(api_page_open(call, API_PAGE_ASCENDING, &page, err));
//     for (each element in the list's order)
//         if (api_page_takes(&page, (struct api_place){element->created_at_ms, element->id}))
//             write(element);
//     api_page_close(&page);
#pragma once

#include "api/api_internal.h"

#define API_PAGE_MAX ((size_t)10000) // elements of a page, also of one without limit

enum api_page_order {
    API_PAGE_ASCENDING,
    API_PAGE_DESCENDING,
};

// Where an element stands: by number, then by text.
struct api_place {
    int64_t number;
    const char *text; // ASCII without a NUL; may be NULL for none
};

struct api_page {
    struct api_call *call;
    enum api_page_order order;
    size_t limit;
    bool has_limit; // asked for, or a cursor came
    bool has_start; // only what stands behind start
    struct api_place start;
    struct api_place last; // that was taken
    size_t count;          // that were taken
    bool has_more;
};

// Reads limit and cursor. "Invalid parameter: limit", "Invalid cursor".
NODISCARD bool api_page_open(struct api_call *call, enum api_page_order order,
                             struct api_page *ret_page, struct err *err);

// Whether the element belongs on the page. Texts must live as long as the call.
bool api_page_takes(struct api_page *page, struct api_place place);

// More elements are of no use: there is no room, and it is known that there are more.
static inline bool api_page_is_over(const struct api_page *page)
{
    return page->has_more;
}

// Stages the Link header when there are more elements.
void api_page_close(struct api_page *page);
