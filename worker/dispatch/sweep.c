/* A sweep, step by step. Its callbacks come in any case, also when a host's channel is closed. */
#include "worker/dispatch/sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db/db.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/pause.h"
#include "worker/dispatch/dispatch.h"
#include "worker/dispatch/removal.h"
#include "worker/host/host.h"

#define FIRST_MS 10000 /* after the start */
#define FAILED_MS 60000
#define LISTED_MAX 20000
#define PIECES_MAX "500" /* of each kind */
#define ARRAY_MAX ((size_t)4 << 20)

struct sweep_piece {
    bool folder; /* else a run's directory */
    int64_t attempt;
    char name[RUNNER_RUN_SIZE];
    struct runner_key key; /* of a run */
};

static void step(struct sweep *sweep);

struct host *sweep_host(struct sweep *sweep)
{
    struct node *node = &sweep->dispatch->node;
    struct host *host = dispatch_host(sweep->dispatch, sweep->host_id);
    bool may = sweep->life == node->life && node_live(node) && node_may_act(node);
    return may && host != NULL && host_ready(host) ? host : NULL;
}

static void forget(struct sweep *sweep)
{
    struct buf *all[] = {&sweep->runs, &sweep->out_sizes, &sweep->err_sizes, &sweep->gone_runs,
                         &sweep->gone_tasks};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        buf_release(all[i]);
        buf_init(all[i], ARRAY_MAX);
        db_array_begin(all[i]);
    }
    free(sweep->pieces);
    sweep->pieces = NULL;
    sweep->count = sweep->at = sweep->listed = 0;
    sweep->runs_gone = sweep->tasks_gone = sweep->kept = 0;
    sweep->raised = false;
}

static void end(struct sweep *sweep, int pause_ms)
{
    sweep->busy = false;
    sweep->next = clock_ms() + pause_jitter(pause_ms);
}

static void failed(struct sweep *sweep, const struct error *err)
{
    if (sweep->life == sweep->dispatch->node.life)
        node_failed(&sweep->dispatch->node, "sweep", err);
    end(sweep, FAILED_MS);
}

/* --- The end: SQL is told --- */

static void on_swept(void *data, const struct db_result *res, const struct error *err)
{
    struct sweep *sweep = data;
    (void)res;
    if (err != NULL)
        failed(sweep, err);
    else
        end(sweep, 100);
}

static void tell(struct sweep *sweep)
{
    const struct node *node = &sweep->dispatch->node;
    if (sweep->life != node->life || (sweep->runs_gone == 0 && sweep->tasks_gone == 0)) {
        end(sweep, FAILED_MS);
        return;
    }
    log_info(LOG_ABOUT(LOG_FIELD("host", sweep->host_id)),
             "what is old there was removed: directories of %d runs and %d tasks; %d stay",
             sweep->runs_gone, sweep->tasks_gone, sweep->kept);
    db_array_end(&sweep->gone_runs);
    db_array_end(&sweep->gone_tasks);
    const char *params[] = {node->id, sweep->host_id, buf_text(&sweep->gone_runs),
                            buf_text(&sweep->gone_tasks)};
    db_query(node->db, "select fleet.swept($1, $2, $3, $4)", DB_REPEAT, 4, params, on_swept, sweep);
}

static void on_rest(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct sweep *sweep = data;
    struct host *host = sweep_host(sweep);
    (void)reply;
    if (err == NULL && host != NULL)
        host_check(host); /* there is more room now */
    tell(sweep);
}

/* --- Piece by piece --- */

static void removed(struct sweep *sweep, const struct sweep_piece *piece)
{
    db_array_int(piece->folder ? &sweep->gone_tasks : &sweep->gone_runs, piece->attempt);
    if (piece->folder)
        sweep->tasks_gone++;
    else
        sweep->runs_gone++;
}

static void on_piece(void *data, const struct runner_reply *reply, const struct error *err);

static void on_raised(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct sweep *sweep = data;
    struct host *host = sweep_host(sweep);
    if (err != NULL || host == NULL || reply->verdict != RUNNER_STATE) {
        on_piece(sweep, reply, err);
        return;
    }
    host_gc(host, &sweep->pieces[sweep->at].key, on_piece, sweep);
}

