/* worker/link with real shells and the runner that the worker carries, on this machine. */
#include <check.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/text.h"
#include "tests/unit/lingers.h"
#include "worker/link/internal.h"
#include "worker/link/local.h"

static struct scene {
    struct loop loop;
    struct link *link;
    char work[200]; /* work_dir, in our own folder below /tmp */
    char root[200];
    struct config_host host;
    struct link_ways ways;
    const char *noise; /* sh text that runs before the login shell gets the command */
    const char *shell; /* the login shell */
    int commands;
    int ups, downs, replies, greetings;
    struct error trouble;
    struct runner_reply reply;
    struct runner_greeting greeting;
    struct runner_record record; /* the last one */
    int records;
    struct buf output;
} scene;

/* --- The stream: this machine's, through a login shell of any kind --- */

static void (*local_run)(struct stream *stream, const char *command);

static void run_through_shell(struct stream *stream, const char *command)
{
    struct buf line;
    buf_init(&line, 65536);
    buf_addf(&line, "%s\nexec %s -c ", scene.noise, scene.shell);
    text_shell_quote(&line, command);
    ck_assert(!line.failed);
    scene.commands++;
    local_run(stream, line.data);
    buf_release(&line);
}

static struct stream *open_stream(struct loop *loop, const struct config_host *host,
                                  const struct stream_events *events, void *data)
{
    static struct stream_ops ops;
    struct stream *stream = local_stream_open(loop, events, data);
    (void)host;
    ops = *stream->ops;
    local_run = ops.run;
    ops.run = run_through_shell;
    stream->ops = &ops;
    return stream;
}

/* --- Callbacks --- */

static void on_up(void *data)
{
    (void)data;
    scene.ups++;
}

static void on_down(void *data, const struct error *err)
{
    (void)data;
    scene.downs++;
    scene.trouble = *err;
}

static void on_reply(void *data, const struct runner_reply *reply, const struct error *err)
{
    (void)data;
    ck_assert_msg(err == NULL, "%s", err != NULL ? err->text : "");
    scene.reply = *reply;
    scene.replies++;
}

static void on_greeting(void *data, const struct runner_greeting *greeting, const struct error *err)
{
    (void)data;
    ck_assert_msg(err == NULL, "%s", err != NULL ? err->text : "");
    scene.greeting = *greeting;
    scene.greetings++;
}

static void on_record(void *data, const struct runner_record *record)
{
    (void)data;
    scene.record = *record;
    scene.records++;
}

static void on_output(void *data, int stream, int64_t offset, const char *bytes, size_t len)
{
    (void)data;
    (void)offset;
    if (stream == 1)
        buf_add(&scene.output, bytes, len);
}

