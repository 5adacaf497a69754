/* Takes what is due, and has it told. */
#include "worker/forgejo/outbox.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/pause.h"
#include "worker/forgejo/label.h"
#include "worker/forgejo/tell.h"
#include "worker/forgejo/tracker.h"

#define POLL_MS 2000
#define FAILED_MS 5000

static void on_tells(void *data, const struct db_result *res, const struct error *err)
{
    struct outbox *outbox = data;

    outbox->asking = false;
    if (outbox->life != outbox->tracker->node->life)
        return; /* others have those */
    if (err != NULL) {
        outbox->next_ask = clock_ms() + pause_jitter(FAILED_MS);
        node_failed(outbox->tracker->node, "tells", err);
        return;
    }
    for (int row = 0; row < db_rows(res); row++)
        tell_begin(outbox, res, row);
    if (db_rows(res) > 0)
        outbox->wanted = true; /* there may be more */
}

static void ask(struct outbox *outbox)
{
    char max[16];

    snprintf(max, sizeof max, "%d", OUTBOX_TELLS - outbox->count);
    const char *params[] = {outbox->tracker->node->id, max};
    outbox->asking = true;
    outbox->life = outbox->tracker->node->life;
    outbox->wanted = false;
    db_query(
        outbox->tracker->node->db,
        "select task, seq, repo, issue_number, comments, state_labels, commit_statuses, story, "
        "told from fleet.tells($1, $2)",
        DB_ONCE, 2, params, on_tells, outbox);
}

void outbox_tick(struct outbox *outbox, int64_t now)
{
    bool due = outbox->wanted || now >= outbox->next_ask;

    if (!due || outbox->asking || outbox->count >= OUTBOX_TELLS || !tracker_ready(outbox->tracker))
        return;
    outbox->next_ask = now + pause_jitter(POLL_MS);
    ask(outbox);
}

void outbox_wake(struct outbox *outbox)
{
    outbox->wanted = true;
    outbox_tick(outbox, clock_ms());
}

void outbox_forget(struct outbox *outbox)
{
    label_sets_release(&outbox->labels);
}

bool outbox_idle(const struct outbox *outbox)
{
    return outbox->count == 0 && !outbox->asking;
}

void outbox_init(struct outbox *outbox, struct tracker *tracker)
{
    *outbox = (struct outbox){.tracker = tracker};
    list_init(&outbox->tells);
    list_init(&outbox->labels);
}

void outbox_release(struct outbox *outbox)
{
    for (struct list *link; (link = list_take(&outbox->tells)) != NULL;)
        tell_free(list_entry(link, struct tell, link));
    outbox_forget(outbox);
}