/* The epoch there is one that no owner can have given: the run has ended under ours. */
static bool raise_forged(struct sweep *sweep, const struct runner_reply *reply)
{
    struct host *host = sweep_host(sweep);
    if (reply->verdict != RUNNER_FENCED || sweep->raised || host == NULL ||
        sweep->pieces[sweep->at].folder)
        return false;
    sweep->raised = true;
    host_raise(host, &sweep->pieces[sweep->at].key, (uint64_t)reply->epoch, on_raised, sweep);
    return true;
}

static void on_piece(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct sweep *sweep = data;
    if (err != NULL) {
        tell(sweep);
        return;
    }
    if (raise_forged(sweep, reply))
        return;
    const struct sweep_piece *piece = &sweep->pieces[sweep->at++];
    sweep->raised = false;
    if (reply->verdict == RUNNER_STATE && (piece->folder || reply->record.state == RUNNER_ABSENT)) {
        removed(sweep, piece);
    } else {
        sweep->kept++;
        log_debug(LOG_ABOUT(LOG_FIELD("host", sweep->host_id)), "%s %s stays: %s",
                  piece->folder ? "task directory" : "run directory", piece->name,
                  reply->verdict == RUNNER_REFUSED ? reply->reason : "it may not be over");
    }
    step(sweep);
}

void sweep_rest(struct sweep *sweep, bool up)
{
    struct host *host = up ? sweep_host(sweep) : NULL;
    if (host == NULL)
        tell(sweep);
    else
        host_clean(host, "", on_rest, sweep);
}

static void step(struct sweep *sweep)
{
    struct host *host = sweep_host(sweep);
    if (host == NULL) {
        tell(sweep);
        return;
    }
    if (sweep->at == sweep->count) {
        removal_begin(sweep);
        return;
    }
    const struct sweep_piece *piece = &sweep->pieces[sweep->at];
    if (piece->folder)
        host_clean(host, piece->name, on_piece, sweep);
    else
        host_gc(host, &piece->key, on_piece, sweep);
}

/* --- What may go --- */

static bool is_made_of(const char *text, const char *set, size_t size)
{
    return text != NULL && text[0] != '\0' && text[0] != '.' && strlen(text) < size &&
           strspn(text, set) == strlen(text);
}

static void copy(char *to, size_t size, const char *from, const char *set)
{
    snprintf(to, size, "%s", is_made_of(from, set, size) ? from : "");
}

bool sweep_key(struct runner_key *key, const struct db_result *res, int row, const char *run)
{
    const char *nonce = db_text(res, row, "nonce");
    int64_t epoch = db_int(res, row, "epoch", 0);
    if (!is_made_of(run, FRAME_NAME ".", RUNNER_RUN_SIZE) || epoch < 1 || epoch > INT32_MAX ||
        !is_made_of(nonce, FRAME_HEX, RUNNER_NONCE_SIZE) || strlen(nonce) != RUNNER_NONCE_SIZE - 1)
        return false;
    snprintf(key->run, sizeof key->run, "%s", run);
    memcpy(key->nonce, nonce, sizeof key->nonce);
    key->epoch = (uint32_t)epoch;
    key->pid = db_int(res, row, "pid", 0);
    copy(key->start, sizeof key->start, db_text(res, row, "start"), "0123456789");
    copy(key->boot, sizeof key->boot, db_text(res, row, "boot"), FRAME_NAME);
    return key->pid >= 0;
}

static void take_piece(struct sweep *sweep, const struct db_result *res, int row)
{
    struct sweep_piece piece = {.attempt = db_int(res, row, "attempt", 0)};
    const char *what = db_text(res, row, "what"), *name = db_text(res, row, "name");
    piece.folder = what != NULL && strcmp(what, "folder") == 0;
    snprintf(piece.name, sizeof piece.name, "%s", name != NULL ? name : "");
    if (piece.folder ? is_made_of(name, FRAME_NAME, sizeof piece.name)
                     : sweep_key(&piece.key, res, row, name))
        sweep->pieces[sweep->count++] = piece;
}

