/* Rows and their texts. */
#include "worker/check/sheet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/mem.h"
#include "common/text.h"
#include "worker/clean.h"

#define TEXT_MAX ((size_t)16 << 10)
#define TEXT_CHARS 3000

void sheet_init(struct check_sheet *sheet)
{
    memset(sheet, 0, sizeof *sheet);
}

static void row_clear(struct check_row *row)
{
    for (size_t i = 0; i < row->hint_count; i++)
        free(row->hints[i].text);
    free(row->hints);
    free(row->text);
    row->text = NULL;
    row->hints = NULL;
    row->hint_count = 0;
}

void sheet_release(struct check_sheet *sheet)
{
    for (size_t i = 0; i < sheet->count; i++)
        row_clear(&sheet->rows[i]);
    sheet_init(sheet);
}

struct check_row *sheet_row(struct check_sheet *sheet, const char *name, const char *detail)
{
    if (sheet->count == SHEET_ROWS_MAX)
        abort();
    struct check_row *row = &sheet->rows[sheet->count++];
    snprintf(row->name, sizeof row->name, "%s%s%s", name, detail[0] != '\0' ? " " : "", detail);
    return row;
}

const struct check_row *sheet_find(const struct check_sheet *sheet, enum check_result result)
{
    for (size_t i = 0; i < sheet->count; i++) {
        if (sheet->rows[i].result == result)
            return &sheet->rows[i];
    }
    return NULL;
}

char *sheet_quote(const char *text)
{
    struct buf out;
    buf_init(&out, TEXT_MAX);
    text_shell_quote(&out, text);
    return buf_take(&out);
}

/* One clean line; the caller owns it. */
static char *line(const char *format, va_list args)
{
    struct buf raw, clean;
    buf_init(&raw, TEXT_MAX);
    buf_init(&clean, 4 * TEXT_MAX);
    buf_addvf(&raw, format, args);
    clean_line(&clean, raw.failed ? "(too long to show)" : buf_text(&raw),
               raw.failed ? strlen("(too long to show)") : raw.len, TEXT_CHARS);
    buf_release(&raw);
    buf_adds(&clean, "");
    return buf_take(&clean);
}

void row_say(struct check_row *row, enum check_result result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    row_clear(row);
    row->result = result;
    row->text = line(format, args);
    va_end(args);
}

static void add_hint(struct check_row *row, bool paste, char *text)
{
    row->hints = mem_resize(row->hints, row->hint_count + 1, sizeof *row->hints);
    row->hints[row->hint_count++] = (struct check_hint){paste, text};
}

void row_note(struct check_row *row, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_hint(row, false, line(format, args));
    va_end(args);
}

void row_paste(struct check_row *row, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_hint(row, true, line(format, args));
    va_end(args);
}
