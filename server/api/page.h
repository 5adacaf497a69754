/* Which page of a list is asked for: limit and cursor. */
#ifndef FLEET_API_PAGE_H
#define FLEET_API_PAGE_H

#include <stdbool.h>

#include "server/http/call.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX 200

struct page {
    char limit[24];
    /* Borrowed from the call's query; NULL: the first page. What it may be, the SQL function of the
     * list knows. */
    const char *cursor;
};

/* False: the call is answered. */
bool page_read(struct call *call, struct page *page);

/* A list that has nothing but pages: `sql` takes $1 the requester, $2 the limit, $3 the cursor. */
void page_list(struct call *call, const char *sql);

#endif
