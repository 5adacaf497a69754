/* Durations sorted into fixed bounds. */
#include "common/histogram.h"

const double histogram_bounds[HISTOGRAM_BOUNDS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                   0.25,  0.5,    1,     2.5,  5,     10,   30};

void histogram_add(struct histogram *histogram, int64_t us)
{
    int64_t took = us > 0 ? us : 0;
    int at = 0;
    while (at < HISTOGRAM_BOUNDS && (double)took > histogram_bounds[at] * 1e6)
        at++;
    histogram->counts[at]++;
    histogram->count++;
    histogram->sum_us += (uint64_t)took;
}
