/* worker/check: what is said of a host, from what was seen of it. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "worker/check/account.h"
#include "worker/check/agents.h"
#include "worker/check/options.h"
#include "worker/check/print.h"
#include "worker/check/slots.h"
#include "worker/check/way.h"
#include "worker/link/boot.h"

static struct config_agent agents[] = {
    {.agent_type = (char *)"codex-cli",
     .profile = (char *)"full",
     .isolation = (char *)"shared",
     .sandbox = (char *)"none"},
    {.agent_type = (char *)"odd", .isolation = (char *)"shared", .sandbox = (char *)"none"}};
static struct config_host host = {.host_id = (char *)"h1",
                                  .hostname = (char *)"box.example",
                                  .ssh_user = (char *)"agent",
                                  .ssh_port = 2222,
                                  .ssh_key_path = (char *)"/nowhere/it's a key",
                                  .known_hosts = (char *)"/nowhere/known hosts",
                                  .work_dir = (char *)"/srv/it's work",
                                  .agents = agents,
                                  .agent_count = 2};
static struct check_sheet sheet;

static void begin(void)
{
    sheet_init(&sheet);
}

static void end(void)
{
    sheet_release(&sheet);
}

static const struct check_row *row(const char *name)
{
    for (size_t i = 0; i < sheet.count; i++) {
        if (strcmp(sheet.rows[i].name, name) == 0)
            return &sheet.rows[i];
    }
    ck_abort_msg("there is no row %s", name);
}

static void is(const char *name, enum check_result result, const char *text)
{
    const struct check_row *found = row(name);
    ck_assert_msg(found->result == result, "%s: %d, %s", name, (int)found->result,
                  found->text != NULL ? found->text : "");
    ck_assert_msg(found->text == NULL ? text[0] == '\0' : strstr(found->text, text) != NULL,
                  "%s: %s", name, found->text);
}

static void pastes(const char *name, const char *text)
{
    const struct check_row *found = row(name);
    for (size_t i = 0; i < found->hint_count; i++) {
        if (found->hints[i].paste && strcmp(found->hints[i].text, text) == 0)
            return;
    }
    for (size_t i = 0; i < found->hint_count; i++)
        fprintf(stderr, "%s\n", found->hints[i].text);
    ck_abort_msg("%s: nobody is told to paste %s", name, text);
}

/* --- Rows and their printing --- */

START_TEST(rows_are_clean_lines)
{
    struct check_row *one = sheet_row(&sheet, "one", "");
    row_say(one, CHECK_FAILED, "a\x1b[2J\r\nb\tc\xff\xc2\x9b d");
    ck_assert_str_eq(one->text, "a[2J b c\xef\xbf\xbd d");
    row_paste(one, "x\ny");
    ck_assert_str_eq(one->hints[0].text, "x y");
    row_say(one, CHECK_GOOD, "again"); /* takes everything back */
    ck_assert_uint_eq(one->hint_count, 0);
    char *long_text = mem_alloc(40000);
    memset(long_text, 'x', 39999);
    row_say(one, CHECK_GOOD, "%s", long_text);
    ck_assert_uint_lt(strlen(one->text), 4000);
    free(long_text);
}
END_TEST

static void printed(const char *wanted)
{
    struct buf out;
    buf_init(&out, 100000);
    print_text(&out, &host, &sheet);
    ck_assert_str_eq(buf_text(&out), wanted);
    buf_release(&out);
}

START_TEST(text_for_people)
{
    row_say(sheet_row(&sheet, "name", ""), CHECK_GOOD, "fine");
    struct check_row *port = sheet_row(&sheet, "port", "");
    row_say(port, CHECK_FAILED,
            "one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
            "fifteen sixteen");
    row_note(port, "do:");
    row_paste(port,
              "a line that is longer than a hundred columns is for pasting, and so it is never "
              "broken into several lines");
    sheet_row(&sheet, "sshd", "");
    sheet_row(&sheet, "agent", "x");
    row_say(sheet_row(&sheet, "clock", ""), CHECK_DOUBTFUL, "late");
    printed(
        "h1: agent@box.example port 2222, work_dir /srv/it's work\n"
        "  ok         name: fine\n"
        "  FAILED     port: one two three four five six seven eight nine ten eleven twelve "
        "thirteen fourteen\n"
        "               fifteen sixteen\n"
        "               do:\n"
        "                   a line that is longer than a hundred columns is for pasting, and so "
        "it is never broken into several lines\n"
        "  not tried  sshd, agent x\n"
        "  doubtful   clock: late\n"
        "h1: cannot run its work: port; doubtful: clock\n");
}
END_TEST

