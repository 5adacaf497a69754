/* What the kinds say of a run, for adapter.h's facts: bounded, clean, without credentials. */
#ifndef FLEET_FACTS_H
#define FLEET_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/adapter/adapter.h"

bool fact_is(const char *text, const char *word);
void fact_count(int64_t *counter);               /* one more; it saturates */
void fact_add(int64_t *counter, int64_t number); /* no less than before */

/* The member as a count: 0 when it is none, saturated when it is more. */
int64_t fact_number(const struct json_object *object, const char *name);

/* Puts clean text into *slot, which is owned; NULL empties it. */
void fact_text(const struct adapter *adapter, char **slot, const char *text, size_t max_chars);

void fact_session(struct adapter *adapter, const char *id);  /* the first one stays */
void fact_model(struct adapter *adapter, const char *model); /* the first one stays */
void fact_tokens(struct adapter *adapter, struct adapter_tokens tokens);
void fact_tokens_add(struct adapter *adapter, struct adapter_tokens tokens);
void fact_cost(struct adapter *adapter, double usd); /* of the whole run; nothing when absurd */
void fact_cost_add(struct adapter *adapter, double usd);

/* What the agent says last: its summary, and its question when its last line is one. */
void fact_message(struct adapter *adapter, const char *text);
/* The same in pieces, of which the end is kept. */
void fact_message_part(struct adapter *adapter, const char *text);
void fact_message_ends(struct adapter *adapter);

void fact_asks(struct adapter *adapter, const char *question); /* by a tool for that */
void fact_answered(struct adapter *adapter);                   /* it asks nothing more */

void fact_tool_begins(struct adapter *adapter);
void fact_tool_ends(struct adapter *adapter);

/* An error of that provider's status (0 = not told) and text. What says more stays. */
void fact_error(struct adapter *adapter, int status, const char *text);
void fact_fails(struct adapter *adapter, const char *reason, const char *text); /* a known one */
void fact_waits(struct adapter *adapter); /* it asks its provider again */

/* The provider answered: what it refused before is past. */
void fact_progress(struct adapter *adapter);

/* What a text, and a member of an event, say of the limit. */
void fact_limit(struct adapter *adapter, const char *text);
void fact_limit_at(struct adapter *adapter, const char *window, int64_t resets_at);

void fact_completed(struct adapter *adapter); /* all tool calls are over then */
void fact_failed(struct adapter *adapter);

#endif
