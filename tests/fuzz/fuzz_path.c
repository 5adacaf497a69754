/* A request target against the table of routes, and its query string. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "server/api/filter.h"
#include "server/api/range.h"
#include "server/http/net.h"
#include "server/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

static void read_query(const char *raw, size_t len)
{
    struct query query;
    struct error err = {0};
    if (query_parse(&query, raw, len, &err)) {
        struct buf out;
        int64_t value;
        buf_init(&out, 1 << 20);
        for (int i = 0; i < query.count; i++)
            expect(text_is_utf8(query.items[i].value, strlen(query.items[i].value)));
        char wrong[65];
        filter_array(&out, &query, "status");
        filter_misspelt(&query, "status", "created running", wrong);
        expect(text_is_utf8(wrong, strlen(wrong)));
        buf_clear(&out);
        filter_next_query(&out, &query, "next");
        query_int(&query, "limit", 1, 200, 50, &value, &err);
        expect(value >= 1 && value <= 200);
        buf_release(&out);
    }
    query_release(&query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *entry = (char[]){"fleet.example.org"};
    struct config_list hosts = {&entry, 1};
    struct router_path path;
    struct router_match match;
    struct error err = {0};
    const char *text = (const char *)data;
    int status = router_split(&path, text, size, &err);
    expect(status == 0 || ((status == 400 || status == 414) && err.text[0] != '\0'));
    net_host_known(&hosts, text, size);
    struct range range;
    if (range_read(text, size, &range))
        expect(range.first < 0 ? range.last >= 0 : range.last < 0 || range.first <= range.last);
    if (status != 0)
        return 0;
    for (int i = 0; i < path.count && i < ROUTER_SEGMENTS; i++)
        expect(text_is_utf8(path.segments[i], strlen(path.segments[i])));
    if (router_find(server_routes, "GET", 3, &path, &match) == ROUTER_FOUND && match.id != NULL)
        expect(match.id[0] != '\0');
    read_query(path.query, path.query_len);
    return 0;
}
