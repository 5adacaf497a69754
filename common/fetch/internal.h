/* One call of a fetch, for the files of this folder only. */
#ifndef FLEET_FETCH_INTERNAL_H
#define FLEET_FETCH_INTERNAL_H

#include <curl/curl.h>

#include "common/buf.h"
#include "common/fetch/fetch.h"
#include "common/list.h"

struct fetch {
    struct loop *loop; /* borrowed */
    CURLM *multi;      /* owned */
    char *base;        /* owned; scheme, host, port and path without a last "/" */
    char *ca_file;     /* owned; NULL: the system's */
    int connections;
    int timeout_ms;
    struct timer clock;  /* libcurl's */
    struct timer turn;   /* fires when there is something to start or to stop */
    struct list waiting; /* of struct call, in order */
    struct list under_way;
    int busy; /* how many are under way */
    bool stopping;
    int open; /* timers */
    void (*on_stopped)(void *);
    void *data; /* borrowed, for on_stopped */
};

/* One request and what has come of its answer. */
struct call {
    struct list link;
    struct fetch *fetch;        /* borrowed */
    CURL *easy;                 /* owned */
    struct curl_slist *headers; /* owned; has the secret */
    struct buf body;            /* of the answer */
    size_t head_len;            /* of the answer so far */
    bool big;                   /* one of both passed its ceiling */
    char location[1024];
    char words[CURL_ERROR_SIZE]; /* libcurl's, about a failure */
    struct fetch_answer answer;
    fetch_done_cb done;
    void *data; /* borrowed, for done */
};

/* Why a request cannot be made; NULL when it can. */
const char *fetch_call_refusal(const struct fetch_request *request);
/* Makes the call's `easy` of it: whom, how, what, and where the answer goes. */
void fetch_call_make(struct call *call, const struct fetch_request *request);
/* Says in answer.error what became of it. */
void fetch_call_explain(struct call *call, CURLcode code);
void fetch_call_free(struct call *call);

/* libcurl's memory is wiped from here on whenever it is given back. */
void fetch_memory_begin(void);
void fetch_memory_must(
    bool well); /* ends the process: libcurl fails there for want of memory only */

#endif
