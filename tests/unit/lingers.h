/* A process that is there for a while, as a part of what is tested: never a wait of the test. */
#ifndef FLEET_TEST_LINGERS_H
#define FLEET_TEST_LINGERS_H

#define LINGERS(secs) "sleep " #secs /* payload: sleep */

#endif