/* --- Life --- */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *ftw)
{
    (void)about;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void scene_init(void)
{
    static char id[] = "here", name[] = "localhost";
    char pattern[] = "/tmp/fleet-link-XXXXXX";
    scene = (struct scene){.noise = ":", .shell = "/bin/sh"};
    ck_assert_ptr_nonnull(mkdtemp(pattern));
    snprintf(scene.root, sizeof scene.root, "%s", pattern);
    snprintf(scene.work, sizeof scene.work, "%s/it's a \\work! $dir", pattern);
    scene.host = (struct config_host){.host_id = id, .hostname = name, .work_dir = scene.work};
    scene.ways = (struct link_ways){.open = open_stream,
                                    .step_ms = 20000,
                                    .install_ms = 20000,
                                    .ping_ms = 15000,
                                    .call_ms = 60000,
                                    .queue_max = (size_t)64 << 20};
    buf_init(&scene.output, (size_t)1 << 20);
    loop_init(&scene.loop);
    loop_signals(&scene.loop, NULL, NULL, NULL);
}

static void until(const int *count, int wanted)
{
    int64_t deadline = clock_ms() + 30000;
    while (*count < wanted) {
        ck_assert_msg(clock_ms() < deadline && scene.downs == 0, "%s", scene.trouble.text);
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    }
}

static void open_link(void)
{
    static const struct link_events events = {.on_up = on_up, .on_down = on_down};
    scene.ups = scene.downs = scene.commands = 0;
    scene.link = link_open_by(&scene.ways, &scene.loop, &scene.host, "f1", &events, &scene);
}

static void comes_up(void)
{
    open_link();
    until(&scene.ups, 1);
}

static void close_link(void)
{
    link_close(scene.link);
    scene.link = NULL;
}

static void goes_down(const char *text)
{
    int64_t deadline = clock_ms() + 30000;
    open_link();
    while (scene.downs == 0) {
        ck_assert_msg(clock_ms() < deadline && scene.ups == 0, "it is up, or hangs");
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    }
    ck_assert_str_eq(scene.trouble.state, "runner_failed");
    ck_assert_msg(strstr(scene.trouble.text, text) != NULL, "%s", scene.trouble.text);
    close_link();
}

static void scene_end(void)
{
    if (scene.link != NULL)
        close_link();
    loop_run(&scene.loop);
    loop_release(&scene.loop);
    buf_release(&scene.output);
    nftw(scene.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct carried *our_runner(void)
{
    struct utsname name;
    char system[200];
    uname(&name);
    snprintf(system, sizeof system, "%s %s", name.sysname, name.machine);
    return boot_runner(system);
}

/* The runner's path there; it must be what we carry. */
static const char *installed(void)
{
    static char path[600];
    const struct carried *runner = our_runner();
    size_t size = (size_t)(runner->end - runner->bytes);
    struct stat about;
    char *bytes = mem_alloc(size + 1);
    snprintf(path, sizeof path, "%s/.fleet/f1/bin/fleet-runner-%s", scene.work, boot_hash(runner));
    ck_assert_int_eq(lstat(path, &about), 0);
    ck_assert(S_ISREG(about.st_mode) && (about.st_mode & 0777) == 0700);
    FILE *file = fopen(path, "r");
    ck_assert_uint_eq(fread(bytes, 1, size + 1, file), size);
    ck_assert(memcmp(bytes, runner->bytes, size) == 0);
    fclose(file);
    free(bytes);
    return path;
}

/* --- The way up --- */

START_TEST(installs_where_nothing_is)
{
    scene_init();
    comes_up();
    ck_assert_int_eq(scene.commands, 3);
    installed();
    ck_assert_str_eq(link_host_key(scene.link), "");
    ck_assert_uint_eq(strlen(link_greeting(scene.link)->owner), 32);
    close_link();
    comes_up();
    ck_assert_int_eq(scene.commands, 1);
    scene_end();
}
END_TEST

/* What somebody of the account may have made of the runner: $b is bin, $f the runner. */
static const char *const damages[] = {
    "rm -rf $b",
    "rm -rf $b; echo x >$b",
    "rm -rf $b; ln -s /tmp $b",
    "rm -rf $b; ln -s /nowhere $b",
    "rm -rf $b; mkfifo $b",
    "chmod 0 $b",
    "rm -f $f",
    "rm $f; echo junk >$f; chmod 700 $f",
    "rm $f; : >$f; chmod 700 $f",
    "ln -sf /bin/true $f",
    "ln -sf /nowhere $f",
    "cp $f $b/own; ln -sf own $f",
    "rm -f $f; mkdir $f; touch $f/x",
    "rm -f $f; mkfifo $f",
    "chmod 0 $f",
    "rm $f; cp /bin/true $f",
    "rm $f; cp /bin/echo $f",
    "head -c 100000 $f >$f.x; chmod 700 $f.x; mv $f.x $f",
    "cp $f $f.x; printf x >>$f.x; mv $f.x $f",
    "rm $f; printf \"#!/bin/sh\\nexec " LINGERS(20) "\\n\" >$f; chmod 700 $f",
    "rm $f; printf \"#!/bin/sh\\necho; echo \\$3 serving; echo and so on and on\\n\" >$f; chmod "
    "700 $f",
    "rm $f; printf \"#!/bin/sh\\necho; echo \\$3 serving; " LINGERS(20) "\\n\" >$f; chmod 700 $f",
    "cd $b/../../..; rm -rf .fleet; echo x >.fleet",
    "cd $b/../..; rm -rf f1; echo x >f1",
    "cd $b/../..; rm -rf f1; ln -s /nowhere f1",
};

START_TEST(heals_by_itself)
{
    scene_init();
    comes_up();
    close_link();
    struct buf command;
    buf_init(&command, 4096);
    buf_adds(&command, "f=");
    text_shell_quote(&command, installed());
    buf_adds(&command, "; IFS=; b=${f%/*}; ");
    buf_adds(&command, damages[_i]);
    ck_assert_int_eq(system(command.data), 0);
    buf_release(&command);
    scene.ways.step_ms = 3000;
    comes_up();
    installed();
    scene_end();
}
END_TEST

/* Login shells of every kind, with login files that print and leave things behind. */
START_TEST(shells_and_noise)
{
    static const char *const shells[] = {"/bin/sh", "/bin/bash", "/usr/bin/fish", "/usr/bin/tcsh"};
    static const char *const noises[] = {":",
                                         "printf 'Welcome '",
                                         "echo Welcome; echo err >&2",
                                         LINGERS(3) " &",
                                         "(" LINGERS(0.05) "; echo late) >&2 &",
                                         "head -c 300000 /dev/zero"};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (access(shells[i], X_OK) != 0)
            continue;
        for (size_t j = 0; j < sizeof noises / sizeof noises[0]; j++) {
            scene_init();
            scene.shell = shells[i];
            scene.noise = noises[j];
            comes_up();
            close_link();
            comes_up();
            ck_assert_int_eq(scene.commands, 1);
            scene_end();
        }
    }
}
END_TEST

START_TEST(no_way_in)
{
    scene_init();
    scene.shell = "/usr/sbin/nologin";
    goes_down("our command was not run");
    scene.shell = "/no/such/shell";
    goes_down("/no/such/shell: not found");
    scene_end();
}
END_TEST

/* True when we may mount; then the mount is nobody else's. */
static bool mount_work(const char *options, unsigned long flags)
{
    static bool own;
    mkdir(scene.work, 0700);
    if (!own && (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)))
        return false;
    own = true;
    return mount("none", scene.work, "tmpfs", flags, options) == 0;
}

START_TEST(file_systems_that_are_no_use)
{
    scene_init();
    if (mount_work("size=64m", MS_NOEXEC)) {
        goes_down("is the file system of work_dir mounted noexec?");
        ck_assert_int_eq(umount(scene.work), 0);
        ck_assert(mount_work("size=64k", 0));
        goes_down("No space left on device");
        ck_assert_int_eq(umount(scene.work), 0);
        ck_assert(mount_work("size=64k", MS_RDONLY));
        goes_down("Read-only file system");
        ck_assert_int_eq(umount(scene.work), 0);
        ck_assert(mount_work("nr_inodes=1", 0));
        goes_down("No space left on device");
        ck_assert_int_eq(umount(scene.work), 0);
    }
    ck_assert_int_eq(rmdir(scene.work) == 0 || access(scene.work, F_OK) != 0, 1);
    fclose(fopen(scene.work, "w"));
    goes_down("Not a directory");
    scene_end();
}
END_TEST

/* --- Calls --- */

static const struct runner_key key = {
    .run = "acme-app-42-1f0c9a3e.1", .epoch = 1, .nonce = "0123456789abcdef0123456789abcdef"};

static const struct link_watch_events watch_events = {.on_record = on_record,
                                                      .on_output = on_output};

START_TEST(greeting_says_what_is_there)
{
    static const struct runner_look looks[] = {{false, "sh"}, {false, "no-such-agent"}};
    scene_init();
    comes_up();
    link_hello(scene.link, looks, 2, on_greeting, NULL);
    until(&scene.greetings, 1);
    ck_assert_int_eq(scene.greeting.seen_count, 2);
    ck_assert(scene.greeting.seen[0].found && !scene.greeting.seen[1].found);
    ck_assert_str_eq(scene.greeting.owner, link_greeting(scene.link)->owner);
    ck_assert_int_gt(scene.greeting.disk_free, 0);
    scene_end();
}
END_TEST

START_TEST(tombstone)
{
    scene_init();
    comes_up();
    link_void(scene.link, &key, on_reply, NULL);
    until(&scene.replies, 1);
    ck_assert_int_eq(scene.reply.verdict, RUNNER_VOIDED);
    link_list(scene.link, on_record, on_reply, NULL);
    until(&scene.replies, 2);
    ck_assert_int_eq(scene.records, 1);
    ck_assert_str_eq(scene.record.run, key.run);
    ck_assert_int_eq(scene.record.state, RUNNER_VOID);
    link_gc(scene.link, &key, on_reply, NULL);
    until(&scene.replies, 3);
    link_list(scene.link, on_record, on_reply, NULL);
    until(&scene.replies, 4);
    ck_assert_int_eq(scene.records, 1);
    scene_end();
}
END_TEST

static void until_state(enum runner_state state)
{
    int64_t deadline = clock_ms() + 30000;
    while (scene.record.state != state) {
        ck_assert_msg(clock_ms() < deadline && scene.downs == 0, "%s", scene.trouble.text);
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    }
}

/* Started on one channel, followed on the next, stopped. */
START_TEST(a_run)
{
    static const char job[] = "cat; exec " LINGERS(1000);
    static const char prompt[] = "prompt\n";
    struct runner_start start = {.folder = "acme-app-42-1f0c9a3e",
                                 .timeout_secs = 60,
                                 .cap_bytes = 100000,
                                 .job = job,
                                 .job_len = sizeof job - 1,
                                 .prompt = prompt,
                                 .prompt_len = sizeof prompt - 1};
    struct runner_stop stop = {.grace_secs = 1, .term_secs = 1, .reason = "cancelled"};
    scene_init();
    comes_up();
    link_start(scene.link, &key, &start, on_reply, NULL);
    until(&scene.replies, 1);
    ck_assert_msg(scene.reply.verdict == RUNNER_STARTED, "%s", scene.reply.reason);
    ck_assert_int_eq(scene.reply.record.state, RUNNER_RUNNING);
    close_link();
    comes_up();
    struct link_watch *watch = link_watch(scene.link, &key, 2, 0, 1000, &watch_events, NULL);
    while (scene.output.len < 5)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert_str_eq(scene.output.data, "ompt\n");
    ck_assert_int_eq(scene.record.state, RUNNER_RUNNING);
    link_stop(scene.link, &key, &stop, on_reply, NULL);
    until(&scene.replies, 2);
    ck_assert_int_eq(scene.reply.verdict, RUNNER_STOPPING);
    until_state(RUNNER_ENDED);
    ck_assert_str_eq(scene.record.reason, "cancelled");
    ck_assert_int_eq(scene.record.out_final, 7);
    link_unwatch(watch);
    scene_end();
}
END_TEST

/* The group of the runner that serves us: that of our only child. */
static pid_t serving(void)
{
    char path[64], pids[64] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(pids, sizeof pids, file));
    fclose(file);
    pid_t pid = (pid_t)atoi(pids);
    ck_assert_int_gt(pid, 1);
    return pid;
}

