/* Names, labels and values as Prometheus reads them. */
#include "server/metrics/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *metric_type_name(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    return "untyped";
}

/* In a label's value the quotes too. */
static void add_escaped(struct buf *out, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            buf_adds(out, "\\n");
        else if (*text == '\\' || (quotes && *text == '"'))
            buf_addf(out, "\\%c", *text);
        else
            buf_add(out, text, 1);
    }
}

void metrics_head(struct buf *out, const struct metric *metric)
{
    buf_addf(out, "# HELP %s ", metric->name);
    add_escaped(out, metric->help, false);
    buf_addf(out, "\n# TYPE %s %s\n", metric->name, metric_type_name(metric->type));
}

/* Whole numbers as such: counters do not lose their last digits. */
static void add_value(struct buf *out, double value)
{
    if (value == floor(value) && fabs(value) < 1e15)
        buf_addf(out, " %.0f\n", value);
    else
        buf_addf(out, " %.9g\n", value);
}

static void add_sample(struct buf *out, const struct metric *metric, const char *suffix,
                       const char *const *values, const char *le, double value)
{
    const char *name = metric->labels, *between = "{";
    buf_addf(out, "%s%s", metric->name, suffix);
    for (int i = 0; *name != '\0'; i++) {
        size_t len = strcspn(name, " ");
        buf_addf(out, "%s%.*s=\"", between, (int)len, name);
        add_escaped(out, values[i] != NULL ? values[i] : "", true);
        buf_adds(out, "\"");
        between = ",";
        name += len;
        name += strspn(name, " ");
    }
    if (le != NULL)
        buf_addf(out, "%sle=\"%s\"", between, le);
    if (le != NULL || *between == ',')
        buf_adds(out, "}");
    add_value(out, value);
}

void metrics_line(struct buf *out, const struct metric *metric, const char *const *values,
                  const char *le, double value)
{
    if (le == NULL) {
        add_sample(out, metric, "", values, NULL, value);
    } else if (strcmp(le, "sum") == 0) {
        add_sample(out, metric, "_sum", values, NULL, value);
    } else {
        add_sample(out, metric, "_bucket", values, le, value);
        if (strcmp(le, "+Inf") == 0)
            add_sample(out, metric, "_count", values, NULL, value);
    }
}

void metrics_histogram(struct buf *out, const struct metric *metric, const char *const *values,
                       const struct histogram *histogram)
{
    uint64_t total = 0;
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        char le[32] = "+Inf";
        if (i < HISTOGRAM_BOUNDS)
            snprintf(le, sizeof le, "%g", histogram_bounds[i]);
        total += histogram->counts[i];
        metrics_line(out, metric, values, le, (double)total);
    }
    metrics_line(out, metric, values, "sum", (double)histogram->sum_us / 1e6);
}