START_TEST(json_for_programs)
{
    struct buf out;
    struct error err;
    row_say(sheet_row(&sheet, "name", ""), CHECK_GOOD, "fine");
    struct check_row *port = sheet_row(&sheet, "port", "");
    row_say(port, CHECK_FAILED, "says \"no\" \\");
    row_note(port, "do:");
    row_paste(port, "echo 'x'");
    sheet_row(&sheet, "sshd", "");
    buf_init(&out, 100000);
    print_json(&out, &host, &sheet);
    struct json_object *object = json_parse(buf_text(&out), out.len, &err);
    ck_assert_msg(object != NULL, "%s in %s", err.text, buf_text(&out));
    ck_assert_str_eq(json_string(object, "host_id", ""), "h1");
    ck_assert(!json_flag(object, "can_run_work", true));
    struct json_object *first = json_object_array_get_idx(json_member(object, "checks"), 1);
    ck_assert_str_eq(json_string(first, "result", ""), "failed");
    ck_assert_str_eq(json_string(first, "text", ""), "says \"no\" \\");
    struct json_object *hint = json_object_array_get_idx(json_member(first, "remedy"), 1);
    ck_assert_str_eq(json_string(hint, "paste", ""), "echo 'x'");
    json_object_put(object);
    buf_release(&out);
}
END_TEST

/* --- The way in --- */

static struct ssh_sight sight_at(enum ssh_place place)
{
    struct ssh_sight sight = {
        .place = place, .addresses = "192.0.2.7 192.0.2.8", .version = "SSH-2.0-OpenSSH_9.2p1"};
    if (place >= SSH_AT_HOST_KEY) {
        strcpy(sight.key_type, "ssh-ed25519");
        strcpy(sight.key, "AAAAkey=");
        strcpy(sight.fingerprint, "SHA256:print");
    }
    return sight;
}

static void ends(const struct ssh_sight *sight, const char *state, const char *text)
{
    struct error err;
    sheet_release(&sheet);
    error_set_state(&err, state, "host h1: %s", text);
    way_judge(&sheet, &host, sight, &err);
}

START_TEST(a_port_is_told_apart)
{
    struct ssh_sight sight = sight_at(SSH_AT_PORT);
    ends(&sight, "refused", "refused");
    is("name", CHECK_GOOD, "box.example is 192.0.2.7 192.0.2.8");
    is("port", CHECK_FAILED, "refuses");
    is("sshd", CHECK_NOT_TRIED, "");
    ends(&sight, "timeout", "no answer in time");
    is("port", CHECK_FAILED, "does not answer in time");
    ends(&sight, WAY_LATE, "no answer within 2 s");
    is("port", CHECK_FAILED, "does not answer in time");
    ends(&sight, "unreachable", "cannot connect to box.example port 2222: No route to host");
    is("port", CHECK_FAILED, "No route to host");
    pastes("port", "ip route get 192.0.2.7");
    sight = (struct ssh_sight){0};
    ends(&sight, WAY_LATE, "no answer within 2 s");
    is("name", CHECK_FAILED, "does not resolve");
    is("port", CHECK_NOT_TRIED, "");
}
END_TEST

