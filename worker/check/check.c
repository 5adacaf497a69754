/* All hosts at once, printed in their order. */
#include "worker/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/exit.h"
#include "common/loop.h"
#include "common/mem.h"
#include "worker/check/print.h"
#include "worker/check/visit.h"

#define AT_ONCE 64                /* hosts */
#define OUT_MAX ((size_t)4 << 20) /* of one host */

struct check;

/* One host of a check. */
struct checked {
    struct check *check;            /* borrowed */
    const struct config_host *host; /* borrowed */
    struct check_sheet sheet;
    bool over;
};

struct check {
    struct loop loop;
    struct config *config; /* owned */
    bool json;
    int secs;
    struct checked *hosts; /* owned */
    size_t count, begun, over, shown;
};

static void show(struct check *check, struct checked *checked)
{
    struct buf out;
    buf_init(&out, OUT_MAX);
    if (check->json)
        print_json(&out, checked->host, &checked->sheet);
    else
        print_text(&out, checked->host, &checked->sheet);
    if (check->shown > 1)
        fputs(check->json ? ",\n" : "\n", stdout);
    fputs(buf_text(&out), stdout);
    fflush(stdout);
    buf_release(&out);
}

static void on_over(void *data);

static void begin_more(struct check *check)
{
    while (check->begun < check->count && check->begun - check->over < AT_ONCE) {
        struct checked *next = &check->hosts[check->begun++];
        visit_start(&check->loop, check->config, next->host, check->secs, &next->sheet, on_over,
                    next);
    }
}

/* Whoever is over is shown when all before it are. */
static void on_over(void *data)
{
    struct checked *checked = data;
    struct check *check = checked->check;
    checked->over = true;
    check->over++;
    begin_more(check);
    while (check->shown < check->count && check->hosts[check->shown].over) {
        struct checked *next = &check->hosts[check->shown++];
        show(check, next);
    }
}

/* --- Which hosts --- */

static const struct config_host *find(const struct config *config, const char *host_id)
{
    for (size_t i = 0; i < config->host_count; i++) {
        if (strcmp(config->hosts[i].host_id, host_id) == 0)
            return &config->hosts[i];
    }
    return NULL;
}

static bool choose(struct check *check, const struct check_options *options)
{
    const struct config *config = check->config;
    check->count = options->host_count > 0 ? (size_t)options->host_count : config->host_count;
    check->hosts = mem_array(check->count + 1, sizeof *check->hosts);
    for (size_t i = 0; i < check->count; i++) {
        struct checked *checked = &check->hosts[i];
        checked->check = check;
        checked->host =
            options->host_count > 0 ? find(config, options->hosts[i]) : &config->hosts[i];
        if (checked->host == NULL) {
            fprintf(stderr,
                    "fleet-worker check-hosts: %s lists no host %s (hosts that the API made are "
                    "not in it)\n",
                    config->path, options->hosts[i]);
            return false;
        }
        sheet_init(&checked->sheet);
    }
    return true;
}

static int run(struct check *check)
{
    int status = 0;
    if (check->count == 0)
        fprintf(stderr, "fleet-worker check-hosts: %s lists no hosts\n", check->config->path);
    fputs(check->json ? "[\n" : "", stdout);
    loop_init(&check->loop);
    begin_more(check);
    loop_run(&check->loop);
    loop_release(&check->loop);
    fputs(check->json ? "\n]\n" : "", stdout);
    for (size_t i = 0; i < check->count; i++) {
        if (sheet_find(&check->hosts[i].sheet, CHECK_FAILED) != NULL)
            status = 1;
        sheet_release(&check->hosts[i].sheet);
    }
    return status;
}

int check_command(int argc, char **argv)
{
    struct check check = {0};
    struct check_options options;
    int status = check_options_read(&options, argc, argv);
    if (status >= 0)
        return status;
    status = config_command_line(options.config_argc, options.config_argv, &check_program,
                                 &check.config);
    if (status >= 0)
        return status;
    check.json = options.json;
    check.secs = options.secs;
    status = choose(&check, &options) ? run(&check) : EXIT_USAGE;
    free(check.hosts);
    config_free(check.config);
    return status;
}
