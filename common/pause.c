/* Back-off and jitter. */
#include "common/pause.h"

#include <stdint.h>

#include "common/crypto.h"

int pause_longer(int ms, int first, int last)
{
    if (ms == 0)
        return first;
    return ms < last / 2 ? 2 * ms : last;
}

int pause_after(unsigned failures, int first, int last)
{
    int ms = first;
    for (unsigned i = 1; i < failures && ms < last; i++)
        ms = pause_longer(ms, first, last);
    return ms;
}

int pause_jitter(int ms)
{
    uint32_t dice;
    crypto_random(&dice, sizeof dice);
    return ms - ms / 2 + (int)(dice % (uint32_t)(ms / 2 + 1));
}
