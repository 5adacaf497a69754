/* Asks the database from time to time which programs it serves. */
#include "common/db/schema.h"

#include "common/db/trouble.h"

#define LOOK_MS 10000

static void on_told(void *data, const struct db_result *res, const struct error *err)
{
    struct db_schema *schema = data;
    char text[400] = "";
    if (err == NULL && db_rows(res) == 1)
        db_trouble_outdated(db_int(res, 0, "oldest_node", 0), FLEET_SCHEMA, text, sizeof text);
    if (text[0] == '\0' || schema->outdated)
        return;
    schema->outdated = true;
    timer_stop(&schema->timer);
    schema->on_outdated(schema->data, text);
}

/* An error is no answer: who cannot ask has said why elsewhere, and asks again. */
static void on_look(void *data)
{
    struct db_schema *schema = data;
    db_query(schema->db, "select oldest_node from fleet.ready($1)", DB_ONCE, 1, &schema->kind,
             on_told, schema);
}

void db_schema_watch(struct db_schema *schema, struct loop *loop, struct db *db, const char *kind,
                     void (*on_outdated)(void *data, const char *why), void *data)
{
    *schema = (struct db_schema){.db = db, .kind = kind, .on_outdated = on_outdated, .data = data};
    timer_init(&schema->timer, loop, on_look, schema);
    timer_start(&schema->timer, 0, LOOK_MS);
    timer_alone(&schema->timer);
}

void db_schema_close(struct db_schema *schema)
{
    schema->outdated = true;
    timer_close(&schema->timer, NULL);
}
