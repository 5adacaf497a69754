/* The node's state, its lease, and what a failed call in its own name means. */
#include "worker/node/node.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"

void node_init(struct node *node, struct loop *loop, struct db *db, struct config *config,
               const char *name)
{
    *node = (struct node){.loop = loop, .db = db, .settings = settings_new(config), .life = 1};
    snprintf(node->name, sizeof node->name, "%s", name);
    crypto_uuid(node->id);
}

void node_release(struct node *node)
{
    settings_drop(node->settings);
}

void node_set(struct node *node, enum node_state state)
{
    static const char *const names[] = {"offline", "registered", "live", "draining", "stopped"};
    log_debug(NULL, "node %s after %s", names[state], names[node->state]);
    node->state = state;
}

void node_take_config(struct node *node, struct config *config)
{
    settings_drop(node->settings);
    node->settings = settings_new(config);
}

void node_reborn(struct node *node)
{
    crypto_uuid(node->id);
    node->life++;
    node->renewed = 0;
    node_set(node, NODE_OFFLINE);
}

void node_renewed(struct node *node, int64_t sent)
{
    if (db_trouble_end(&node->trouble))
        log_info(NULL, "the database takes our calls again");
    if (node->fenced)
        log_info(NULL, "the lease stands again");
    node->fenced = false;
    node->renewed = sent;
}

const struct config *node_settings(const struct node *node)
{
    return node->settings->config;
}

bool node_live(const struct node *node)
{
    return node->state == NODE_LIVE;
}

bool node_draining(const struct node *node)
{
    return node->state == NODE_DRAINING || node->state == NODE_STOPPED;
}

bool node_may_act(struct node *node)
{
    if (node->state != NODE_LIVE || node->renewed == 0)
        return false;
    int64_t age = clock_ms() - node->renewed;
    if (age < node->lease_ms)
        return true;
    if (!node->fenced)
        log_warn(NULL, "no good renew for %" PRId64 " ms: only looking until one comes", age);
    node->fenced = true;
    return false;
}

/* The same failure of the same call is said once, until a renewal succeeds. */
static void say_failure(struct node *node, const char *what, const struct error *err)
{
    char text[600];
    snprintf(text, sizeof text, "%s failed: %s", what, err->text);
    db_trouble_say(&node->trouble, text);
}

void node_failed(struct node *node, const char *what, const struct error *err)
{
    if (node_draining(node))
        return;
    if (strcmp(err->state, "AF002") == 0 && node->state != NODE_OFFLINE)
        node->on_dead(node->data, err->text);
    else
        say_failure(node, what, err);
}

void node_breakpoint(const char *point)
{
    static bool hit;
    const char *wanted = getenv("FLEET_BREAKPOINT");
    if (hit || wanted == NULL || strcmp(wanted, point) != 0)
        return;
    hit = true;
    log_warn(NULL, "test hook: stopping at %s", point);
    raise(SIGSTOP);
}
