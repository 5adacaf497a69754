/* Agents that poll by HTTP, many of them: each slot is a thread with a connection of its own.
 *
 *   agents-client work URL TOKEN AGENTS SLOTS TASKS WAIT MS   take tasks of MS each until TASKS
 * were accepted agents-client duel URL URL TOKEN ROUNDS                 submit, and wait for a
 * task, at once agents-client vanish URL TOKEN ROUNDS                   leave while waiting, as
 * tasks come
 *
 * TOKEN is an administrator's. Prints what was accepted, "TASK ATTEMPT" a line; on stderr how it
 * went. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define STACK_BYTES (256 << 10)
#define TRIES 600 /* of a report, while nodes or the database are away */
#define PAUSE_MS 100

struct peer {
    struct sockaddr_in address;
    const char *token;
    int fd; /* -1: not connected */
    int status;
    char answer[ANSWER_MAX];
};

static atomic_int accepted, refused, busy, broken, wanted;
static pthread_mutex_t printing = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *why)
{
    fprintf(stderr, "agents-client: %s\n", why);
    exit(1);
}

static void pause_us(long us)
{
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&time, NULL); /* payload: sleep, as agents do between two tries */
}

/* --- HTTP --- */

/* http://ADDRESS:PORT */
static void peer_init(struct peer *peer, const char *url, const char *token)
{
    char host[64] = "";
    int port = 0;
    if (sscanf(url, "http://%63[^:]:%d", host, &port) != 2)
        die("a URL is http://ADDRESS:PORT");
    *peer = (struct peer){.token = token, .fd = -1};
    peer->address.sin_family = AF_INET;
    peer->address.sin_port = htons((uint16_t)port);
    inet_pton(AF_INET, host, &peer->address.sin_addr);
}

static void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

static bool peer_open(struct peer *peer)
{
    struct timeval limit = {.tv_sec = 90};
    int yes = 1;
    if (peer->fd >= 0)
        return true;
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(peer->fd, (struct sockaddr *)&peer->address, sizeof peer->address) == 0)
        return true;
    peer_close(peer);
    return false;
}

