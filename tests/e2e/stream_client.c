/* Clients of streams: many at once, that come back, that do not read, that count and measure.
 *
 *   stream-client [-n COUNT] [-s SLOW] [-t SECONDS] [-e EVENTS] [-p PARTS] [-H FILE] [-i ID] [-o
 * FILE] PATH PORT...
 *
 * Opens COUNT streams of PATH on 127.0.0.1, one PORT after the other, with the header lines of
 * FILE. Each ends at `event: end`, unless its reason is draining, after EVENTS, and when SECONDS
 * are over; one that breaks off comes back with its last id (-i: the first one) on the next port.
 * SLOW more ask and never read. -o: the bytes of output that the first one was told of, as they
 * were stored, or the events, one a line. -p: "{}" in PATH is 1 for the first client, up to PARTS,
 * and again from 1. Says "open" once all have got their first event, and at the end
 *
 *   streams N events E ended X returns R gaps G broken B slow S p50_ms A p99_ms B max_ms C
 *
 * where the times are those of events with "@" and microseconds since 1970 in them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/crypto.h"

#define TIMES_MAX 4000000

struct client {
    int fd;
    int port; /* index */
    bool slow, ended, opened, headed;
    int64_t again_ms; /* when it comes back; 0: it is connected */
    size_t bytes;
    long events;
    char id[100];
    char event[40];
    struct buf got;
};

static struct {
    const char *path, *headers, *save, *first_id;
    int ports[8], port_count, count, slow, seconds, epoll, open;
    long most;
    int parts;
    struct client *clients;
    FILE *out;
    long events, returns, gaps, ended, broken;
    double *times;
    long timed;
} run = {.count = 1, .seconds = 10, .first_id = "", .parts = 1};

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
    return now_us() / 1000;
}

static void client_path(const struct client *client, char *path, size_t size)
{
    const char *mark = strstr(run.path, "{}");
    if (mark == NULL)
        snprintf(path, size, "%s", run.path);
    else
        snprintf(path, size, "%.*s%d%s", (int)(mark - run.path), run.path,
                 1 + (int)(client - run.clients) % run.parts, mark + 2);
}

static void client_ask(struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)run.ports[client->port])};
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = client};
    char text[4096], path[1024], last[200] = "";
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client->again_ms = now_ms() + 100;
    client->headed = false;
    buf_clear(&client->got);
    if (client->slow) {
        int small = 4096;
        setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    if (client->id[0] != '\0')
        snprintf(last, sizeof last, "Last-Event-ID: %s\r\n", client->id);
    client_path(client, path, sizeof path);
    int len = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\nHost: localhost\r\n%s%s\r\n", path,
                       run.headers, last);
    if (connect(client->fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        write(client->fd, text, (size_t)len) != len) {
        close(client->fd);
        client->fd = -1;
        client->port = (client->port + 1) % run.port_count;
        return;
    }
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    client->again_ms = 0;
    if (!client->slow)
        epoll_ctl(run.epoll, EPOLL_CTL_ADD, client->fd, &event);
}

static void client_close(struct client *client, bool back)
{
    close(client->fd);
    client->fd = -1;
    client->port = (client->port + 1) % run.port_count;
    client->again_ms = back ? now_ms() + 100 : 0;
    run.returns += back;
}

static void note_time(const char *data)
{
    const char *at = strchr(data, '@');
    if (at != NULL && run.timed < TIMES_MAX)
        run.times[run.timed++] = (double)(now_us() - strtoll(at + 1, NULL, 10)) / 1000;
}

static void save(struct client *client, const char *data)
{
    struct json_object *object = json_tokener_parse(data), *member;
    long long offset = -1;
    if (json_object_object_get_ex(object, "offset", &member))
        offset = json_object_get_int64(member);
    if (offset != (long long)client->bytes)
        printf("offset %lld where %zu was due\n", offset, client->bytes);
    if (json_object_object_get_ex(object, "base64", &member)) {
        uint8_t bytes[16384];
        size_t len = sizeof bytes;
        crypto_unbase64(json_object_get_string(member), (size_t)json_object_get_string_len(member),
                        bytes, &len);
        fwrite(bytes, 1, len, run.out);
        client->bytes += len;
    } else if (json_object_object_get_ex(object, "text", &member)) {
        size_t len = (size_t)json_object_get_string_len(member);
        fwrite(json_object_get_string(member), 1, len, run.out);
        client->bytes += len;
    }
    json_object_put(object);
}

static void client_event(struct client *client, const char *data)
{
    if (client->ended)
        return;
    if (strcmp(client->event, "end") == 0) {
        client->ended = strstr(data, "draining") == NULL;
        run.ended += client->ended;
        if (client == run.clients)
            printf("end %s\n", data);
        return;
    }
    if (client == run.clients &&
        (strcmp(client->event, "gap") == 0 || strcmp(client->event, "attempt") == 0))
        printf("%s %s\n", client->event, data);
    run.gaps += strcmp(client->event, "gap") == 0;
    if (strcmp(client->event, "attempt") == 0 && strstr(data, "\"outcome\": null") != NULL &&
        strstr(client->id, "-0-0") != NULL)
        client->bytes = 0;
    run.events++;
    if (++client->events == run.most) {
        client->ended = true;
        run.ended++;
    }
    note_time(data);
    if (run.out != NULL && client == run.clients && client->event[0] == '\0')
        save(client, data);
    else if (run.out != NULL && client == run.clients && strstr(data, "\"event_id\"") != NULL)
        fprintf(run.out, "%s\n", data);
}

