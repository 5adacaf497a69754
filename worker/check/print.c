/* Text and JSON. */
#include "worker/check/print.h"

#include <stdio.h>
#include <string.h>

#include "common/json.h"

static const char *const words[] = {[CHECK_NOT_TRIED] = "not tried",
                                    [CHECK_GOOD] = "ok",
                                    [CHECK_DOUBTFUL] = "doubtful",
                                    [CHECK_FAILED] = "FAILED"};
static const char *const json_words[] = {[CHECK_NOT_TRIED] = "not_tried",
                                         [CHECK_GOOD] = "ok",
                                         [CHECK_DOUBTFUL] = "doubtful",
                                         [CHECK_FAILED] = "failed"};

#define COLUMNS 100
#define MARGIN 13 /* of a row's name */

static bool is_local(const struct config_host *host)
{
    return strcmp(host->hostname, "localhost") == 0;
}

/* --- Text --- */

/* Words up to COLUMNS, the first line behind what stands in it already, the others behind a margin;
 * a longer word has a line of its own. */
static void wrap(struct buf *out, const char *text, size_t at, int margin)
{
    bool first = true;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (!first && at + 1 + len > COLUMNS) {
            buf_addf(out, "\n%*s", margin, "");
            at = (size_t)margin;
        } else if (!first) {
            buf_adds(out, " ");
            at++;
        }
        buf_add(out, text, len);
        at += len;
        first = false;
        text += len + (text[len] == ' ');
    }
    buf_adds(out, "\n");
}

/* Rows of which there is nothing to say share a line. */
static size_t print_untried(struct buf *out, const struct check_sheet *sheet, size_t from)
{
    struct buf names;
    size_t i = from;
    buf_init(&names, (size_t)128 * SHEET_ROWS_MAX);
    for (; i < sheet->count && sheet->rows[i].text == NULL; i++)
        buf_addf(&names, "%s%s", i > from ? ", " : "", sheet->rows[i].name);
    buf_addf(out, "  %-9s  ", words[CHECK_NOT_TRIED]);
    wrap(out, buf_text(&names), MARGIN, MARGIN);
    buf_release(&names);
    return i - from;
}

static void print_row(struct buf *out, const struct check_row *row)
{
    buf_addf(out, "  %-9s  %s: ", words[row->result], row->name);
    wrap(out, row->text, MARGIN + strlen(row->name) + 2, MARGIN + 2);
    for (size_t i = 0; i < row->hint_count; i++) {
        buf_addf(out, "%*s", MARGIN + 2, "");
        if (row->hints[i].paste)
            buf_addf(out, "    %s\n", row->hints[i].text);
        else
            wrap(out, row->hints[i].text, MARGIN + 2, MARGIN + 2);
    }
}

static size_t count_of(const struct check_sheet *sheet, enum check_result result)
{
    size_t count = 0;
    for (size_t i = 0; i < sheet->count; i++)
        count += sheet->rows[i].result == result;
    return count;
}

static void print_closing(struct buf *out, const struct config_host *host,
                          const struct check_sheet *sheet)
{
    size_t failed = count_of(sheet, CHECK_FAILED), doubtful = count_of(sheet, CHECK_DOUBTFUL);
    buf_addf(out, "%s: ", host->host_id);
    if (failed == 0)
        buf_adds(out, "can run work");
    else
        buf_addf(out, "cannot run its work: %s", sheet_find(sheet, CHECK_FAILED)->name);
    if (failed > 1)
        buf_addf(out, " and %zu more", failed - 1);
    if (doubtful > 0)
        buf_addf(out, "; doubtful: %s", sheet_find(sheet, CHECK_DOUBTFUL)->name);
    if (doubtful > 1)
        buf_addf(out, " and %zu more", doubtful - 1);
    buf_adds(out, "\n");
}

void print_text(struct buf *out, const struct config_host *host, const struct check_sheet *sheet)
{
    if (is_local(host))
        buf_addf(out, "%s: this machine, work_dir %s\n", host->host_id, host->work_dir);
    else
        buf_addf(out, "%s: %s@%s port %d, work_dir %s\n", host->host_id, host->ssh_user,
                 host->hostname, host->ssh_port, host->work_dir);
    for (size_t i = 0; i < sheet->count;) {
        if (sheet->rows[i].text == NULL)
            i += print_untried(out, sheet, i);
        else
            print_row(out, &sheet->rows[i++]);
    }
    print_closing(out, host, sheet);
}

/* --- JSON --- */

static void member(struct buf *out, const char *name, const char *text)
{
    buf_addf(out, "\"%s\": ", name);
    json_quote(out, text, strlen(text));
}

static void json_row(struct buf *out, const struct check_row *row)
{
    buf_adds(out, "    {");
    member(out, "check", row->name);
    buf_adds(out, ", ");
    member(out, "result", json_words[row->result]);
    buf_adds(out, ", ");
    member(out, "text", row->text != NULL ? row->text : "");
    buf_adds(out, ", \"remedy\": [");
    for (size_t i = 0; i < row->hint_count; i++) {
        buf_adds(out, i > 0 ? ", {" : "{");
        member(out, row->hints[i].paste ? "paste" : "note", row->hints[i].text);
        buf_adds(out, "}");
    }
    buf_adds(out, "]}");
}

void print_json(struct buf *out, const struct config_host *host, const struct check_sheet *sheet)
{
    buf_adds(out, "  {");
    member(out, "host_id", host->host_id);
    buf_adds(out, ", ");
    member(out, "hostname", host->hostname);
    if (!is_local(host)) {
        buf_adds(out, ", ");
        member(out, "ssh_user", host->ssh_user);
        buf_addf(out, ", \"ssh_port\": %d", host->ssh_port);
    }
    buf_adds(out, ", ");
    member(out, "work_dir", host->work_dir);
    buf_addf(out, ", \"can_run_work\": %s,\n   \"checks\": [\n",
             sheet_find(sheet, CHECK_FAILED) == NULL ? "true" : "false");
    for (size_t i = 0; i < sheet->count; i++) {
        buf_adds(out, i > 0 ? ",\n" : "");
        json_row(out, &sheet->rows[i]);
    }
    buf_adds(out, "]}");
}
