/* The configuration file (YAML), shared by both nodes. The only user of libyaml. */
#ifndef FLEET_CONFIG_H
#define FLEET_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/log.h"

struct config_list {
    char **items; /* owned */
    size_t count;
};

/* One (host, agent type): an executor. */
struct config_agent {
    char *agent_type;
    int max_concurrency; /* 1 to 256, default 1 */
    struct config_list capabilities;
    char *profile;             /* "sandboxed" (default) or "full" */
    char *model;               /* NULL: the agent's own choice */
    char *account;             /* whose quota it uses; NULL: its own */
    char *isolation;           /* "shared" (default) or "separate" */
    struct config_list run_as; /* of "separate": an account for each slot */
    char *sandbox;             /* "none" (default) or "bwrap" */
    struct config_list
        writable; /* of "bwrap": paths beside the workspace; empty: the agent's own */
};

struct config_host {
    char *host_id;  /* [A-Za-z0-9._-]{1,64} */
    char *hostname; /* "localhost" runs without SSH */
    char *ssh_user;
    int ssh_port;       /* default 22 */
    char *ssh_key_path; /* ed25519 or ECDSA private key */
    char *known_hosts;  /* path; default ~/.ssh/known_hosts */
    char *work_dir;     /* absolute */
    char *workspace;    /* "plain" (default) or "git" */
    /* "*" (default): every task; "none": tasks of no repository; empty: only those */
    struct config_list repositories;
    struct config_agent *agents; /* owned */
    size_t agent_count;
};

/* Of the environment of a run. */
struct config_variable {
    char *name;
    char *value; /* secret; NULL in a server */
};

struct config_adapter {
    char *agent_type;
    /* argv; placeholders {work_dir} {task_id} {branch} {run_dir} {model} {session} */
    struct config_list command;
    struct config_list resume;   /* the same, to go on with {session}; empty: it cannot */
    char *output;                /* name of an adapter kind; "text" by default */
    bool versions;               /* its program answers --version and does nothing else then */
    int silence_timeout_secs;    /* 0: orchestrator's; of "text" none */
    struct config_variable *env; /* owned */
    size_t env_count;
};

/* Whose webhooks are signed with which key. */
struct config_signer {
    struct config_list repositories; /* "owner/name" or "owner/" + "*" */
    char *secret, *previous;         /* secret; NULL in a worker; previous NULL: none */
};

/* What differs for some repositories; NULL and an empty list: as for all. */
struct config_rule {
    struct config_list repositories;
    char *approval, *open_pull_request, *on_ci_failure;
    struct config_list required_checks;
};

struct config {
    struct {
        char *bind;                         /* default 127.0.0.1; NULL in a worker */
        int port;                           /* default 9090; 0 = any free one, logged */
        int64_t max_body_bytes;             /* default 1048576 */
        struct config_list trusted_proxies; /* addresses or CIDR */
        struct config_list public_hosts;
        bool insecure_open;
    } server;
    struct {
        char *url;
        char *listen_url;        /* NULL: as url */
        int connections;         /* default 4 */
        bool insecure_plaintext; /* permits a non-local database without verify-full */
    } database;
    struct {
        char *url;
        bool reads;                 /* a token is named, also where it is not resolved */
        char *token, *lookup_token; /* secret; NULL in a server */
        char *ca_file;              /* path; NULL: the system's */
        bool insecure_http;         /* permits the token over http:// beyond loopback */
        int timeout_secs;           /* 30 */
        int connections;            /* 4, of each worker */
        char *webhook_secret;
        char *webhook_secret_previous; /* accepted too, for rotation */
        struct config_signer *signers; /* owned */
        size_t signer_count;
        char *webhook_url; /* NULL: not told */
        /* "owner/repo", "owner/" + "*", or "*"; empty admits none */
        struct config_list repositories;
        struct config_list trigger_users; /* logins or "*" */
        struct config_list events;        /* event types; empty: all */
        bool poll_only;
        int poll_interval_secs; /* 300 */
        char *approval;         /* "none" (default), "untrusted" or "always" */
        bool open_pull_request;
        char *on_ci_failure; /* "ignore" (default) or "continue" */
        struct config_list required_checks;
        bool comments, state_labels, commit_statuses; /* true */
        struct config_rule *rules;                    /* owned */
        size_t rule_count;
    } forgejo;
    struct {
        char *url;                          /* with {repository}; NULL: below forgejo.url */
        char *username, *password;          /* of https; the password is secret, NULL in a server */
        char *ssh_key_path;                 /* of ssh; a private key as a host's */
        char *known_hosts;                  /* path; of ssh */
        char *author;                       /* "Name <mail>" of our commits */
        bool commit_leftovers;              /* true: what an agent left uncommitted is committed */
        struct config_list allow_workflows; /* repositories whose CI an agent may change */
        struct config_list protected_branches; /* patterns: never pushed to */
        int fetch_timeout_secs;                /* 1800 */
        int push_timeout_secs;                 /* 600 */
        int64_t min_free_bytes;                /* 1 GiB: below that no workspace is made */
        int hook_timeout_secs;                 /* 300 */
        struct config_list after_create, before_run, after_run,
            before_remove; /* argv; may be empty */
    } git;
    struct {
        int task_timeout_secs;           /* 1800 */
        int default_max_retries;         /* 2 */
        struct config_list retry_on;     /* all, none, classes and reasons of fleet.reason */
        int dispatch_interval_secs;      /* 10: slow poll under NOTIFY */
        int heartbeat_interval_secs;     /* 60: of agents that poll by HTTP */
        int heartbeat_timeout_threshold; /* 3: so many missed ones and an agent is offline */
        int handover_ack_secs;           /* 60: a task that was handed out is acknowledged within */
        char *http_pull_token;     /* secret; one for all agents; NULL: none, and in a worker */
        int start_timeout_secs;    /* 300 */
        int silence_timeout_secs;  /* 900 */
        int provider_timeout_secs; /* 300: an agent may ask a provider in vain for so long */
        int max_attempts_total;    /* 10 */
        int64_t max_output_bytes;  /* 268435456: a run is stopped at this size of a stream */
        int max_reviews;           /* 3: runs that follow reviews and failed checks */
    } orchestrator;
    struct {
        bool is_public; /* /metrics asks for no token */
    } metrics;
    struct config_adapter *adapters; /* owned */
    size_t adapter_count;
    struct config_host *hosts; /* owned */
    size_t host_count;
    char hash[65]; /* SHA-256 of the file's bytes, hex: nodes whose files differ show it */
    char *path;
    struct config_list warnings; /* to be logged at every start, e.g. "repositories: \"*\" …" */
};

