-- Everything that is re-made after each migration, in an order in which each file finds what it names.
-- ./apply refuses a file of functions/ or views/ that is missing here.
\ir functions/setting.sql
\ir functions/request.sql
\ir functions/forgejo.sql
\ir functions/person.sql
\ir functions/reason.sql
\ir functions/transition.sql
\ir functions/limit.sql
\ir functions/lane.sql
\ir views/now.sql
\ir functions/attempt.sql
\ir functions/lock.sql
\ir functions/node.sql
\ir functions/claim.sql
\ir functions/retry.sql
\ir functions/follow.sql
\ir functions/work.sql
\ir functions/settle.sql
\ir functions/host.sql
\ir functions/log.sql
\ir functions/event.sql
\ir functions/token.sql
\ir functions/retain.sql
\ir functions/sweep.sql
\ir functions/upkeep.sql
\ir functions/session.sql
\ir functions/new_task.sql
\ir functions/submit.sql
\ir functions/task.sql
\ir functions/host_act.sql
\ir functions/account.sql
\ir functions/delivery.sql
\ir functions/intake.sql
\ir functions/outbox.sql
\ir functions/look.sql
\ir functions/backfill.sql
\ir functions/answer.sql
\ir functions/agent.sql
\ir functions/pull.sql
\ir functions/receipt.sql
\ir functions/tend.sql
\ir functions/assign.sql
\ir functions/list.sql
\ir functions/stats.sql
\ir views/people.sql
\ir views/look.sql
\ir views/full.sql
\ir views/session.sql
\ir views/storage.sql
\ir views/explain.sql
\ir views/check.sql
\ir functions/explain.sql
\ir functions/metric.sql
\ir grants.sql

-- so that history can be written before the first node starts
select fleet.partitions() \g /dev/null