/* Said once, and again when there are others. */
static void hear_unknown(struct sweep *sweep, struct buf *names)
{
    struct host *host = sweep_host(sweep);
    if (host == NULL || strcmp(host->unknown, buf_text(names)) == 0)
        return;
    snprintf(host->unknown, sizeof host->unknown, "%s", buf_text(names));
    if (names->len > 0)
        log_warn(host->about, "run directories that no task knows of are left there:%s",
                 host->unknown);
}

static void on_due(void *data, const struct db_result *res, const struct error *err)
{
    struct sweep *sweep = data;
    struct buf unknown;
    if (err != NULL) {
        failed(sweep, err);
        return;
    }
    buf_init(&unknown, sizeof((struct host *)NULL)->unknown - 1);
    sweep->pieces = mem_alloc((size_t)(db_rows(res) + 1) * sizeof *sweep->pieces);
    for (int row = 0; row < db_rows(res); row++) {
        const char *what = db_text(res, row, "what"), *name = db_text(res, row, "name");
        if (what == NULL || name == NULL)
            continue;
        if (strcmp(what, "unknown") != 0)
            take_piece(sweep, res, row);
        else if (unknown.len + strlen(name) + 2 < unknown.max)
            buf_addf(&unknown, " %s", name);
    }
    hear_unknown(sweep, &unknown);
    buf_release(&unknown);
    step(sweep);
}

/* --- What lies there --- */

static void on_record(void *data, const struct runner_record *record)
{
    struct sweep *sweep = data;
    if (sweep->listed++ >= LISTED_MAX)
        return;
    db_array_text(&sweep->runs, record->run);
    db_array_int(&sweep->out_sizes, record->out_size);
    db_array_int(&sweep->err_sizes, record->err_size);
}

static void on_listed(void *data, const struct runner_reply *reply, const struct error *err)
{
    struct sweep *sweep = data;
    const struct node *node = &sweep->dispatch->node;
    if (err != NULL || reply->verdict != RUNNER_STATE || sweep_host(sweep) == NULL) {
        end(sweep, FAILED_MS);
        return;
    }
    db_array_end(&sweep->runs);
    db_array_end(&sweep->out_sizes);
    db_array_end(&sweep->err_sizes);
    const char *params[] = {node->id,
                            sweep->host_id,
                            buf_text(&sweep->runs),
                            buf_text(&sweep->out_sizes),
                            buf_text(&sweep->err_sizes),
                            sweep->listed <= LISTED_MAX ? "t" : "f"};
    db_query(node->db,
             "select what, name, attempt, epoch, nonce, pid, start, boot "
             "from fleet.sweep($1, $2, $3, $4, $5, $6, " PIECES_MAX ")",
             DB_ONCE, 6, params, on_due, sweep);
}

static void on_begin(void *data, const struct db_result *res, const struct error *err)
{
    struct sweep *sweep = data;
    if (err != NULL) {
        failed(sweep, err);
        return;
    }
    const char *id = db_rows(res) == 1 ? db_text(res, 0, "host_id") : NULL;
    snprintf(sweep->host_id, sizeof sweep->host_id, "%s", id != NULL ? id : "");
    struct host *host = id != NULL ? sweep_host(sweep) : NULL;
    if (host == NULL) {
        end(sweep, (int)db_int(res, 0, "wait_ms", FAILED_MS));
        return;
    }
    forget(sweep);
    host_list(host, on_record, on_listed, sweep);
}

void sweep_tick(struct sweep *sweep, int64_t now)
{
    const struct node *node = &sweep->dispatch->node;
    const char *params[] = {node->id};
    if (sweep->busy || now < sweep->next)
        return;
    sweep->busy = true;
    sweep->life = node->life;
    db_query(node->db, "select host_id, wait_ms from fleet.sweep_begin($1)", DB_ONCE, 1, params,
             on_begin, sweep);
}

void sweep_init(struct sweep *sweep, struct dispatch *dispatch)
{
    *sweep = (struct sweep){.dispatch = dispatch, .next = clock_ms() + pause_jitter(FIRST_MS)};
    forget(sweep);
}

void sweep_release(struct sweep *sweep)
{
    forget(sweep);
    buf_release(&sweep->runs);
    buf_release(&sweep->out_sizes);
    buf_release(&sweep->err_sizes);
    buf_release(&sweep->gone_runs);
    buf_release(&sweep->gone_tasks);
}
