/* Taking leave of a connection without a reset: a socket closed with unread bytes in it sends RST,
 * and the client loses the answer that it was about to read (and a proxy counts the node as
 * broken). So our side is shut down, and what still comes is read and thrown away for a short time.
 */
#ifndef FLEET_HTTP_LINGER_H
#define FLEET_HTTP_LINGER_H

#include "common/list.h"
#include "common/loop.h"

struct linger_set {
    struct loop *loop; /* borrowed */
    struct list list;
    size_t count;
    struct timer timer;
};

void linger_set_init(struct linger_set *set, struct loop *loop);
/* Takes the descriptor over. Closes it at once when the peer is gone or too many linger. */
void linger_begin(struct linger_set *set, int fd);
void linger_end_all(struct linger_set *set);
void linger_set_close(struct linger_set *set, void (*on_closed)(void *data), void *data);

#endif
