/* Directories that an agent filled. */
#ifndef FLEET_RUNNER_TREE_H
#define FLEET_RUNNER_TREE_H

#include <stdbool.h>

/* Removes what is there under the name, a directory with all that is in it or anything else. No
 * link is followed, whatever modes there are, however deep it is. True when nothing is there any
 * more. */
bool tree_remove(int dir, const char *name);

#endif
