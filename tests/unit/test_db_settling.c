/* The first statement of a session, over a pooler that lets all in and has no session for them. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/db_scene.h"

static int port;
static pid_t pooler;

/* AuthenticationOk, what libpq wants to know of a primary, ReadyForQuery. */
static const char welcome[] = "R\0\0\0\x08\0\0\0\0"
                              "S\0\0\0\x17in_hot_standby\0off\0"
                              "S\0\0\0\x26"
                              "default_transaction_read_only\0off\0"
                              "S\0\0\0\x18server_version\0"
                              "15.0\0"
                              "Z\0\0\0\x05I";
static const char refusal[] = "E\0\0\0\x34SERROR\0"
                              "VERROR\0"
                              "C53300\0"
                              "Mno session is free today\0\0"
                              "Z\0\0\0\x05I";

static void put(int fd, const char *bytes, size_t size)
{
    if (write(fd, bytes, size) != (ssize_t)size)
        _exit(1);
}

/* One client after the other; their connections stay open. */
static void serve(int listener, bool answers)
{
    static const uint8_t tls[] = {0, 0, 0, 8, 4, 210, 22, 47};
    char bytes[4096];
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0;) {
        ssize_t len = read(fd, bytes, sizeof bytes);
        if (len == sizeof tls && memcmp(bytes, tls, sizeof tls) == 0) {
            put(fd, "N", 1);
            len = read(fd, bytes, sizeof bytes);
        }
        put(fd, welcome, sizeof welcome - 1);
        if (answers && len > 0 && read(fd, bytes, sizeof bytes) > 0)
            put(fd, refusal, sizeof refusal - 1);
    }
}

static void begin(bool answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    ck_assert_int_eq(listen(listener, 16), 0);
    port = ntohs(address.sin_port);
    pooler = fork();
    if (pooler == 0) {
        serve(listener, answers);
        _exit(0);
    }
    close(listener);
}

static void finish(void)
{
    kill(pooler, SIGKILL);
    waitpid(pooler, NULL, 0);
}

static void open_over_it(struct scene *scene, int answer_ms)
{
    char url[100];
    snprintf(url, sizeof url, "postgresql://x@127.0.0.1:%d/x", port);
    scene_open_url(scene, url, 500, 5000);
    scene->db->answer_ms = answer_ms;
}

/* It never stands, is tried again, and says why. */
static void never_stands(int answer_ms, const char *why)
{
    struct scene scene = {0};
    struct answer answer;
    open_over_it(&scene, answer_ms);
    scene_ask(&scene, &answer, "select 1", DB_REPEAT, NULL);
    UNTIL(&scene, answer.order && scene.db->connections[0].failures >= 2);
    ck_assert_str_eq(answer.state, "08001");
    ck_assert_msg(strstr(scene.db->trouble.now, why) != NULL, "%s", scene.db->trouble.now);
    ck_assert(!db_up(scene.db));
    ck_assert_int_eq(scene.ups, 0);
    ck_assert_uint_eq(db_generation(scene.db), 0); /* what never stood is not lost */
    scene_close(&scene);
}

START_TEST(a_pooler_without_an_answer)
{
    begin(false);
    never_stands(200, "no answer in time");
    finish();
}
END_TEST

START_TEST(a_pooler_that_refuses)
{
    begin(true);
    never_stands(20000, "no session is free today");
    finish();
}
END_TEST

START_TEST(stopped_meanwhile)
{
    struct scene scene = {0};
    struct answer answer;
    begin(false);
    open_over_it(&scene, 20000);
    scene_ask(&scene, &answer, "select 1", DB_REPEAT, NULL);
    UNTIL(&scene, scene.db->connections[0].phase == DB_SETTLING);
    db_stop(scene.db, 10, scene_stopped, &scene);
    UNTIL(&scene, scene.stopped);
    ck_assert_str_eq(answer.state, "08001");
    scene_close(&scene);
    finish();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("db_settling");
    scene_add(suite, "settling",
              (const TTest *[]){a_pooler_without_an_answer, a_pooler_that_refuses,
                                stopped_meanwhile, NULL});
    return scene_run(suite);
}