static void until_down(const char *word)
{
    int64_t deadline = clock_ms() + 30000;
    while (scene.downs == 0) {
        ck_assert_msg(clock_ms() < deadline, "it is still up");
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    }
    ck_assert_str_eq(scene.trouble.state, word);
    close_link();
    scene.downs = 0;
    loop_run(&scene.loop); /* what was stopped is killed */
}

START_TEST(a_runner_that_hangs_or_dies)
{
    scene_init();
    scene.ways.ping_ms = 100;
    comes_up();
    int64_t until_ms = clock_ms() + 1000; /* ten answers */
    while (clock_ms() < until_ms)
        uv_run(&scene.loop.uv, UV_RUN_ONCE);
    ck_assert(link_up(scene.link));
    ck_assert_int_eq(kill(-serving(), SIGSTOP), 0);
    until_down("timeout");
    comes_up();
    ck_assert_int_eq(kill(-serving(), SIGKILL), 0);
    until_down("connection_lost");
    comes_up();
    scene_end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link_host");
    TCase *tcase = tcase_create("link_host");
    SRunner *runner = srunner_create(suite);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, installs_where_nothing_is);
    tcase_add_loop_test(tcase, heals_by_itself, 0, (int)(sizeof damages / sizeof damages[0]));
    tcase_add_test(tcase, shells_and_noise);
    tcase_add_test(tcase, no_way_in);
    tcase_add_test(tcase, file_systems_that_are_no_use);
    tcase_add_test(tcase, greeting_says_what_is_there);
    tcase_add_test(tcase, tombstone);
    tcase_add_test(tcase, a_run);
    tcase_add_test(tcase, a_runner_that_hangs_or_dies);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
