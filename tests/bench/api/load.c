/* Asks an HTTP/1.1 server the same thing over and over on many connections that stay open, one
 * request on each at a time, and says how often and how fast it was answered:
 *
 *   load PORT CONNECTIONS MILLISECONDS REQUEST-FILE
 *
 * The file holds the request's bytes. The answer is one line: requests per second, the 50th and the
 * 99th percentile of what an answer took in microseconds, and how many were not 2xx. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_HEAD 8192
#define SAMPLES_MAX 4000000

struct connection {
    int fd;
    size_t sent;    /* of the request */
    size_t got;     /* of the answer */
    size_t whole;   /* length of the answer; 0: its head is not there yet */
    uint64_t began; /* microseconds */
    char head[ANSWER_HEAD + 1];
};

static struct {
    char *request; /* owned */
    size_t len;
    int epoll;
    uint64_t end;      /* no request begins after this */
    int open;          /* connections with a request under way */
    uint32_t *samples; /* owned; microseconds */
    size_t count;
    size_t refused; /* answers that are not 2xx */
} load;

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

static void watch(struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(load.epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0)
        die("epoll_ctl");
}

static void send_some(struct connection *connection)
{
    ssize_t sent =
        write(connection->fd, load.request + connection->sent, load.len - connection->sent);
    if (sent < 0)
        die("write");
    connection->sent += (size_t)sent;
    if (connection->sent < load.len)
        watch(connection, EPOLLOUT);
    else
        watch(connection, EPOLLIN);
}

static void begin(struct connection *connection)
{
    connection->sent = connection->got = connection->whole = 0;
    connection->began = now();
    if (connection->began >= load.end)
        load.open--;
    else
        send_some(connection);
}

/* The length of the whole answer, once its head is there. */
static size_t whole_length(const struct connection *connection)
{
    static const char wanted[] = "\r\ncontent-length:";
    const char *end = strstr(connection->head, "\r\n\r\n");
    if (end == NULL && connection->got >= ANSWER_HEAD) {
        fprintf(stderr, "an answer with a head of more than %d bytes\n", ANSWER_HEAD);
        exit(1);
    }
    if (end == NULL)
        return 0;
    size_t length = (size_t)(end - connection->head) + 4;
    for (const char *at = connection->head; at < end; at++)
        if (strncasecmp(at, wanted, strlen(wanted)) == 0)
            return length + strtoul(at + strlen(wanted), NULL, 10);
    return length; /* 204 */
}

static void answered(struct connection *connection)
{
    load.refused += strncmp(connection->head, "HTTP/1.1 2", 10) != 0;
    if (load.count < SAMPLES_MAX)
        load.samples[load.count++] = (uint32_t)(now() - connection->began);
    begin(connection);
}

static void receive_some(struct connection *connection)
{
    static char rest[1 << 18];
    bool head = connection->whole == 0;
    char *to = head ? connection->head + connection->got : rest;
    ssize_t got = read(connection->fd, to, head ? ANSWER_HEAD - connection->got : sizeof rest);
    if (got <= 0)
        die("the server closed a connection");
    connection->got += (size_t)got;
    if (head) {
        connection->head[connection->got] = '\0';
        connection->whole = whole_length(connection);
    }
    if (connection->whole > 0 && connection->got >= connection->whole)
        answered(connection);
}

static void open_connection(struct connection *connection, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct epoll_event event = {.data.ptr = connection};
    int one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        die("epoll_ctl");
}

static void read_request(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die(path);
    load.len = (size_t)ftell(file);
    rewind(file);
    load.request = malloc(load.len + 1);
    if (load.request == NULL || fread(load.request, 1, load.len, file) != load.len)
        die(path);
    fclose(file);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(uint64_t took)
{
    qsort(load.samples, load.count, sizeof *load.samples, by_size);
    printf("%.0f %u %u %zu\n", (double)load.count * 1e6 / (double)took,
           load.count > 0 ? load.samples[load.count / 2] : 0,
           load.count > 0 ? load.samples[load.count * 99 / 100] : 0, load.refused);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    int count = atoi(argv[2]);
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    load.samples = malloc(SAMPLES_MAX * sizeof *load.samples);
    load.epoll = epoll_create1(0);
    if (connections == NULL || load.samples == NULL || load.epoll < 0)
        die("start");
    read_request(argv[4]);
    for (int i = 0; i < count; i++)
        open_connection(&connections[i], atoi(argv[1]));
    uint64_t began = now();
    load.end = began + strtoull(argv[3], NULL, 10) * 1000;
    load.open = count;
    for (int i = 0; i < count; i++)
        begin(&connections[i]);
    while (load.open > 0) {
        struct epoll_event events[256];
        int ready = epoll_wait(load.epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].events & EPOLLOUT)
                send_some(events[i].data.ptr);
            else
                receive_some(events[i].data.ptr);
        }
    }
    report(now() - began);
    free(connections);
    free(load.samples);
    free(load.request);
    return 0;
}