static bool peer_send(struct peer *peer, const char *path, const char *body)
{
    char request[4096];
    int len = snprintf(request, sizeof request,
                       "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       path, peer->token, strlen(body), body);
    return peer_open(peer) && send(peer->fd, request, (size_t)len, MSG_NOSIGNAL) == len;
}

/* The bytes of an answer that are complete by its Content-Length; 0 while they are not. */
static size_t answer_size(const char *answer, size_t len)
{
    const char *end = strstr(answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    const char *length = strcasestr(answer, "\r\ncontent-length:");
    size_t size = (size_t)(end + 4 - answer);
    if (length != NULL && length < end)
        size += strtoul(length + 17, NULL, 10);
    return len >= size ? size : 0;
}

static bool peer_receive(struct peer *peer)
{
    size_t len = 0;
    peer->answer[0] = '\0';
    while (answer_size(peer->answer, len) == 0) {
        ssize_t got = recv(peer->fd, peer->answer + len, sizeof peer->answer - 1 - len, 0);
        if (got <= 0)
            return false;
        len += (size_t)got;
        peer->answer[len] = '\0';
    }
    return sscanf(peer->answer, "HTTP/1.1 %d", &peer->status) == 1;
}

/* The answer's status; 0: there was none. */
static int ask(struct peer *peer, const char *path, const char *body)
{
    if (!peer_send(peer, path, body) || !peer_receive(peer)) {
        peer_close(peer);
        broken++;
        return 0;
    }
    if (strcasestr(peer->answer, "connection: close") != NULL)
        peer_close(peer);
    if (peer->status == 503) {
        busy++;
        if (strcasestr(peer->answer, "retry-after:") == NULL)
            die("a 503 without Retry-After");
    }
    return peer->status;
}

/* Until there is an answer that is no 503: what is asked so may be asked twice. */
static int ask_surely(struct peer *peer, const char *path, const char *body)
{
    for (int i = 0; i < TRIES; i++) {
        int status = ask(peer, path, body);
        if (status != 0 && status < 500)
            return status;
        pause_us(PAUSE_MS * 1000);
    }
    die("no answer any more");
    return 0;
}

static bool member(const struct peer *peer, const char *name, char *value, size_t size)
{
    char key[40];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *at = strstr(peer->answer, key);
    if (at == NULL)
        return false;
    at += strlen(key) + strspn(at + strlen(key), " :");
    at += *at == '"';
    snprintf(value, size, "%.*s", (int)strcspn(at, "\",}"), at);
    return true;
}

/* --- agents --- */

struct agent {
    const char *url;
    int wait_secs, work_ms; /* of its dequeues */
    char id[32];
    char token[64];
};

static void agent_register(struct agent *agent, const char *url, const char *admin, const char *id,
                           int slots, const char *skill)
{
    struct peer *peer = malloc(sizeof *peer);
    char body[300];
    agent->url = url;
    snprintf(agent->id, sizeof agent->id, "%s", id);
    snprintf(body, sizeof body,
             "{\"agent_id\": \"%s\", \"agent_type\": \"load\", \"capabilities\": [\"%s\"], "
             "\"max_concurrency\": %d}",
             id, skill, slots);
    peer_init(peer, url, admin);
    if (ask_surely(peer, "/api/v1/agents/register", body) != 200 ||
        !member(peer, "registry_token", agent->token, sizeof agent->token))
        die(peer->answer);
    peer_close(peer);
    free(peer);
}

static void report(struct peer *peer, const struct agent *agent, const char *task,
                   const char *attempt)
{
    char path[200], body[300];
    snprintf(path, sizeof path, "/api/v1/tasks/%s/status", task);
    snprintf(body, sizeof body, "{\"agent_id\": \"%s\", \"attempt\": %s, \"status\": \"running\"}",
             agent->id, attempt);
    if (ask_surely(peer, path, body) != 200) {
        refused++;
        return;
    }
    pause_us(1000L * agent->work_ms);
    snprintf(path, sizeof path, "/api/v1/tasks/%s/complete", task);
    snprintf(body, sizeof body,
             "{\"agent_id\": \"%s\", \"attempt\": %s, \"status\": \"completed\", "
             "\"duration_seconds\": 1, \"summary\": \"done\", \"artifacts\": []}",
             agent->id, attempt);
    if (ask_surely(peer, path, body) != 200) {
        refused++;
        return;
    }
    pthread_mutex_lock(&printing);
    printf("%s %s\n", task, attempt);
    fflush(stdout);
    pthread_mutex_unlock(&printing);
    accepted++;
}

/* One task, or none. The status of the dequeue. */
static int take_one(struct peer *peer, const struct agent *agent, int wait_secs)
{
    char body[100], task[100], attempt[16];
    snprintf(body, sizeof body, "{\"agent_id\": \"%s\", \"wait_secs\": %d}", agent->id, wait_secs);
    int status = ask(peer, "/api/v1/tasks/dequeue", body);
    if (status == 409 || status == 404) { /* offline: too long without a heartbeat */
        snprintf(body, sizeof body, "{\"agent_id\": \"%s\"}", agent->id);
        ask(peer, "/api/v1/agents/heartbeat", body);
    } else if (status == 200 && member(peer, "task_id", task, sizeof task) &&
               member(peer, "attempt", attempt, sizeof attempt)) {
        report(peer, agent, task, attempt);
    } else if (status != 204) {
        pause_us(PAUSE_MS * 1000);
    }
    return status;
}

static void start(pthread_t *thread, void *(*run)(void *data), void *data)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(thread, &attributes, run, data) != 0)
        die("too many threads");
    pthread_attr_destroy(&attributes);
}

/* --- work --- */

static void *run_slot(void *data)
{
    struct agent *agent = data;
    struct peer *peer = malloc(sizeof *peer);
    peer_init(peer, agent->url, agent->token);
    while (accepted < wanted)
        take_one(peer, agent, agent->wait_secs);
    peer_close(peer);
    free(peer);
    return NULL;
}

struct beats {
    struct agent *agents;
    int count;
};

static void *run_beats(void *data)
{
    struct beats *beats = data;
    struct peer *peer = malloc(sizeof *peer);
    char body[100];
    while (accepted < wanted) {
        for (int i = 0; i < beats->count; i++) {
            peer_init(peer, beats->agents[i].url, beats->agents[i].token);
            snprintf(body, sizeof body, "{\"agent_id\": \"%s\"}", beats->agents[i].id);
            ask(peer, "/api/v1/agents/heartbeat", body);
            peer_close(peer);
        }
        pause_us(PAUSE_MS * 1000);
    }
    free(peer);
    return NULL;
}