static void client_line(struct client *client, const char *line)
{
    if (strncmp(line, "id: ", 4) == 0)
        snprintf(client->id, sizeof client->id, "%s", line + 4);
    else if (strncmp(line, "event: ", 7) == 0)
        snprintf(client->event, sizeof client->event, "%s", line + 7);
    else if (strncmp(line, "data: ", 6) == 0)
        client_event(client, line + 6);
    else if (line[0] == '\0')
        client->event[0] = '\0';
    if (!client->opened && client->id[0] != '\0' && strncmp(line, "id: ", 4) == 0) {
        client->opened = true;
        if (++run.open == run.count) {
            printf("open\n");
            fflush(stdout);
        }
    }
}

static void client_read_head(struct client *client)
{
    char *end = strstr(buf_text(&client->got), "\r\n\r\n");
    if (end == NULL)
        return;
    if (strstr(buf_text(&client->got), " 200 OK") == NULL) {
        printf("refused: %.200s\n", buf_text(&client->got));
        run.broken++;
    }
    client->headed = true;
    buf_consume(&client->got, (size_t)(end - client->got.data) + 4);
}

static void client_read(struct client *client)
{
    char bytes[65536];
    ssize_t got = read(client->fd, bytes, sizeof bytes);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        client_close(client, !client->ended);
        return;
    }
    buf_add(&client->got, bytes, (size_t)got);
    if (!client->headed)
        client_read_head(client);
    if (!client->headed)
        return;
    size_t used = 0;
    for (char *end; client->got.data != NULL &&
                    (end = memchr(client->got.data + used, '\n', client->got.len - used)) != NULL;
         used = (size_t)(end - client->got.data) + 1) {
        *end = '\0';
        client_line(client, client->got.data + used);
    }
    buf_consume(&client->got, used);
}

static char *read_headers(const char *path)
{
    static char text[2048];
    FILE *file = fopen(path, "r");
    size_t len = 0;
    for (int c; file != NULL && (c = getc(file)) != EOF && len < sizeof text - 3;) {
        if (c == '\n')
            text[len++] = '\r';
        text[len++] = (char)c;
    }
    if (file != NULL)
        fclose(file);
    return text;
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

static void read_options(int argc, char **argv)
{
    run.headers = "";
    for (int option; (option = getopt(argc, argv, "n:s:t:e:p:H:i:o:")) != -1;) {
        if (option == 'n')
            run.count = number(optarg);
        else if (option == 's')
            run.slow = number(optarg);
        else if (option == 't')
            run.seconds = number(optarg);
        else if (option == 'e')
            run.most = number(optarg);
        else if (option == 'p')
            run.parts = number(optarg);
        else if (option == 'H')
            run.headers = read_headers(optarg);
        else if (option == 'i')
            run.first_id = optarg;
        else if (option == 'o')
            run.out = fopen(optarg, "w");
        else
            exit(2);
    }
    if (optind + 1 >= argc)
        exit(2);
    run.path = argv[optind];
    for (int i = optind + 1; i < argc && run.port_count < 8; i++)
        run.ports[run.port_count++] = number(argv[i]);
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Slow ones that the server has closed. */
static int dropped(void)
{
    int count = 0;
    for (int i = run.count; i < run.count + run.slow; i++) {
        struct epoll_event event = {.events = EPOLLRDHUP};
        int one = epoll_create1(0);
        epoll_ctl(one, EPOLL_CTL_ADD, run.clients[i].fd, &event);
        count += epoll_wait(one, &event, 1, 0) == 1;
        close(one);
    }
    return count;
}

static void report(void)
{
    qsort(run.times, (size_t)run.timed, sizeof run.times[0], compare);
    double p50 = run.timed > 0 ? run.times[run.timed / 2] : 0;
    double p99 = run.timed > 0 ? run.times[run.timed * 99 / 100] : 0;
    double max = run.timed > 0 ? run.times[run.timed - 1] : 0;
    printf("streams %d events %ld ended %ld returns %ld gaps %ld broken %ld slow %d dropped %d "
           "p50_ms %.1f p99_ms %.1f max_ms %.1f\n",
           run.open, run.events, run.ended, run.returns, run.gaps, run.broken, run.slow, dropped(),
           p50, p99, max);
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    if (run.out != NULL)
        setvbuf(run.out, NULL, _IOLBF, 0);
    setvbuf(stdout, NULL, _IOLBF, 0);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.clients = calloc((size_t)run.count + (size_t)run.slow, sizeof *run.clients);
    run.times = calloc(TIMES_MAX, sizeof *run.times);
    int64_t until_ms = now_ms() + (int64_t)run.seconds * 1000;
    for (int i = 0; i < run.count + run.slow; i++) {
        struct client *client = &run.clients[i];
        buf_init(&client->got, 64 << 20);
        client->port = i % run.port_count;
        client->slow = i >= run.count;
        snprintf(client->id, sizeof client->id, "%s", run.first_id);
        client_ask(client);
    }
    signal(SIGTERM, on_stop);
    while (!stopped && now_ms() < until_ms && (run.ended < run.count || dropped() < run.slow)) {
        struct epoll_event events[256];
        int ready = epoll_wait(run.epoll, events, 256, 20);
        for (int i = 0; i < ready; i++)
            client_read(events[i].data.ptr);
        for (int i = 0; i < run.count; i++) {
            struct client *client = &run.clients[i];
            if (client->again_ms != 0 && now_ms() >= client->again_ms)
                client_ask(client);
        }
    }
    report();
    if (run.out != NULL)
        fclose(run.out);
    return 0;
}
