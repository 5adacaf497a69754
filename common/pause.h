/* How long to wait before something is tried again. */
#ifndef FLEET_PAUSE_H
#define FLEET_PAUSE_H

/* `first` ms after the first failure, twice as long after each further one, at most `last`. */
int pause_after(unsigned failures, int first, int last);
/* The same for who remembers the pause before, 0 for none. */
int pause_longer(int ms, int first, int last);
/* A random time from half of it to all of it: those that failed together do not come back
 * in step. */
int pause_jitter(int ms);

#endif
