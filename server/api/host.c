/* Hosts: their list; GET, PUT and DELETE of one. */
#include <string.h>

#include "common/config/config.h"
#include "common/json.h"
#include "server/api/handlers.h"
#include "server/api/page.h"
#include "server/api/reply.h"
#include "server/api/request.h"
#include "server/server.h"

void api_host_list(struct call *call)
{
    page_list(call, "select status, body, next, location from "
                    "fleet.host_list($1::fleet.requester, $2::int, $3)");
}

void api_host_detail(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query(call,
                "select status, body, next, location from "
                "fleet.host_detail($1::fleet.requester, $2)",
                DB_REPEAT, 2, params);
    buf_release(&by);
}

void api_host_delete(struct call *call)
{
    struct buf by;
    const char *params[] = {request_by(call, &by), call->match.id};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.host_delete($1::fleet.requester, $2)",
                        DB_ONCE, 2, params);
    buf_release(&by);
}

/* --- PUT --- */

/* As under `hosts` of a configuration. */
static const char *const entry_members[] = {"host_id",      "hostname",    "ssh_user", "ssh_port",
                                            "ssh_key_path", "known_hosts", "work_dir", "workspace",
                                            "repositories", "agents",      NULL};

/* The path names the host; the body may repeat it. False: the call is answered. */
static bool name_host(struct call *call, struct json_object *entry)
{
    const char *id = json_string(entry, "host_id", call->match.id);
    if (strcmp(id, call->match.id) == 0) {
        json_object_object_add(entry, "host_id", json_object_new_string(id));
        return true;
    }
    call_error(call, 422, "invalid_value", "{\"member\": \"host_id\"}",
               "'host_id' has to be that of the path, %.64s; a host keeps its name for ever",
               call->match.id);
    return false;
}

/* The first problem is the sentence, all are the details. */
static void refuse(struct call *call, const struct config_list *problems)
{
    struct buf details;
    buf_init(&details, 65536);
    buf_adds(&details, "{\"problems\": [");
    for (size_t i = 0; i < problems->count; i++) {
        buf_adds(&details, i > 0 ? ", " : "");
        json_quote(&details, problems->items[i], strlen(problems->items[i]));
    }
    buf_adds(&details, "]}");
    call_error(call, 422, "invalid_value", details.failed ? NULL : buf_text(&details), "%s",
               problems->items[0]);
    buf_release(&details);
}

static struct json_object *texts(const struct config_list *list)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < list->count; i++)
        json_object_array_add(array, json_object_new_string(list->items[i]));
    return array;
}

static void add_text(struct json_object *to, const char *member, const char *text,
                     const char *plain)
{
    if (text != NULL && strcmp(text, plain) != 0)
        json_object_object_add(to, member, json_object_new_string(text));
}

static void add_texts(struct json_object *to, const char *member, const struct config_list *list)
{
    if (list->count > 0)
        json_object_object_add(to, member, texts(list));
}

/* Only where they say something: workers of the release before do not know them. */
static void complete_rest(struct json_object *to, const struct config_agent *agent)
{
    add_text(to, "model", agent->model, "");
    add_text(to, "account", agent->account, "");
    add_text(to, "isolation", agent->isolation, "shared");
    add_texts(to, "run_as", &agent->run_as);
    add_text(to, "sandbox", agent->sandbox, "none");
    add_texts(to, "writable", &agent->writable);
}

/* Every member but the paths as it was understood, so that SQL knows no defaults. */
static void complete(struct json_object *entry, const struct config_host *host)
{
    struct json_object *agents = json_object_new_array();
    for (size_t i = 0; i < host->agent_count; i++) {
        const struct config_agent *agent = &host->agents[i];
        struct json_object *to = json_object_new_object();
        json_object_object_add(to, "agent_type", json_object_new_string(agent->agent_type));
        json_object_object_add(to, "max_concurrency", json_object_new_int(agent->max_concurrency));
        json_object_object_add(to, "capabilities", texts(&agent->capabilities));
        json_object_object_add(to, "profile", json_object_new_string(agent->profile));
        complete_rest(to, agent);
        json_object_array_add(agents, to);
    }
    json_object_object_add(entry, "ssh_port", json_object_new_int(host->ssh_port));
    json_object_object_add(entry, "workspace", json_object_new_string(host->workspace));
    json_object_object_add(entry, "repositories", texts(&host->repositories));
    json_object_object_add(entry, "agents", agents);
}

static const char *text_of(struct json_object *entry)
{
    return json_object_to_json_string_ext(entry,
                                          JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

static void put(struct call *call, struct json_object *entry)
{
    struct config_list problems;
    struct buf by;
    const char *text = text_of(entry);
    struct config *config =
        config_parse_host(text, strlen(text), call_server(call)->config, CONFIG_SERVER, &problems);
    if (config == NULL) {
        refuse(call, &problems);
        config_list_release(&problems);
        return;
    }
    complete(entry, &config->hosts[0]);
    config_free(config);
    const char *params[] = {request_by(call, &by), call->match.id, text_of(entry)};
    reply_query_locking(call, call->match.id,
                        "select status, body, next, location from "
                        "fleet.host_put($1::fleet.requester, $2, $3::jsonb)",
                        DB_ONCE, 3, params);
    buf_release(&by);
}

void api_host_put(struct call *call)
{
    struct json_object *entry;
    if (!request_object(call, entry_members, &entry))
        return;
    if (name_host(call, entry))
        put(call, entry);
    json_object_put(entry);
}
