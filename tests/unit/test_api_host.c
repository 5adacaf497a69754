/* Hosts and accounts: the forms that are read, and what of them reaches SQL. */
#include "tests/unit/api_scene.h"

#define HOST "/api/v1/hosts/w-1"
#define ACCOUNT "/api/v1/accounts/w-1%2Fcodex-cli"
#define GRANTED "status=200;body={\"status\": \"online\"};next=<null>;location=<null>"

static const struct {
    const char *target, *body;
    int status;
    const char *code;                     /* NULL: granted */
    const char *verb, *reason, *deadline; /* what SQL is asked */
} acts[] = {
    {"/check", NULL, 200, NULL, "check", "<null>", "<null>"},
    {"/check", "{\"reason\": \"x\"}", 400, "unknown_member", NULL, NULL, NULL},
    {"/cordon", "{\"reason\": \"disk\"}", 200, NULL, "cordon", "disk", "<null>"},
    {"/cordon", NULL, 422, "invalid_value", NULL, NULL, NULL},
    {"/cordon", "{\"reason\": \"\"}", 422, "invalid_value", NULL, NULL, NULL},
    {"/cordon", "{\"reason\": 7}", 400, "wrong_type", NULL, NULL, NULL},
    {"/cordon", "{\"reason\": \"x\", \"deadline_secs\": 1}", 400, "unknown_member", NULL, NULL,
     NULL},
    {"/uncordon", NULL, 200, NULL, "uncordon", "<null>", "<null>"},
    {"/uncordon", "{\"reason\": \"new disk\"}", 200, NULL, "uncordon", "new disk", "<null>"},
    {"/drain", "{\"reason\": \"move\"}", 200, NULL, "drain", "move", "<null>"},
    {"/drain", "{\"reason\": \"move\", \"deadline_secs\": 0}", 200, NULL, "drain", "move", "0"},
    {"/drain", "{\"reason\": \"move\", \"deadline_secs\": -1}", 422, "invalid_value", NULL, NULL,
     NULL},
    {"/drain", "{\"reason\": \"move\", \"deadline_secs\": 31536001}", 422, "invalid_value", NULL,
     NULL, NULL},
    {"/drain", "{\"reason\": \"move\", \"deadline_secs\": \"60\"}", 422, "invalid_value", NULL,
     NULL, NULL},
    {"/drain", "{\"deadline_secs\": 60}", 422, "invalid_value", NULL, NULL, NULL},
    {"/declare_dead", "{\"reason\": \"fire\"}", 200, NULL, "declare_dead", "fire", "<null>"},
    {"/declare_dead", "{}", 422, "invalid_value", NULL, NULL, NULL},
    {"/declare_dead", "[]", 400, "wrong_type", NULL, NULL, NULL},
};

START_TEST(each_verb_reads_its_form)
{
    char target[100];
    api_sql("host_act", GRANTED);
    snprintf(target, sizeof target, HOST "%s", acts[_i].target);
    ck_assert_int_eq(api_ask("operate", "POST", target, acts[_i].body), acts[_i].status);
    struct api_sql *asked = api_asked("host_act");
    ck_assert_int_eq(asked->calls, acts[_i].code == NULL);
    if (acts[_i].code != NULL) {
        api_is_error(acts[_i].status, acts[_i].code);
        return;
    }
    ck_assert_str_eq(asked->last[1], acts[_i].verb);
    ck_assert_str_eq(asked->last[2], "w-1");
    ck_assert_str_eq(asked->last[3], acts[_i].reason);
    ck_assert_str_eq(asked->last[4], acts[_i].deadline);
}
END_TEST

START_TEST(one_host)
{
    api_sql("host_detail", GRANTED);
    ck_assert_int_eq(api_ask("read", "GET", HOST, NULL), 200);
    ck_assert_str_eq(api_asked("host_detail")->last[1], "w-1");
    api_sql("host_delete", "status=204;body=<null>;next=<null>;location=<null>");
    ck_assert_int_eq(api_ask("admin", "DELETE", HOST, NULL), 204);
    api_sql_fails("host_delete", "AF006");
    api_ask("admin", "DELETE", HOST, NULL);
    api_is_error(409, "not_proven_dead");
}
END_TEST

