/* GET /repos/{repo}/collaborators/{login}/permission, one after the other for each login.
 *
 * It answers administrators of the repository only, so it is asked by the look-up token where there
 * is one. 403 (or 401): we may not know, and SQL refuses unless trigger_users say otherwise. 404:
 * there is nobody of that name. */
#include "worker/forgejo/people.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "worker/forgejo/tracker.h"

void people_init(struct people *people, struct tracker *tracker)
{
    *people = (struct people){.tracker = tracker};
}

void people_release(struct people *people)
{
    for (int i = 0; i < people->count; i++)
        free(people->logins[i]);
    people->count = 0;
}

void people_add(struct people *people, const char *login)
{
    if (login == NULL || login[0] == '\0' || people->count == PEOPLE_MAX)
        return;
    for (int i = 0; i < people->count; i++)
        if (strcasecmp(people->logins[i], login) == 0)
            return;
    people->words[people->count] = "unknown";
    people->logins[people->count++] = mem_strdup(login);
}

static const char *word_of(const struct forgejo_answer *answer)
{
    static const char *const words[] = {"owner", "admin", "write", "read", "none", NULL};
    const char *said = json_string(answer->json, "permission", "");
    if (answer->verdict == FORGEJO_GONE)
        return "none";
    for (int i = 0; answer->verdict == FORGEJO_OK && words[i] != NULL; i++)
        if (strcmp(words[i], said) == 0)
            return words[i];
    return "unknown";
}

static void ask_next(struct people *people);

static void on_permission(void *data, const struct forgejo_answer *answer)
{
    struct people *people = data;
    if (answer->verdict == FORGEJO_AWAY || answer->verdict == FORGEJO_MOVED ||
        answer->verdict == FORGEJO_GARBLED)
        setback_take(people->setback, people->tracker, "a permission", answer);
    else
        people->words[people->next] = word_of(answer);
    people->next++;
    ask_next(people);
}

/* A login that cannot be part of a path is that of nobody: nothing is asked of it. */
static bool ask(struct people *people, const char *login)
{
    struct buf path;
    buf_init(&path, HOME_PATH_MAX);
    bool may = forgejo_path(&path, "/repos/%r/collaborators/%s/permission", people->repo, login);
    if (may)
        forgejo_call(people->tracker->forgejo, "GET", buf_text(&path), NULL, true, on_permission,
                     people);
    buf_release(&path);
    return may;
}

static void ask_next(struct people *people)
{
    for (; people->next < people->count && !people->setback->any; people->next++)
        if (ask(people, people->logins[people->next]))
            return;
    people->on_known(people->data);
}

void people_ask(struct people *people, const char *repo, struct setback *setback,
                void (*on_known)(void *), void *data)
{
    people->repo = repo;
    people->setback = setback;
    people->on_known = on_known;
    people->data = data;
    people->next = 0;
    ask_next(people);
}

struct json_object *people_json(const struct people *people)
{
    struct json_object *out = json_object_new_object();
    for (int i = 0; i < people->count; i++)
        json_object_object_add(out, people->logins[i], json_object_new_string(people->words[i]));
    return out;
}
