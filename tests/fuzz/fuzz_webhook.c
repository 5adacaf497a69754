/* A delivery: signature header, a line feed, body. Whatever comes, a verdict and no crash; what is
 * parsed holds what SQL relies on. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/api/value.h"
#include "server/webhook/forgejo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool good)
{
    if (!good)
        abort();
}

static void read_signature(const char *text, size_t len)
{
    struct forgejo_header header = {text, len, 1};
    struct forgejo_signatures headers = {.forgejo = header};
    uint8_t mac[SHA256_SIZE];
    struct error err = {0};
    if (forgejo_signature(&headers, mac, &err))
        expect(!forgejo_signed_with("fuzz", text, len, mac));
    else
        expect(err.text[0] != '\0');
}

static void read_issue(const char *bytes, size_t len, const char *type)
{
    char *all = (char[]){"*"};
    struct config_list everyone = {&all, 1};
    struct forgejo_issue issue;
    struct error err = {0};
    enum forgejo_parse verdict = forgejo_issue_parse(&issue, bytes, len, type, &err);
    if (verdict == FORGEJO_PARSED) {
        expect(issue.number >= 1 && issue.number <= 999999999);
        expect(issue.repo[0] != '\0' && value_is_time(issue.updated_at));
        expect(issue.title[0] != '\0' && issue.sender[0] != '\0' && issue.labels != NULL);
        expect(forgejo_refusal(&issue, &everyone, &everyone) == NULL);
    }
    expect((verdict == FORGEJO_INVALID) == (err.text[0] != '\0'));
    forgejo_issue_release(&issue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"", "issues", "issue_label", "push"};
    const char *text = (const char *)data;
    const char *line = size > 0 ? memchr(text, '\n', size) : NULL;
    size_t head = line != NULL ? (size_t)(line - text) : size;
    read_signature(text, head);
    const char *body = line != NULL ? line + 1 : text;
    size_t len = line != NULL ? size - head - 1 : size;
    read_issue(body, len, types[size % 4]);
    return 0;
}
