/* Tokens by REST: the form that is read, what reaches SQL, and where a token's text goes. */
#include "tests/unit/api_scene.h"

#define TOKENS "/api/v1/tokens"
#define MADE "status=201;body={\"token_id\": 9};next=<null>;location=/api/v1/tokens/9"
#define SHOWN "status=200;body={\"token_id\": 9};next=<null>;location=<null>"

START_TEST(its_text_is_shown_once_and_its_hash_is_stored)
{
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 3] = "\\x", token[64];
    api_sql("token_create", MADE);
    ck_assert_int_eq(api_ask("admin", "POST", TOKENS, "{\"name\": \"ci\", \"scope\": \"submit\"}"),
                     201);
    api_has("location: /api/v1/tokens/9");
    ck_assert_int_eq(sscanf(api.body, "{\"token\": \"%49[^\"]\", \"token_id\": 9}", token), 1);
    ck_assert(strncmp(token, "aft_s_", 6) == 0);
    crypto_sha256(token, strlen(token), digest);
    crypto_hex(digest, sizeof digest, hex + 2);
    const struct api_sql *asked = api_asked("token_create");
    ck_assert_str_eq(asked->last[3], hex);
    ck_assert(strncmp(token, asked->last[4], 12) == 0 && strlen(asked->last[4]) == 12);
    for (int i = 0; i < asked->count; i++)
        ck_assert_ptr_null(strstr(asked->last[i], token + 12));
}
END_TEST

START_TEST(a_refusal_shows_none)
{
    api_sql("token_create", "status=422;body={\"code\": \"invalid_value\"};next=<null>;"
                            "location=<null>");
    ck_assert_int_eq(api_ask("admin", "POST", TOKENS, "{\"scope\": \"boss\"}"), 422);
    ck_assert_ptr_null(strstr(api.body, "aft_"));
}
END_TEST

START_TEST(all_of_it_reaches_sql)
{
    static const char *const params[] = {"(7,127.0.0.1,r-1)", "a1", "agent"};
    api_sql("token_create", MADE);
    api_sql("authenticate", "token_id=7;name=root;scope=admin;bounded=f;expires_ms=<null>");
    ck_assert_int_eq(
        api_ask_with("POST", TOKENS,
                     "Authorization: Bearer " API_TOKEN "\r\nX-Request-Id: r-1\r\n" API_JSON,
                     "{\"name\": \"a1\", \"scope\": \"agent\", \"repositories\": [\"acme/*\", "
                     "\"none\"], \"agent_id\": \"b-1\", \"capabilities\": [\"x\"], "
                     "\"expires_at\": \"2030-01-01T00:00:00Z\"}"),
        201);
    const struct api_sql *asked = api_asked("token_create");
    ck_assert_str_eq(asked->last[1], params[1]);
    ck_assert_str_eq(asked->last[2], params[2]);
    ck_assert_ptr_nonnull(strstr(asked->last[0], "r-1"));
    ck_assert_str_eq(asked->last[5], "{\"acme/*\",\"none\"}");
    ck_assert_str_eq(asked->last[6], "b-1");
    ck_assert_str_eq(asked->last[7], "{\"x\"}");
    ck_assert_str_eq(asked->last[8], "2030-01-01T00:00:00Z");
}
END_TEST

static const struct {
    const char *body;
    int status;
    const char *code;
} wrong[] = {
    {"[]", 400, "wrong_type"},
    {"{\"colour\": \"red\"}", 400, "unknown_member"},
    {"{\"name\": 7}", 422, "invalid_value"},
    {"{\"scope\": null, \"repositories\": \"acme/rocket\"}", 422, "invalid_value"},
    {"{\"repositories\": [7]}", 422, "invalid_value"},
    {"{\"capabilities\": {}}", 422, "invalid_value"},
    {"{\"expires_at\": \"tomorrow\"}", 422, "invalid_value"},
    {"{", 400, "malformed_json"},
};

START_TEST(a_wrong_form_is_refused)
{
    api_sql("token_create", MADE);
    api_ask("admin", "POST", TOKENS, wrong[_i].body);
    api_is_error(wrong[_i].status, wrong[_i].code);
    ck_assert_int_eq(api_asked("token_create")->calls, 0);
}
END_TEST

START_TEST(listed_and_revoked)
{
    api_sql("token_list", "status=200;body=[];next=7;location=<null>");
    ck_assert_int_eq(api_ask("admin", "GET", TOKENS "?limit=3&cursor=12", NULL), 200);
    api_has("</api/v1/tokens?limit=3&cursor=7>; rel=\"next\"");
    ck_assert_str_eq(api_asked("token_list")->last[1], "3");
    ck_assert_str_eq(api_asked("token_list")->last[2], "12");
    api_ask("admin", "GET", TOKENS "?limit=0", NULL);
    api_is_error(422, "invalid_value");
    api_sql("token_revoke", SHOWN);
    ck_assert_int_eq(api_ask("admin", "DELETE", TOKENS "/9?force=true", NULL), 200);
    ck_assert_str_eq(api_asked("token_revoke")->last[1], "9");
    ck_assert_str_eq(api_asked("token_revoke")->last[2], "true");
    api_ask("admin", "DELETE", TOKENS "/9?force=yes", NULL);
    api_is_error(422, "invalid_value");
    api_ask("admin", "DELETE", TOKENS "/x9", NULL);
    api_is_error(404, "not_found");
    ck_assert_int_eq(api_asked("token_revoke")->calls, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = api_case("token");
    tcase_add_test(tcase, its_text_is_shown_once_and_its_hash_is_stored);
    tcase_add_test(tcase, a_refusal_shows_none);
    tcase_add_test(tcase, all_of_it_reaches_sql);
    tcase_add_loop_test(tcase, a_wrong_form_is_refused, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_test(tcase, listed_and_revoked);
    return api_run(tcase);
}
