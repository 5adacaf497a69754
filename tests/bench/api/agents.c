/* HTTP agents as a client of the API, each on a connection of its own that stays open:
 *
 *   agents PORT AUTHORIZATION drain AGENTS MILLISECONDS   take tasks and complete them
 *   agents PORT AUTHORIZATION wake ROUNDS                 one that waits while a task is submitted
 *
 * AUTHORIZATION is an administrator's header line. `drain` prints tasks completed a second, and the
 * 50th and 99th percentile of dequeue and complete in microseconds; `wake` the percentiles from the
 * submission's first byte to the answered dequeue. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 65536
#define SAMPLES_MAX 1000000

struct agent {
    int fd;
    char id[32];
    char answer[TEXT_MAX];
    uint32_t *samples; /* owned; microseconds */
    size_t count;
    pthread_t thread;
};

static int port;
static const char *authorization;
static uint64_t end;               /* of draining, in microseconds */
static _Atomic uint64_t submitted; /* when the task that is waited for was sent */

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int connected(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Reads one answer into agent->answer; its status. */
static int receive(struct agent *agent)
{
    size_t got = 0, whole = 0;
    while (whole == 0 || got < whole) {
        ssize_t more = read(agent->fd, agent->answer + got, TEXT_MAX - 1 - got);
        if (more <= 0)
            die("the server closed a connection");
        got += (size_t)more;
        agent->answer[got] = '\0';
        const char *body = strstr(agent->answer, "\r\n\r\n");
        const char *length = strcasestr(agent->answer, "\r\ncontent-length:");
        if (whole == 0 && body != NULL)
            whole = (size_t)(body - agent->answer) + 4 +
                    (length != NULL && length < body ? strtoul(length + 17, NULL, 10) : 0);
    }
    return atoi(agent->answer + strlen("HTTP/1.1 "));
}

static int post(struct agent *agent, const char *path, const char *format, ...)
{
    char body[2048], request[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(body, sizeof body, format, args);
    va_end(args);
    int len = snprintf(request, sizeof request,
                       "POST /api/v1/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       path, authorization, strlen(body), body);
    if (write(agent->fd, request, (size_t)len) != len)
        die("write");
    return receive(agent);
}

static void expect(struct agent *agent, int status, int wanted)
{
    if (status == wanted)
        return;
    fprintf(stderr, "%s: %d instead of %d: %s\n", agent->id, status, wanted, agent->answer);
    exit(1);
}

static struct agent *register_agent(int number)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (agent == NULL || (agent->samples = malloc(SAMPLES_MAX * sizeof *agent->samples)) == NULL)
        die("memory");
    agent->fd = connected();
    snprintf(agent->id, sizeof agent->id, "bench-%d", number);
    expect(agent,
           post(agent, "agents/register",
                "{\"agent_id\": \"%s\", \"agent_type\": \"bench\", \"hostname\": \"bench\","
                "\"capabilities\": [\"bench\"], \"max_concurrency\": 4}",
                agent->id),
           200);
    return agent;
}

static void sample(struct agent *agent, uint64_t began)
{
    if (agent->count < SAMPLES_MAX)
        agent->samples[agent->count++] = (uint32_t)(now() - began);
}

/* The number or text of a member in the last answer, without quotes; not for nested ones. */
static void member(const struct agent *agent, const char *name, char out[256])
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\"", name);
    const char *at = strstr(agent->answer, wanted);
    size_t len = 0;
    if (at != NULL) {
        at += strlen(wanted);
        at += strspn(at, " :\"");
        len = strcspn(at, "\",}");
    }
    snprintf(out, 256, "%.*s", (int)(len < 255 ? len : 255), at != NULL ? at : "");
}

static void complete(struct agent *agent)
{
    char task[256], attempt[256], path[400];
    member(agent, "task_id", task);
    member(agent, "attempt", attempt);
    snprintf(path, sizeof path, "tasks/%s/complete", task);
    expect(agent,
           post(agent, path,
                "{\"task_id\": \"%s\", \"agent_id\": \"%s\", \"attempt\": %s,"
                "\"status\": \"completed\", \"duration_seconds\": 1, \"summary\": \"done\"}",
                task, agent->id, attempt),
           200);
}

static int dequeue(struct agent *agent, int wait_secs)
{
    return post(agent, "tasks/dequeue", "{\"agent_id\": \"%s\", \"wait_secs\": %d}", agent->id,
                wait_secs);
}

static void *drain(void *data)
{
    struct agent *agent = data;
    while (now() < end) {
        uint64_t began = now();
        int status = dequeue(agent, 1);
        if (status == 204)
            break; /* nothing is left */
        expect(agent, status, 200);
        complete(agent);
        sample(agent, began);
    }
    return NULL;
}

static void *wait_one(void *data)
{
    struct agent *agent = data;
    expect(agent, dequeue(agent, 30), 200);
    sample(agent, submitted);
    complete(agent);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The samples of all in those of the first. */
static void report(struct agent **agents, int count, uint64_t took)
{
    uint32_t *samples = agents[0]->samples;
    size_t total = agents[0]->count;
    for (int i = 1; i < count; i++) {
        for (size_t k = 0; k < agents[i]->count && total < SAMPLES_MAX; k++)
            samples[total++] = agents[i]->samples[k];
    }
    qsort(samples, total, sizeof *samples, by_size);
    printf("%.0f %u %u\n", (double)total * 1e6 / (double)took, total > 0 ? samples[total / 2] : 0,
           total > 0 ? samples[total * 99 / 100] : 0);
}

static void run_drain(int count, uint64_t milliseconds)
{
    struct agent **agents = calloc((size_t)count, sizeof(struct agent *));
    for (int i = 0; i < count; i++)
        agents[i] = register_agent(i);
    uint64_t began = now();
    end = began + milliseconds * 1000;
    for (int i = 0; i < count; i++)
        pthread_create(&agents[i]->thread, NULL, drain, agents[i]);
    for (int i = 0; i < count; i++)
        pthread_join(agents[i]->thread, NULL);
    report(agents, count, now() - began);
}

static void run_wake(int rounds)
{
    struct agent *agent = register_agent(0), *submitter = register_agent(1);
    for (int i = 0; i < rounds; i++) {
        pthread_create(&agent->thread, NULL, wait_one, agent);
        usleep(30000); /* payload: sleep, until it waits */
        submitted = now();
        expect(submitter,
               post(submitter, "tasks", "{\"title\": \"Wake\", \"labels\": [\"agent:bench\"]}"),
               201);
        pthread_join(agent->thread, NULL);
    }
    report(&agent, 1, 1);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    port = atoi(argv[1]);
    authorization = argv[2];
    if (strcmp(argv[3], "drain") == 0 && argc == 6)
        run_drain(atoi(argv[4]), strtoull(argv[5], NULL, 10));
    else if (strcmp(argv[3], "wake") == 0)
        run_wake(atoi(argv[4]));
    else
        return 2;
    return 0;
}