START_TEST(a_refused_sshd)
{
    struct ssh_sight sight = sight_at(SSH_AT_SSHD);
    ends(&sight, "protocol", "its sshd offers no; the line for its sshd_config: MACs a-etm,b");
    is("sshd", CHECK_FAILED, "offers no");
    pastes("sshd", "MACs a-etm,b");
    ends(&sight, "connection_lost", "it closed the connection during the handshake, 6 times");
    is("sshd", CHECK_FAILED, "6 times");
    strcpy(sight.version, "220 mail.example ESMTP");
    ends(&sight, "protocol", "handshake: no banner");
    is("sshd", CHECK_FAILED, "is no sshd: it says 220 mail.example");
    ends(&sight, "connection_lost", "it closed the connection during the handshake, 6 times");
    is("sshd", CHECK_FAILED, "is no sshd: it says 220 mail.example");
    sight.version[0] = '\0';
    ends(&sight, "connection_lost", "it closed the connection during the handshake, 6 times");
    is("sshd", CHECK_FAILED, "without a word");
    ends(&sight, WAY_LATE, "no answer within 2 s");
    is("sshd", CHECK_FAILED, "it says nothing");
}
END_TEST

/* Names and paths of ours are quoted. */
START_TEST(lines_for_known_hosts)
{
    struct ssh_sight sight = sight_at(SSH_AT_HOST_KEY);
    sight.verdict = KNOWN_ABSENT;
    ends(&sight, "host_key_unknown", "x");
    is("sshd", CHECK_GOOD, "OpenSSH_9.2p1");
    is("host key", CHECK_FAILED, "unknown: ssh-ed25519 SHA256:print");
    pastes("host key", "echo '[box.example]:2222 ssh-ed25519 AAAAkey=' >> '/nowhere/known hosts'");
    is("login", CHECK_NOT_TRIED, "");
    sight.verdict = KNOWN_OTHER;
    ends(&sight, "host_key_changed", "x");
    is("host key", CHECK_FAILED, "CHANGED");
    pastes("host key", "ssh-keygen -R '[box.example]:2222' -f '/nowhere/known hosts'");
    pastes("host key", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub");
    strcpy(sight.key_type, "ecdsa-sha2-nistp256");
    ends(&sight, "host_key_changed", "x");
    pastes("host key", "ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub");
    sight = sight_at(SSH_AT_SSHD);
    ends(&sight, "host_key_unknown", "its sshd shows host keys of the types x");
    is("sshd", CHECK_GOOD, "its algorithms suit");
    is("host key", CHECK_FAILED, "of the types x");
}
END_TEST

START_TEST(logins_are_told_apart)
{
    struct ssh_sight sight = sight_at(SSH_AT_LOGIN);
    strcpy(sight.methods, "publickey,password");
    ends(&sight, "auth_failed", "x");
    is("host key", CHECK_GOOD, "SHA256:print");
    is("private key", CHECK_FAILED, "/nowhere/it's a key");
    is("login", CHECK_FAILED, "refuses this key for user agent");
    pastes("login", "passwd -S agent; usermod -p '*' agent");
    ends(&sight, "key_unusable", "x");
    is("login", CHECK_NOT_TRIED, "");
    ends(&sight, "connection_lost", "x");
    is("login", CHECK_FAILED, "PAM refuses");
    sight.key_taken = true; /* as libssh2 takes the end of the connection */
    ends(&sight, "connection_lost", "x");
    is("login", CHECK_FAILED, "PAM refuses");
    ends(&sight, "auth_failed", "x");
    is("login", CHECK_FAILED, "wants more than a key");
    sight.key_taken = false;
    strcpy(sight.methods, "password");
    ends(&sight, "auth_failed", "x");
    is("login", CHECK_FAILED, "it offers password only");
    pastes("login", "PubkeyAuthentication yes");
    ends(&sight, WAY_LATE, "no answer within 2 s");
    ck_assert_int_eq(row("login")->result, CHECK_FAILED);
}
END_TEST

/* --- The account --- */

static struct probe probe;
static struct account_end account_end;
static bool may_run;

/* The probe's answer; @ is its mark. */
static void answers(const char *text)
{
    sheet_release(&sheet);
    probe_release(&probe);
    probe_init(&probe);
    for (; *text != '\0'; text++) {
        if (*text == '@')
            probe_take(&probe, probe.mark, strlen(probe.mark));
        else
            probe_take(&probe, text, 1);
    }
    probe_read(&probe);
    may_run = account_judge(&sheet, &host, &probe, &account_end);
}

static void account_begin(void)
{
    begin();
    account_end = (struct account_end){.ran = true, .asked = 1000, .heard = 1001};
}

static void account_finish(void)
{
    probe_release(&probe);
    end();
}

#define HEAD "\n@ begin\n\n@ system Linux x86_64\n\n@ user agent\n\n@ clock 1000\n"
#define DIR HEAD "\n@ stands\n\n@ space 1000000 4096 50000 60000\n"
#define GOOD DIR "\n@ wrote\n\n@ ran\n"

START_TEST(a_good_account)
{
    answers(GOOD "\n@ logind \n\n@ end\n");
    is("session", CHECK_GOOD, "login files are silent");
    is("work_dir", CHECK_GOOD, "programs run in it");
    ck_assert(may_run);
    is("space", CHECK_GOOD, "3906 MiB and 50000 inodes free");
    is("clock", CHECK_GOOD, "");
    is("logind", CHECK_GOOD, "there is none");
    ck_assert_str_eq(probe.system, "Linux x86_64");
}
END_TEST

START_TEST(noise_before_and_behind)
{
    answers("Welcome\r\nto @ nowhere\nsh -c '...' @" GOOD "\n@ logind b false\n\n@ end\nbye\n");
    is("session", CHECK_GOOD, "does no harm: Welcome to");
    is("logind", CHECK_GOOD, "go on");
    probe_release(&probe);
    probe_init(&probe);
    for (size_t i = 0; i < PROBE_SAID_MAX / 64 + 2; i++)
        probe_take(&probe, "................................................................", 64);
    ck_assert(probe.flooded && probe.said.len == PROBE_SAID_MAX);
    probe_read(&probe);
    sheet_release(&sheet);
    account_judge(&sheet, &host, &probe, &account_end);
    is("session", CHECK_FAILED, "print without end");
}
END_TEST

START_TEST(an_account_without_shell)
{
    account_end.status = 1;
    answers("This account is currently not available.\n");
    is("session", CHECK_FAILED, "runs no commands");
    is("work_dir", CHECK_NOT_TRIED, "");
    answers("");
    is("session", CHECK_FAILED, "runs no commands");
    answers("other\n"); /* who says something runs something */
    is("session", CHECK_FAILED, "not run (status 1), the answer was: other");
    account_end.status = 0;
    answers("other\x1b]0;title\x07\n");
    is("session", CHECK_FAILED, "the answer was: other]0;title");
    error_set(&account_end.trouble, "host h1: it refuses to open a session channel (MaxSessions)");
    answers("");
    is("session", CHECK_FAILED, "MaxSessions");
    pastes("session", "MaxSessions 10");
}
END_TEST

START_TEST(a_work_dir_that_will_not_do)
{
    answers(HEAD "\n@ made\n\n@ unmade mkdir: cannot create directory: Permission denied\n@ end\n");
    is("work_dir", CHECK_FAILED, "cannot be made: Permission denied");
    pastes("work_dir", "install -d -o agent -m 700 '/srv/it'\\''s work'");
    answers(DIR "\n@ unwritable sh: 1: cannot create /x: Permission denied\n\n@ end\n");
    is("work_dir", CHECK_FAILED, "agent cannot write into /srv/it's work: Permission denied");
    answers(DIR "\n@ wrote\n\n@ end\n");
    is("work_dir", CHECK_FAILED, "noexec");
    ck_assert(!may_run); /* the runner is not tried there */
    answers(HEAD "\n@ stands\n\n@ space 0 4096 50 60\n\n@ unwritable No space left\n\n@ end\n");
    is("work_dir", CHECK_GOOD, "");
    is("space", CHECK_FAILED, "0 MiB and 50 inodes");
    answers(HEAD
            "\n@ stands\n\n@ space 9000000 4096 0 60\n\n@ unwritable No space left\n\n@ end\n");
    is("work_dir", CHECK_GOOD, "is there, and full");
    error_set_state(&account_end.trouble, WAY_LATE, "no answer within 20 s");
    answers(HEAD);
    is("work_dir", CHECK_FAILED, "nothing was heard of /srv/it's work: no answer within 20 s");
}
END_TEST

/* Its login files may say that it is anybody: nothing of that gets into a line for root. */
START_TEST(an_account_that_lies_about_its_name)
{
    answers("@ begin\n@ user x; rm -rf ~ #\n@ unmade Permission denied\n@ end\n");
    pastes("work_dir", "install -d -o x??rm?-rf???? -m 700 '/srv/it'\\''s work'");
    host.ssh_user = NULL;
    answers("@ begin\n@ user x'; reboot #\n@ logind b true as 0 as 0\n@ end\n");
    is("logind", CHECK_DOUBTFUL, "");
    for (size_t i = 0; i < row("logind")->hint_count; i++)
        ck_assert_ptr_null(strstr(row("logind")->hints[i].text, "x';"));
    host.ssh_user = (char *)"agent";
}
END_TEST

START_TEST(space_against_a_floor)
{
    answers(HEAD "\n@ stands\n\n@ space 100000 4096 50000 60000\n\n@ wrote\n\n@ ran\n\n@ end\n");
    is("space", CHECK_DOUBTFUL, "390 MiB");
    answers(HEAD "\n@ stands\n\n@ space 1000000 4096 500 60000\n\n@ wrote\n\n@ ran\n\n@ end\n");
    is("space", CHECK_DOUBTFUL, "500 inodes");
    answers(HEAD "\n@ stands\n\n@ space 1000000 4096 199 60000\n\n@ wrote\n\n@ ran\n\n@ end\n");
    is("space", CHECK_FAILED, "199 inodes");
    answers(HEAD "\n@ stands\n\n@ space 10000 4096 50000 60000\n\n@ wrote\n\n@ ran\n\n@ end\n");
    is("space", CHECK_FAILED, "39 MiB");
    answers(HEAD "\n@ stands\n\n@ space 1000000 4096 0 0\n\n@ wrote\n\n@ ran\n\n@ end\n");
    is("space", CHECK_GOOD, "no limit of inodes");
    answers(HEAD "\n@ stands\n\n@ space\n\n@ wrote\n\n@ ran\n\n@ end\n");
    is("space", CHECK_DOUBTFUL, "does not say");
    answers(HEAD "\n@ stands\n\n@ space 999999999999999999 999999999999999999 1 x\n\n@ end\n");
    ck_assert_int_ne(row("space")->result, CHECK_NOT_TRIED);
    answers(HEAD "\n@ stands\n\n@ space -5 99999999999999999999999 -1 -1\n\n@ end\n");
    is("space", CHECK_DOUBTFUL, "does not say");
}
END_TEST

START_TEST(clocks_that_differ)
{
    answers("\n@ begin\n\n@ clock 994\n\n@ end\n");
    is("clock", CHECK_DOUBTFUL, "6 s behind");
    answers("\n@ begin\n\n@ clock 995\n\n@ end\n");
    is("clock", CHECK_GOOD, "");
    answers("\n@ begin\n\n@ clock 5001\n\n@ end\n");
    is("clock", CHECK_DOUBTFUL, "4000 s ahead");
    answers("\n@ begin\n\n@ clock soon\n\n@ end\n");
    is("clock", CHECK_NOT_TRIED, "");
}
END_TEST

static void logind(const char *answer, enum check_result result)
{
    char text[600];
    snprintf(text, sizeof text, "%s\n@ logind %s\n\n@ end\n", GOOD, answer);
    answers(text);
    ck_assert_msg(row("logind")->result == result, "%s: %s", answer, row("logind")->text);
}

START_TEST(logind_that_ends_runs)
{
    logind("b false as 0 as 1 \"root\"", CHECK_GOOD);
    logind("b true as 0 as 1 \"root\"", CHECK_DOUBTFUL);
    logind("b true as 0 as 2 \"root\" \"agent\"", CHECK_GOOD);
    logind("b true as 1 \"agent\" as 1 \"root\"", CHECK_DOUBTFUL);
    logind("b true as 1 \"someone\" as 1 \"root\"", CHECK_GOOD);
    logind("b true as 0 as 1 \"agents\"", CHECK_DOUBTFUL);
    logind("b true as 9999999 \"x", CHECK_GOOD);
    logind("b true", CHECK_GOOD);
}
END_TEST

/* Pieces of answers in any order: nothing is read past its end, and everything is said. */
START_TEST(answers_of_a_hostile_account)
{
    static const char *const pieces[] = {"@",
                                         "@ ",
                                         "@ begin\n",
                                         "\n",
                                         " ",
                                         "space ",
                                         "@ space",
                                         "999999999999999999999 ",
                                         "7 ",
                                         "@ logind b true ",
                                         "as 9 ",
                                         "\"",
                                         "\"agent\" ",
                                         "@ stands\n",
                                         "@ clock ",
                                         "-",
                                         "\xff",
                                         "@ wrote\n",
                                         "@ ran\n",
                                         "@ user \x1b[2J\n",
                                         "@ end\n",
                                         "\r",
                                         "@ unmade : \n"};
    struct buf text, out;
    srand(7);
    buf_init(&text, 4096);
    for (int i = 0; i < 3000; i++) {
        buf_clear(&text);
        buf_adds(&text, i % 2 ? "@ begin\n" : "");
        for (int n = rand() % 24; n > 0; n--)
            buf_adds(&text, pieces[(size_t)rand() % (sizeof pieces / sizeof pieces[0])]);
        answers(buf_text(&text));
        buf_init(&out, 100000);
        print_text(&out, &host, &sheet);
        ck_assert(out.len > 0 && strchr(buf_text(&out), '\x1b') == NULL);
        buf_release(&out);
    }
    buf_release(&text);
}
END_TEST

/* --- The runner and the agents --- */

START_TEST(a_machine_that_nothing_was_built_for)
{
    struct config config = {0};
    struct agents_looks looks;
    agents_choose(&looks, &config, &host);
    ck_assert_int_eq(looks.count, 1);
    ck_assert(looks.looks[0].version);
    agents_judge(&sheet, &config, &host, &looks, &(struct agents_seen){.system = "Linux riscv64"});
    is("runner", CHECK_FAILED, "none for Linux riscv64");
    is("agent codex-cli", CHECK_NOT_TRIED, "");
    is("agent odd", CHECK_FAILED, "no adapter is known");
    agents_release(&looks);
}
END_TEST

START_TEST(agents_that_are_there_or_not)
{
    static struct runner_greeting hello = {.path = "/usr/bin:/bin", .seen_count = 1};
    struct config config = {0};
    struct agents_looks looks;
    char system[80];
    snprintf(system, sizeof system, "Linux %s", carried[0].machine);
    struct agents_seen seen = {.system = system, .folder = "/w/.fleet/check-1", .hello = &hello};
    agents_choose(&looks, &config, &host);
    agents_judge(&sheet, &config, &host, &looks, &seen);
    is("runner", CHECK_GOOD, "is removed");
    is("agent codex-cli", CHECK_FAILED,
       "codex is missing: it is in no folder of PATH /usr/bin:/bin");
    hello.seen[0] = (struct runner_seen){.found = true, .file = "/usr/bin/codex"};
    sheet_release(&sheet);
    agents_judge(&sheet, &config, &host, &looks, &seen);
    is("agent codex-cli", CHECK_DOUBTFUL, "/usr/bin/codex is there, but says nothing");
    strcpy(hello.seen[0].version, "codex-cli 1");
    strcpy(hello.lacks, "work_dir lies on a file system that is mounted read-only");
    sheet_release(&sheet);
    agents_judge(&sheet, &config, &host, &looks, &seen);
    is("runner", CHECK_FAILED, "read-only");
    is("agent codex-cli", CHECK_GOOD, "/usr/bin/codex, codex-cli 1");
    hello.seen_count = 0; /* fewer than were asked for */
    sheet_release(&sheet);
    agents_judge(&sheet, &config, &host, &looks, &seen);
    is("agent codex-cli", CHECK_NOT_TRIED, "");
    struct config_host idle = host;
    idle.agent_count = 0;
    sheet_release(&sheet);
    agents_judge(&sheet, &config, &idle, &looks, &seen);
    is("agents", CHECK_DOUBTFUL, "it gets no work");
    agents_release(&looks);
}
END_TEST

START_TEST(a_host_without_sandbox)
{
    static struct runner_greeting hello = {.sandbox = "bubblewrap is not installed"};
    struct config config = {0};
    struct config_host boxed = host;
    struct config_agent agent = agents[0];
    struct agents_looks looks;
    agent.sandbox = (char *)"bwrap";
    boxed.agents = &agent;
    boxed.agent_count = 1;
    struct agents_seen seen = {.system = "", .hello = &hello};
    agents_choose(&looks, &config, &boxed);
    ck_assert_int_eq(looks.count, 2);
    ck_assert_str_eq(looks.looks[1].command, SANDBOX_PROGRAM);
    agents_judge(&sheet, &config, &boxed, &looks, &seen);
    is("sandbox", CHECK_FAILED, "bubblewrap is not installed");
    pastes("sandbox", "apt install bubblewrap");
    hello.sandbox[0] = '\0';
    sheet_release(&sheet);
    agents_judge(&sheet, &config, &boxed, &looks, &seen);
    is("sandbox", CHECK_GOOD, "makes one");
    agents_release(&looks);
}
END_TEST

/* --- Accounts of slots --- */

static char *slot_names[] = {(char *)"fleet-1", (char *)"fleet-2"};
static struct config_agent slot_agent = {.agent_type = (char *)"codex-cli",
                                         .profile = (char *)"full",
                                         .isolation = (char *)"separate",
                                         .sandbox = (char *)"none",
                                         .run_as = {.items = slot_names, .count = 2}};

static void slots_say(const char *said)
{
    struct config config = {0};
    struct config_host slotted = host;
    slotted.agents = &slot_agent;
    slotted.agent_count = 1;
    sheet_release(&sheet);
    slots_judge(&sheet, &config, &slotted, "agent", said, "M");
}

#define GOOD_1 "\nM account fleet-1 1001 /home/fleet-1\nM has fleet-1 codex /usr/bin/codex\n"
#define LOGIN_1 "M has fleet-1 ~/.codex/auth.json /home/fleet-1/.codex/auth.json\n"
#define GOOD_2 "\nM account fleet-2 1002 /home/fleet-2\nM has fleet-2 codex /usr/bin/codex\n"
#define LOGIN_2 "M has fleet-2 ~/.codex/auth.json /home/fleet-2/.codex/auth.json\n"
#define SUDOERS                                                                               \
    "echo 'agent ALL=(fleet-1,fleet-2) NOPASSWD: ALL' > /etc/sudoers.d/agent-fleet && chmod " \
    "440 /etc/sudoers.d/agent-fleet && visudo -c"

START_TEST(accounts_of_slots)
{
    slots_say(NULL);
    is("accounts codex-cli", CHECK_NOT_TRIED, "");
    slots_say(GOOD_1 LOGIN_1 GOOD_2 LOGIN_2);
    is("accounts codex-cli", CHECK_GOOD, "each of 2");
    pastes("accounts codex-cli", SUDOERS);
    slots_say(GOOD_1 LOGIN_1 GOOD_2 "M has fleet-2 ~/.codex/auth.json -\n");
    is("accounts codex-cli", CHECK_DOUBTFUL, "fleet-2 has no login");
    slots_say("\nM account fleet-1 1001 /\nM has fleet-1 codex -\n" GOOD_2 LOGIN_2);
    is("accounts codex-cli", CHECK_FAILED, "fleet-1 does not find codex");
    slots_say(GOOD_1 LOGIN_1 "M reads fleet-1 /w/.fleet\n" GOOD_2 LOGIN_2);
    is("accounts codex-cli", CHECK_FAILED, "fleet-1 can read, or write to, /w/.fleet");
    slots_say(GOOD_1 LOGIN_1 "\nM refused fleet-2 sudo: unknown user fleet-2\n");
    is("accounts codex-cli", CHECK_FAILED, "fleet-2 cannot be used: sudo: unknown user fleet-2");
    pastes("accounts codex-cli", "useradd --create-home --shell /bin/bash fleet-2");
    pastes("accounts codex-cli", SUDOERS);
    slots_say(GOOD_1 LOGIN_1);
    is("accounts codex-cli", CHECK_FAILED, "fleet-2 did not answer");
    pastes("accounts codex-cli", "sudo -n -iu fleet-2 true");
    pastes("accounts codex-cli", "fleet-worker check-hosts --timeout 120 h1");
}
END_TEST

START_TEST(a_question_to_the_accounts)
{
    struct config config = {0};
    struct config_host slotted = host;
    struct buf command;
    slotted.agents = &slot_agent;
    slotted.agent_count = 1;
    ck_assert(slots_wanted(&slotted) && !slots_wanted(&host));
    buf_init(&command, 4096);
    slots_command(&command, &config, &slotted, "/w/it's", "/w/.fleet/c", "M");
    ck_assert_str_eq(buf_text(&command),
                     "'/w/it'\\''s' muster '/w/.fleet/c' 'M' +fleet-1 'codex' '~/.codex/auth.json' "
                     "+fleet-2 'codex' '~/.codex/auth.json'");
    buf_release(&command);
}
END_TEST

/* --- The command line --- */

static int options_of(struct check_options *options, int count, const char *const *words)
{
    static char *argv[16];
    for (int i = 0; i < count; i++)
        argv[i] = (char *)(void *)words[i];
    argv[count] = NULL;
    ck_assert(check_wanted(count, argv));
    return check_options_read(options, count, argv);
}

START_TEST(options_anywhere)
{
    struct check_options options;
    static const char *const words[] = {
        "fleet-worker", "--config", "x.yaml", "check-hosts", "a", "--json", "b", "--timeout", "7"};
    ck_assert_int_eq(options_of(&options, 9, words), -1);
    ck_assert(options.json && options.secs == 7 && options.host_count == 2);
    ck_assert_str_eq(options.hosts[0], "a");
    ck_assert_str_eq(options.hosts[1], "b");
    ck_assert_int_eq(options.config_argc, 3);
    ck_assert_str_eq(options.config_argv[2], "x.yaml");
    static const char *const bad[] = {"0",  "-1", "3601", "x",
                                      "5x", "",   " 5",   "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const late[] = {"fleet-worker", "check-hosts", "--timeout", bad[i]};
        ck_assert_int_eq(options_of(&options, 4, late), 2);
    }
    char *other[] = {(char *)"fleet-worker", (char *)"--config", (char *)"check-hosts", NULL};
    ck_assert(!check_wanted(3, other));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("check");
    TCase *tests = tcase_create("check");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, rows_are_clean_lines);
    tcase_add_test(tests, text_for_people);
    tcase_add_test(tests, json_for_programs);
    tcase_add_test(tests, a_port_is_told_apart);
    tcase_add_test(tests, a_refused_sshd);
    tcase_add_test(tests, lines_for_known_hosts);
    tcase_add_test(tests, logins_are_told_apart);
    tcase_add_test(tests, a_machine_that_nothing_was_built_for);
    tcase_add_test(tests, agents_that_are_there_or_not);
    tcase_add_test(tests, a_host_without_sandbox);
    tcase_add_test(tests, accounts_of_slots);
    tcase_add_test(tests, a_question_to_the_accounts);
    tcase_add_test(tests, options_anywhere);
    suite_add_tcase(suite, tests);
    TCase *account = tcase_create("account");
    tcase_add_checked_fixture(account, account_begin, account_finish);
    tcase_add_test(account, a_good_account);
    tcase_add_test(account, noise_before_and_behind);
    tcase_add_test(account, an_account_without_shell);
    tcase_add_test(account, a_work_dir_that_will_not_do);
    tcase_add_test(account, an_account_that_lies_about_its_name);
    tcase_add_test(account, space_against_a_floor);
    tcase_add_test(account, clocks_that_differ);
    tcase_add_test(account, logind_that_ends_runs);
    tcase_add_test(account, answers_of_a_hostile_account);
    suite_add_tcase(suite, account);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
