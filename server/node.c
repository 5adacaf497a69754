/* This server's row among the nodes: written, renewed, and ended. */
#include "server/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/db/trouble.h"
#include "common/log.h"
#include "common/mem.h"

struct node {
    struct db *db;     /* borrowed */
    char *name;        /* owned */
    char *config_hash; /* owned */
    char id[37];
    bool registered;
    bool stopping;
    struct timer timer; /* the next beat, or the next try to register */
    uint64_t beat_ms;
    struct db_trouble trouble;
    void (*on_stopped)(void *data);
    void *stopped_data;
};

static void node_register(struct node *node);

static void on_registered(void *data, const struct db_result *res, const struct error *err)
{
    struct node *node = data;
    if (node->stopping)
        return;
    if (err != NULL && strcmp(err->state, "AF002") == 0)
        crypto_uuid(node->id); /* declared dead: come back as another one */
    char text[400] = "";
    if (err != NULL)
        db_trouble_text(err, "server", text, sizeof text);
    else
        db_trouble_schema(db_int(res, 0, "schema_version", 0), FLEET_SCHEMA, text, sizeof text);
    if (text[0] != '\0') {
        if (err == NULL || !db_trouble_said_elsewhere(err))
            db_trouble_say(&node->trouble, text);
        timer_start(&node->timer, (uint64_t)db_trouble_pause(&node->trouble), 0);
        return;
    }
    db_trouble_end(&node->trouble);
    node->beat_ms = (uint64_t)db_int(res, 0, "beat_ms", 3000);
    if (!node->registered)
        log_info(LOG_ABOUT(LOG_FIELD("node", node->id)),
                 "registered as %s in fleet %s, schema %lld", node->name,
                 db_text(res, 0, "fleet_id"), (long long)db_int(res, 0, "schema_version", 0));
    node->registered = true;
    timer_start(&node->timer, node->beat_ms, 0);
}

static void node_register(struct node *node)
{
    char schema[12];
    const char *params[] = {node->id, node->name, FLEET_VERSION, node->config_hash, schema};
    snprintf(schema, sizeof schema, "%d", FLEET_SCHEMA);
    db_query(
        node->db,
        "select fleet_id, schema_version, beat_ms from fleet.node_start($1::uuid, 'server', $2, "
        "$3, $4, $5::int)",
        DB_REPEAT, 5, params, on_registered, node);
}

static void on_beat(void *data, const struct db_result *res, const struct error *err)
{
    struct node *node = data;
    (void)res;
    if (node->stopping)
        return;
    if (err != NULL && strcmp(err->state, "AF002") == 0) {
        log_warn(LOG_ABOUT(LOG_FIELD("node", node->id)), "declared dead: registering anew");
        crypto_uuid(node->id);
        node->registered = false;
        node_register(node);
        return;
    }
    timer_start(&node->timer, node->beat_ms, 0);
}

static void on_time(void *data)
{
    struct node *node = data;
    const char *params[] = {node->id};
    if (!node->registered)
        node_register(node);
    else
        db_query(node->db, "select kind from fleet.renew($1::uuid, '{}'::bigint[])", DB_REPEAT, 1,
                 params, on_beat, node);
}

struct node *node_new(struct loop *loop, struct db *db, const char *name, const char *config_hash)
{
    struct node *node = mem_alloc(sizeof *node);
    node->db = db;
    node->name = mem_strdup(name);
    node->config_hash = mem_strdup(config_hash);
    crypto_uuid(node->id);
    timer_init(&node->timer, loop, on_time, node);
    return node;
}

const char *node_id(const struct node *node)
{
    return node->registered && !node->stopping ? node->id : NULL;
}

const char *node_trouble(const struct node *node)
{
    return node->trouble.now;
}

void node_start(struct node *node)
{
    node_register(node);
}

void node_config(struct node *node, const char *config_hash)
{
    free(node->config_hash);
    node->config_hash = mem_strdup(config_hash);
    if (!node->registered || node->stopping)
        return;
    timer_stop(&node->timer);
    node_register(node);
}

static void on_timer_closed(void *data)
{
    struct node *node = data;
    node->on_stopped(node->stopped_data);
}

static void on_left(void *data, const struct db_result *res, const struct error *err)
{
    struct node *node = data;
    (void)res;
    if (err != NULL)
        log_warn(LOG_ABOUT(LOG_FIELD("node", node->id)), "could not take its leave: %s", err->text);
    timer_close(&node->timer, on_timer_closed);
}

void node_stop(struct node *node, void (*on_stopped)(void *data), void *data)
{
    node->stopping = true;
    node->on_stopped = on_stopped;
    node->stopped_data = data;
    timer_stop(&node->timer);
    const char *params[] = {node->id};
    db_query(node->db, "select fleet.node_stop($1::uuid)", DB_REPEAT, 1, params, on_left, node);
}

void node_free(struct node *node)
{
    if (node == NULL)
        return;
    free(node->name);
    free(node->config_hash);
    free(node);
}
