/* What this server does now, in one line for people. */
#include <stdio.h>

#include "server/server.h"

bool server_status(void *data, char *text, size_t size)
{
    const struct server *server = data;
    const char *bind = server->config->server.bind;
    int port = http_port(server->http);
    const char *trouble = db_up(server->db) ? node_trouble(server->node) : db_refusal(server->db);
    bool up = db_up(server->db) && node_id(server->node) != NULL;
    if (server->draining)
        snprintf(text, size, "stopping: requests under way are finished");
    else if (!up)
        snprintf(text, size, "waiting for the database%s%s", *trouble != '\0' ? ": " : "", trouble);
    else
        snprintf(text, size, "serving on %s port %d", bind, port);
    return up && !server->draining;
}