/* Who reads: a command of the server resolves what leads to the database, and nothing else; the
 * doctor what leads to the database and the Forgejo; a visitor of a worker's hosts what leads to
 * them, and no secret. */
enum config_node { CONFIG_SERVER, CONFIG_WORKER, CONFIG_COMMAND, CONFIG_DOCTOR, CONFIG_VISITOR };

/* Reads and checks. NULL with err ("file:line:column: key: what is wrong; what would be right").
 * `node` says which secrets to resolve: a server never opens SSH keys, a worker never the webhook
 * secret. */
struct config *config_load(const char *path, enum config_node node, struct error *err);
/* The same from memory, for tests and fuzzing; `path` names it in errors; {file:} is relative to
 * its folder. */
struct config *config_parse(const char *bytes, size_t len, const char *path, enum config_node node,
                            struct error *err);
/* One entry of `hosts` as JSON, from elsewhere than the file: checked as the file's are, but every
 * value is literal. `beside` is the file's configuration: a server asks it for the agents'
 * adapters, relative paths are meant from its folder. The answer holds that host and nothing else;
 * NULL with problems ("member: what is wrong; what would be right"). */
struct config *config_parse_host(const char *json, size_t len, const struct config *beside,
                                 enum config_node node, struct config_list *problems);
void config_list_release(struct config_list *list); /* wipes */
void config_free(struct config *config);            /* wipes secrets */
bool config_list_has(const struct config_list *list, const char *text);
/* Is "owner/name" one of the entries, or covered by "owner/" and "*", or by "*"? Names are compared
 * without case, as Forgejo does. */
bool config_list_covers(const struct config_list *list, const char *repository);

/* Adds what SQL has to know of the group forgejo, as JSON: fleet.forgejo_configure. No secret. */
void config_policy(const struct config *config, struct buf *out);

/* Looks at a file of a host (one that is not localhost) that `key` of its entry names,
 * "ssh_key_path" or "known_hosts". False with err: it cannot be used. */
typedef bool (*config_check_host_cb)(const struct config_host *host, const char *key,
                                     struct error *err);

/* False with err: no database can be reached by this URL. */
typedef bool (*config_check_url_cb)(const char *url, bool insecure_plaintext, struct error *err);

/* A program that has the command line below. */
struct config_program {
    const char *name;
    const char *usage;
    enum config_node node;
    enum log_level level;            /* unless --log-level says another */
    config_check_host_cb check_host; /* for --check-config; NULL: this node opens no such file */
    config_check_url_cb check_url;   /* NULL: any will do */
    const char *unchecked;           /* lines: what --check-config cannot know */
    const char *carries;             /* what --version says besides; NULL: nothing */
};

/* The command line that all programs share, see --help. Opens the log. Returns the exit status to
 * end with, or -1 to go on with *config set. */
int config_command_line(int argc, char **argv, const struct config_program *program,
                        struct config **config);

#endif
