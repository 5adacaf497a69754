/* Prometheus' text format 0.0.4, a line at a time. */
#ifndef FLEET_METRICS_TEXT_H
#define FLEET_METRICS_TEXT_H

#include <stdint.h>

#include "common/buf.h"
#include "common/histogram.h"

#define METRICS_TEXT_MAX (4 << 20) /* bytes */
#define METRICS_LABELS 4

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* A metric as it is told; the names of its labels are separated by blanks. */
struct metric {
    const char *name, *labels, *help;
    enum metric_type type;
};

const char *metric_type_name(enum metric_type type);

/* # HELP and # TYPE. */
void metrics_head(struct buf *out, const struct metric *metric);
/* values: one for each label of the metric. `le`: of a histogram's bucket, "sum", or NULL; the
 * bucket of "+Inf" tells the count as well. */
void metrics_line(struct buf *out, const struct metric *metric, const char *const *values,
                  const char *le, double value);
void metrics_histogram(struct buf *out, const struct metric *metric, const char *const *values,
                       const struct histogram *histogram);

#endif
