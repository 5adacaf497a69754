/* limit and cursor, as every list takes them. */
#include "server/api/page.h"

#include <stdio.h>

#include "server/api/reply.h"
#include "server/api/request.h"

bool page_read(struct call *call, struct page *page)
{
    struct error err = {0};
    int64_t limit;
    if (!query_int(&call->query, "limit", 1, PAGE_MAX, PAGE_DEFAULT, &limit, &err) ||
        !query_text(&call->query, "cursor", &page->cursor, &err)) {
        call_error(call, 422, "invalid_value", NULL, "%s", err.text);
        return false;
    }
    snprintf(page->limit, sizeof page->limit, "%lld", (long long)limit);
    return true;
}

void page_list(struct call *call, const char *sql)
{
    struct page page;
    struct buf by;
    if (!page_read(call, &page))
        return;
    const char *params[] = {request_by(call, &by), page.limit, page.cursor};
    reply_query(call, sql, DB_REPEAT, 3, params);
    buf_release(&by);
}