#define AGENTS "\"agents\": [{\"agent_type\": \"codex-cli\"}]"
#define LOCAL "\"hostname\": \"localhost\", \"work_dir\": \"/w\""

static const struct {
    const char *body;
    int status;
    const char *says; /* the entry that SQL gets, or what the refusal has in it */
} puts_[] = {
    {"{" LOCAL ", " AGENTS "}", 200,
     "{\"hostname\":\"localhost\",\"work_dir\":\"/w\",\"agents\":[{\"agent_type\":\"codex-cli\","
     "\"max_concurrency\":1,\"capabilities\":[],\"profile\":\"sandboxed\"}],\"host_id\":\"w-1\","
     "\"ssh_port\":22,\"workspace\":\"plain\",\"repositories\":[\"*\"]}"},
    {"{\"host_id\": \"w-1\", \"hostname\": \"10.0.0.7\", \"ssh_user\": \"agent\", "
     "\"ssh_key_path\": "
     "\"~/.ssh/id\", \"work_dir\": \"/w\", \"ssh_port\": 2222, \"repositories\": [], \"agents\": "
     "[{\"agent_type\": \"codex-cli\", \"capabilities\": [\"agent:code:rust\"], "
     "\"max_concurrency\": 3}]}",
     200,
     "{\"host_id\":\"w-1\",\"hostname\":\"10.0.0.7\",\"ssh_user\":\"agent\",\"ssh_key_path\":"
     "\"~/.ssh/id\",\"work_dir\":\"/w\",\"ssh_port\":2222,\"repositories\":[],\"agents\":"
     "[{\"agent_type\":\"codex-cli\",\"max_concurrency\":3,\"capabilities\":[\"code:rust\"],"
     "\"profile\":\"sandboxed\"}],\"workspace\":\"plain\"}"},
    {"{" LOCAL
     ", \"agents\": [{\"agent_type\": \"codex-cli\", \"account\": \"team\", \"model\": \"m\", "
     "\"isolation\": \"separate\", \"run_as\": [\"fleet-1\"], \"sandbox\": \"bwrap\", "
     "\"writable\": [\"/c\"]}]}",
     200,
     "{\"hostname\":\"localhost\",\"work_dir\":\"/w\",\"agents\":[{\"agent_type\":\"codex-cli\","
     "\"max_concurrency\":1,\"capabilities\":[],\"profile\":\"sandboxed\",\"model\":\"m\","
     "\"account\":\"team\",\"isolation\":\"separate\",\"run_as\":[\"fleet-1\"],\"sandbox\":"
     "\"bwrap\","
     "\"writable\":[\"/c\"]}],\"host_id\":\"w-1\",\"ssh_port\":22,\"workspace\":\"plain\","
     "\"repositories\":[\"*\"]}"},
    {NULL, 422, "hostname: missing; it must be given"},
    {"{" LOCAL "}", 422, "agents: missing; it must be given"},
    {"{\"host_id\": \"w-2\", " LOCAL ", " AGENTS "}", 422, "that of the path, w-1"},
    {"{" LOCAL ", " AGENTS ", \"shh_port\": 22}", 400, "there is no member 'shh_port' here"},
    {"{" LOCAL ", " AGENTS ", \"ssh_port\": 70000}", 422,
     "ssh_port: \\\"70000\\\" is wrong; must be a whole number from 1 to 65535"},
    {"{" LOCAL ", " AGENTS ", \"ssh_port\": \"22\"}", 422, "without quotes"},
    {"{" LOCAL ", \"agents\": [{\"agent_type\": \"nobody\"}]}", 422,
     "agents[0].agent_type: no adapter is known for nobody"},
    {"{" LOCAL ", \"agents\": [{\"agent_type\": \"codex-cli\", \"profil\": \"full\"}]}", 422,
     "agents[0].profil: unknown key; did you mean profile?"},
    {"{\"hostname\": \"a\", \"work_dir\": \"/w\", " AGENTS "}", 422,
     "ssh_user is missing; every host but localhost needs it"},
    {"{\"hostname\": \"${HOME}\", \"work_dir\": \"/w\", " AGENTS "}", 422, "give the value itself"},
    {"{\"hostname\": {\"file\": \"/etc/hostname\"}, \"work_dir\": \"/w\", " AGENTS "}", 422,
     "hostname: must be one value, not a mapping"},
    {"{\"hostname\": null, \"work_dir\": \"/w\", " AGENTS "}", 422, "hostname: has no value"},
    {"{\"hostname\": \"localhost\", \"work_dir\": \"w\", " AGENTS "}", 422, "an absolute path"},
};

