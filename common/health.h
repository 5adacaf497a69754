/* How a node is, for a health check beside it that has neither HTTP nor a service manager
 * (containers): the node writes a line into $FLEET_STATUS_FILE every second, `NODE health` reads
 * it. */
#ifndef FLEET_HEALTH_H
#define FLEET_HEALTH_H

#include <stdbool.h>

/* Replaces the file whole. What cannot be written is not: a reader then finds it old. */
void health_write(const char *path, bool works, const char *text);

/* `NODE health`: prints the line; 0 when the node works, 1 when it waits, stops or its loop does
 * not turn. */
bool health_wanted(int argc, char **argv);
int health_command(const char *program);

#endif
