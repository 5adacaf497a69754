/* How often something took how long, by fixed bounds: what Prometheus calls a histogram. Zeroed:
 * empty. */
#ifndef FLEET_HISTOGRAM_H
#define FLEET_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS 14

extern const double
    histogram_bounds[HISTOGRAM_BOUNDS]; /* seconds; each is of what is at most so long */

struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS +
                    1]; /* by the lowest bound that holds it; the last: longer than all */
    uint64_t count;
    uint64_t sum_us;
};

void histogram_add(struct histogram *histogram, int64_t us); /* less than 0 is 0 */

#endif