START_TEST(an_entry_is_checked_as_the_files_are)
{
    api_sql("host_put", GRANTED);
    ck_assert_int_eq(api_ask("admin", "PUT", HOST, puts_[_i].body), puts_[_i].status);
    ck_assert_int_eq(api_asked("host_put")->calls, puts_[_i].status == 200);
    if (puts_[_i].status != 200)
        api_has(puts_[_i].says);
    else
        ck_assert_str_eq(api_asked("host_put")->last[2], puts_[_i].says);
}
END_TEST

START_TEST(all_problems_of_an_entry_are_told)
{
    api_sql("host_put", GRANTED);
    api_ask("admin", "PUT", HOST, "{\"ssh_port\": 0, \"work_dir\": \"/w\"}");
    api_is_error(422, "invalid_value");
    api_has("\"problems\": [\"hostname: missing");
    api_has("ssh_port: ");
    api_has("agents: missing");
}
END_TEST

static const struct {
    const char *body;
    int status;
    const char *code, *until, *reason;
} parks[] = {
    {"{\"reason\": \"bill\"}", 200, NULL, "<null>", "bill"},
    {"{\"reason\": \"bill\", \"until\": \"2027-01-01T00:00:00Z\"}", 200, NULL,
     "2027-01-01T00:00:00Z", "bill"},
    {"{\"reason\": \"bill\", \"until\": \"tomorrow\"}", 422, "invalid_value", NULL, NULL},
    {"{\"reason\": \"bill\", \"until\": 7}", 422, "invalid_value", NULL, NULL},
    {"{\"until\": \"2027-01-01T00:00:00Z\"}", 422, "invalid_value", NULL, NULL},
    {"{\"reason\": \"bill\", \"for\": 7}", 400, "unknown_member", NULL, NULL},
};

START_TEST(an_account_is_parked)
{
    api_sql("account_park", GRANTED);
    ck_assert_int_eq(api_ask("operate", "POST", ACCOUNT "/park", parks[_i].body), parks[_i].status);
    struct api_sql *asked = api_asked("account_park");
    ck_assert_int_eq(asked->calls, parks[_i].code == NULL);
    if (parks[_i].code != NULL) {
        api_is_error(parks[_i].status, parks[_i].code);
        return;
    }
    ck_assert_str_eq(asked->last[1], "w-1/codex-cli");
    ck_assert_str_eq(asked->last[2], parks[_i].until);
    ck_assert_str_eq(asked->last[3], parks[_i].reason);
}
END_TEST

START_TEST(accounts_are_listed_and_unparked)
{
    api_sql("account_list", GRANTED);
    ck_assert_int_eq(api_ask("read", "GET", "/api/v1/accounts", NULL), 200);
    api_sql("account_detail", GRANTED);
    ck_assert_int_eq(api_ask("read", "GET", ACCOUNT, NULL), 200);
    ck_assert_str_eq(api_asked("account_detail")->last[1], "w-1/codex-cli");
    api_sql("account_unpark", GRANTED);
    ck_assert_int_eq(api_ask("operate", "POST", ACCOUNT "/unpark", NULL), 200);
    ck_assert_str_eq(api_asked("account_unpark")->last[1], "w-1/codex-cli");
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("host");
    tcase_add_loop_test(tcase, each_verb_reads_its_form, 0, sizeof acts / sizeof acts[0]);
    tcase_add_test(tcase, one_host);
    tcase_add_loop_test(tcase, an_entry_is_checked_as_the_files_are, 0,
                        sizeof puts_ / sizeof puts_[0]);
    tcase_add_test(tcase, all_problems_of_an_entry_are_told);
    tcase_add_loop_test(tcase, an_account_is_parked, 0, sizeof parks / sizeof parks[0]);
    tcase_add_test(tcase, accounts_are_listed_and_unparked);
    return api_run(tcase);
}