static void work(const char *url, const char *admin, int count, int slots, int tasks, int wait_secs,
                 int work_ms)
{
    struct agent *agents = calloc((size_t)count, sizeof *agents);
    pthread_t *threads = calloc((size_t)(count * slots) + 1, sizeof *threads);
    struct beats beats = {agents, count};
    char id[32];
    wanted = tasks;
    for (int i = 0; i < count; i++) {
        snprintf(id, sizeof id, "load-%d", i);
        agent_register(&agents[i], url, admin, id, slots, "load");
        agents[i].wait_secs = wait_secs;
        agents[i].work_ms = work_ms;
    }
    fprintf(stderr, "registered\n");
    for (int i = 0; i < count * slots; i++)
        start(&threads[i], run_slot, &agents[i / slots]);
    start(&threads[count * slots], run_beats, &beats);
    for (int i = 0; i <= count * slots; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    free(agents);
}

/* --- duel: a submission against an agent that goes to sleep --- */

static void submit(struct peer *peer, const char *name, int round, const char *skill)
{
    char body[200];
    snprintf(body, sizeof body,
             "{\"task_id\": \"%s-%d\", \"title\": \"T\", \"labels\": [\"agent:%s\"]}", name, round,
             skill);
    int status = ask_surely(peer, "/api/v1/tasks", body);
    if (status != 201 && status != 200)
        die(peer->answer);
}

struct duel {
    struct agent agent;
    pthread_barrier_t barrier;
    int rounds;
    atomic_int lost;
};

static long some_us(unsigned *seed)
{
    return rand_r(seed) % 2 == 0 ? 0 : rand_r(seed) % 3000;
}

static void *run_waiting(void *data)
{
    struct duel *duel = data;
    struct peer *peer = malloc(sizeof *peer);
    unsigned seed = 7;
    peer_init(peer, duel->agent.url, duel->agent.token);
    for (int i = 0; i < duel->rounds; i++) {
        pthread_barrier_wait(&duel->barrier);
        pause_us(some_us(&seed));
        if (take_one(peer, &duel->agent, 30) != 200) {
            duel->lost++;
            fprintf(stderr, "round %d: not woken\n", i);
            take_one(peer, &duel->agent, 0);
        }
    }
    peer_close(peer);
    free(peer);
    return NULL;
}

static void duel(const char *submit_url, const char *wait_url, const char *admin, int rounds)
{
    static struct duel duel;
    struct peer *peer = malloc(sizeof *peer);
    pthread_t thread;
    unsigned seed = 13;
    duel.rounds = rounds;
    peer_init(peer, submit_url, admin);
    agent_register(&duel.agent, wait_url, admin, "duellist", 1, "duel");
    pthread_barrier_init(&duel.barrier, NULL, 2);
    start(&thread, run_waiting, &duel);
    for (int i = 0; i < rounds; i++) {
        pthread_barrier_wait(&duel.barrier);
        pause_us(some_us(&seed));
        submit(peer, "duel", i, "duel");
    }
    pthread_join(thread, NULL);
    peer_close(peer);
    free(peer);
    if (duel.lost > 0)
        die("wake-ups were lost");
}

/* --- vanish: whoever waits leaves, and a task comes meanwhile --- */

static void vanish(const char *url, const char *admin, int rounds)
{
    struct agent agent;
    struct peer *submitting = malloc(sizeof *submitting), *waiting = malloc(sizeof *waiting);
    char body[100];
    unsigned seed = 99;
    agent_register(&agent, url, admin, "ghost", 100, "vanish");
    peer_init(submitting, url, admin);
    snprintf(body, sizeof body, "{\"agent_id\": \"%s\", \"wait_secs\": 60}", agent.id);
    for (int i = 0; i < rounds; i++) {
        peer_init(waiting, url, agent.token);
        if (!peer_send(waiting, "/api/v1/tasks/dequeue", body))
            die("cannot wait");
        pause_us(rand_r(&seed) % 5000);
        if (i % 2 == 0) { /* it leaves when the task is there, or before */
            submit(submitting, "vanish", i, "vanish");
            pause_us(some_us(&seed));
            peer_close(waiting);
        } else {
            peer_close(waiting);
            submit(submitting, "vanish", i, "vanish");
        }
    }
    free(submitting);
    free(waiting);
}

int main(int argc, char **argv)
{
    if (argc == 9 && strcmp(argv[1], "work") == 0)
        work(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]), atoi(argv[6]), atoi(argv[7]),
             atoi(argv[8]));
    else if (argc == 6 && strcmp(argv[1], "duel") == 0)
        duel(argv[2], argv[3], argv[4], atoi(argv[5]));
    else if (argc == 5 && strcmp(argv[1], "vanish") == 0)
        vanish(argv[2], argv[3], atoi(argv[4]));
    else
        die("see the first lines of its source");
    fprintf(stderr, "%d accepted, %d refused, %d times 503, %d times no answer\n", accepted,
            refused, busy, broken);
    return 0;
}
