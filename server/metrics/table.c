/* Names, labels and help of all that is measured. Labels take few values: routes' patterns, words
 * of ours, names out of the configuration, of requirements 50 at most; never an id, a path or an
 * address. */
#include "server/metrics/table.h"

#include "server/metrics/own.h"

#define FLEET(kind, name, labels, help)                                     \
    {                                                                       \
        {"fleet_" name, labels, help, METRIC_##kind}, METRIC_OF_FLEET, NULL \
    }
#define WORKER(kind, name, labels, help)                                            \
    {                                                                               \
        {"fleet_worker_" name, labels, help, METRIC_##kind}, METRIC_OF_WORKER, NULL \
    }
#define SERVER(kind, name, labels, help, write)                      \
    {                                                                \
        {name, labels, help, METRIC_##kind}, METRIC_OF_SERVER, write \
    }

/* clang-format off */
const struct metric_entry metrics_table[] = {
    /* --- what happened --- */
    FLEET(COUNTER, "tasks_submitted_total", "source", "Tasks submitted, by where they came from."),
    FLEET(COUNTER, "tasks_ended_total", "status", "Tasks that ended, by how; one that is run again may end again."),
    FLEET(COUNTER, "claims_total", "kind", "Tasks given to an executor, by its kind: ssh_cli or http_pull."),
    FLEET(COUNTER, "starts_total", "kind", "Runs whose start was proven."),
    FLEET(COUNTER, "runs_total", "kind outcome reason class", "Runs that ended, by outcome, reason and the reason's class (table fleet.reasons)."),
    FLEET(COUNTER, "retries_total", "", "Runs after which the task was put back for another."),
    FLEET(COUNTER, "adoptions_total", "", "Runs that another worker took over."),
    FLEET(COUNTER, "agents_lost_total", "", "Times that a task's run was seen by nobody for long."),
    FLEET(COUNTER, "nodes_died_total", "kind", "Nodes and HTTP agents that were declared dead."),
    FLEET(COUNTER, "deliveries_total", "result reason", "Verified webhook deliveries, by verdict and reason."),
    FLEET(HISTOGRAM, "delivery_lag_seconds", "", "From the change of an issue, by Forgejo's clock, to the delivery that told of it."),
    FLEET(HISTOGRAM, "queue_wait_seconds", "kind", "From when a task could start to its claim."),
    FLEET(HISTOGRAM, "start_seconds", "kind", "From the claim to the proven start."),
    FLEET(HISTOGRAM, "run_seconds", "kind outcome", "From the proven start to the proven end."),
    /* --- what there is --- */
    FLEET(GAUGE, "tasks", "status", "Tasks that wait, run, or wait for a person, by status."),
    FLEET(GAUGE, "queue_tasks", "requirements state slots",
          "Tasks that wait, by what they require (50 sets, then other), ready or delayed, and what slots there are for them: free, busy, none in service, unknown."),
    FLEET(GAUGE, "queue_oldest_seconds", "requirements slots", "How long the oldest ready task has waited."),
    FLEET(GAUGE, "queue_overdue_seconds", "", "How long the first delayed task is over its time: nobody promotes it."),
    FLEET(GAUGE, "slots", "kind state", "Slots: used, held by a run that nobody sees, free, or idle because their executor is out of service."),
    FLEET(GAUGE, "hosts", "status", "Hosts by status: online, offline, cordoned."),
    FLEET(GAUGE, "host_up", "host", "1: a worker reaches the host. Of the first 200 that are not cordoned."),
    FLEET(GAUGE, "host_slots", "host state", "Slots of a host in use, and free ones that are in service. Of the first 200."),
    FLEET(GAUGE, "host_disk_free_bytes", "host", "Free bytes where the host's work_dir is. Of the first 200."),
    FLEET(GAUGE, "agents", "kind status", "What runs tasks, by status: online, offline, disabled, cordoned, out_of_service, resting."),
    FLEET(GAUGE, "accounts_parked", "reason", "Agents' logins that get no work for now, by reason."),
    FLEET(GAUGE, "account_opens_seconds", "account", "How long until a parked login is given work again; of the first 200."),
    FLEET(GAUGE, "tasks_held", "hold", "Tasks that may not start, by why: they wait for Forgejo, for a person, or for tomorrow."),
    FLEET(GAUGE, "forgejo_looks", "state", "Issues and pull requests to be read: due, or failing (again later)."),
    FLEET(GAUGE, "forgejo_look_oldest_seconds", "", "For how long the oldest of them has been due."),
    FLEET(GAUGE, "forgejo_tellings", "state", "Tasks of which the Forgejo is to be told: due, failing (again later), or parked until fleet.retell()."),
    FLEET(GAUGE, "forgejo_telling_oldest_seconds", "", "For how long the oldest of them has been due."),
    FLEET(GAUGE, "forgejo_repositories_parked", "", "Repositories that the Forgejo does not let us read or write: see fleet.repositories."),
    FLEET(GAUGE, "nodes", "kind status", "Servers and workers, by status: live, or silent for longer than dead_ms."),
    FLEET(GAUGE, "node_up", "node kind version", "1: the node lives; 0: it is silent, or died within the hour."),
    FLEET(GAUGE, "node_beat_age_seconds", "node kind", "Since the node's last beat."),
    FLEET(GAUGE, "partitions_ahead_seconds", "table", "For how long there are partitions for what will be written."),
    FLEET(GAUGE, "check_faults", "check", "Rows of the invariant's view; all must be 0."),
    FLEET(GAUGE, "check_left_out", "check", "1: so much history that the invariant is not looked at in the background; fleet.check_all() does."),
    FLEET(GAUGE, "database_bytes", "", "Size of the database."),
    /* --- of the measuring itself --- */
    FLEET(GAUGE, "history_behind_seconds", "", "Age of the oldest event that no counter knows of yet."),
    FLEET(GAUGE, "rolled_age_seconds", "", "Since counters were last rolled up."),
    FLEET(GAUGE, "stock_age_seconds", "stock", "Since what there is (fleet) and the invariants (checks) were last counted."),
    FLEET(GAUGE, "stock_took_seconds", "stock", "How long that took."),
    FLEET(GAUGE, "schema_version", "", "Newest migration of the database."),
    FLEET(GAUGE, "incarnation_info", "fleet incarnation", "1: which fleet and which database this is."),
    /* --- what workers say of themselves --- */
    WORKER(GAUGE, "report_age_seconds", "node", "Since the worker last said its numbers: all of them are that old."),
    WORKER(COUNTER, "claims_total", "node", "Runs that the worker claimed."),
    WORKER(COUNTER, "adoptions_total", "node", "Runs that it took over."),
    WORKER(GAUGE, "runs", "node", "Runs that it owns."),
    WORKER(GAUGE, "hosts_up", "node", "Hosts that it reaches."),
    WORKER(COUNTER, "channel_opens_total", "node", "Ways in to hosts that it opened: SSH connections, and runners of this machine."),
    WORKER(COUNTER, "channel_losses_total", "node", "Ways in that broke, or could not be opened."),
    WORKER(COUNTER, "host_checks_total", "node", "Looks at hosts."),
    WORKER(COUNTER, "output_bytes_total", "node", "Bytes of agents' output that it stored."),
    WORKER(COUNTER, "loop_late_seconds_total", "node", "By how much its event loop was late, all in all."),
    WORKER(COUNTER, "loop_stalls_total", "node", "Times that its event loop was more than a second late."),
    WORKER(COUNTER, "db_queries_total", "node", "Queries that the database answered."),
    WORKER(COUNTER, "db_seconds_total", "node", "How long those took, all in all."),
    WORKER(COUNTER, "db_errors_total", "node class", "Answers that were an error, by class of the SQLSTATE."),
    WORKER(COUNTER, "db_losses_total", "node", "Connections to the database that broke."),
    WORKER(COUNTER, "forgejo_answers_total", "node verdict", "Answers of the Forgejo: ok, gone, denied, moved, locked, refused, away (also none at all), garbled."),
    WORKER(GAUGE, "db_connections", "node", "Connections to the database that stand."),
    WORKER(COUNTER, "cpu_seconds_total", "node", "Processor time."),
    WORKER(GAUGE, "resident_bytes", "node", "Memory in use."),
    WORKER(GAUGE, "open_fds", "node", "Open file descriptors."),
    WORKER(GAUGE, "start_time_seconds", "node", "When it was started, since 1970."),
    /* --- this server --- */
    SERVER(GAUGE, "fleet_build_info", "version schema", "1: this server's version, and the schema that it was built beside.", own_build),
    SERVER(GAUGE, "fleet_server_draining", "", "1: this server is about to stop.", own_draining),
    SERVER(COUNTER, "fleet_http_requests_total", "route method code", "Requests answered, by the route's pattern.", own_requests),
    SERVER(HISTOGRAM, "fleet_http_request_seconds", "route method", "From a request's last byte to its answer's first.", own_latency),
    SERVER(GAUGE, "fleet_http_requests_in_flight", "", "Requests that wait for their answer.", own_in_flight),
    SERVER(GAUGE, "fleet_http_connections", "", "Open connections.", own_connections),
    SERVER(GAUGE, "fleet_http_streams", "", "Open streams of events and output.", own_streams),
    SERVER(GAUGE, "fleet_http_polls", "", "Agents that wait for a task.", own_polls),
    SERVER(COUNTER, "fleet_http_refused_total", "", "Requests answered 503 by a ceiling, without being looked at.", own_refused),
    SERVER(COUNTER, "fleet_http_vanished_total", "", "Clients that left before their answer.", own_vanished),
    SERVER(COUNTER, "fleet_http_stalled_total", "", "Answers that were cut because the client took nothing of them.", own_stalled),
    SERVER(COUNTER, "fleet_http_tokens_refused_total", "", "Requests without a token, or with a wrong one.", own_tokens),
    SERVER(COUNTER, "fleet_http_signatures_refused_total", "", "Webhooks that were not signed with this fleet's secret.", own_signatures),
    SERVER(GAUGE, "fleet_db_up", "", "1: a connection to the database stands.", own_db_up),
    SERVER(GAUGE, "fleet_db_connections", "state", "Connections to the database: standing, and wanted in all.", own_db_connections),
    SERVER(GAUGE, "fleet_db_queries", "state", "Queries: waiting for a connection, and sent.", own_db_queries),
    SERVER(HISTOGRAM, "fleet_db_query_seconds", "", "From the sending of a query to its answer.", own_db_latency),
    SERVER(COUNTER, "fleet_db_errors_total", "class", "Answers that were an error, by class of the SQLSTATE.", own_db_errors),
    SERVER(COUNTER, "fleet_db_connects_total", "", "Connections that were made.", own_db_connects),
    SERVER(COUNTER, "fleet_db_losses_total", "", "Connections that broke.", own_db_losses),
    SERVER(HISTOGRAM, "fleet_loop_lag_seconds", "", "How late the event loop came to a timer of 500 ms.", own_lag),
    SERVER(COUNTER, "process_cpu_seconds_total", "", "Processor time of this server.", own_cpu),
    SERVER(GAUGE, "process_start_time_seconds", "", "When this server was started, since 1970.", own_start),
    SERVER(GAUGE, "process_resident_memory_bytes", "", "Memory in use.", own_resident),
    SERVER(GAUGE, "process_virtual_memory_bytes", "", "Memory asked for.", own_virtual),
    SERVER(GAUGE, "process_open_fds", "", "Open file descriptors.", own_fds),
    SERVER(GAUGE, "process_max_fds", "", "How many file descriptors there may be.", own_fds_max),
    {{NULL, NULL, NULL, METRIC_GAUGE}, METRIC_OF_FLEET, NULL},
};
/* clang-format on */

void metrics_explain(FILE *to)
{
    static const char *const whose[] = {"fleet", "worker", "server"};
    for (const struct metric_entry *entry = metrics_table; entry->metric.name != NULL; entry++)
        fprintf(to, "%s\t%s\t%s\t%s\t%s\n", entry->metric.name,
                metric_type_name(entry->metric.type),
                *entry->metric.labels != '\0' ? entry->metric.labels : "-", whose[entry->scope],
                entry->metric.help);
}
