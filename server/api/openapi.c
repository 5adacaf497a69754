/* GET /api/v1/openapi.json: the routing table, as others read it. */
#include "server/openapi/openapi.h"
#include "server/api/handlers.h"
#include "server/server.h"

void api_openapi(struct call *call)
{
    struct buf out;
    buf_init(&out, OPENAPI_MAX);
    openapi_write(&out, call_server(call)->routes);
    call_json(call, 200, buf_text(&out));
    buf_release(&out);
}
