-- Accounts: what a provider counts. One login, used by one executor or by several, also of several hosts. It is parked when its
-- provider limits it or refuses its login, and by people.

create table fleet.account (
    account text collate "C" primary key,
    state text not null default 'open' check (state in ('open', 'parked', 'half_open')),
    parked_at timestamptz,
    parked_until timestamptz,
    reason text references fleet.reason,
    detail text,
    limit_window text,
    told_until timestamptz,
    reported_by text,
    parks int not null default 0,
    probe bigint,
    check ((state = 'open') = (parked_at is null) and (parked_at is null) = (parked_until is null)
           and (parked_at is null) = (reason is null) and (parked_at is null) = (reported_by is null)),
    check (probe is null or state = 'half_open')
) with (fillfactor = 50);
create index account_closed on fleet.account (parked_until) where state <> 'open';
comment on table fleet.account is 'Logins of agents: open; parked: nothing is claimed for it; half_open: one run goes first.';
comment on column fleet.account.parked_until is 'infinity: until fleet.unpark()';
comment on column fleet.account.reason is 'of fleet.reason; parked: a person said so';
comment on column fleet.account.limit_window is 'which limit it ran into, as the agent names it: five_hour, seven_day, …';
comment on column fleet.account.told_until is 'when the limit ends, as the agent told, within bounds; null: it did not say, parked_until is a guess';
comment on column fleet.account.reported_by is 'the agent that ran into it, or the person who parked it';
comment on column fleet.account.parks is 'how often in a row it ran into a limit; 0 when a run proved that there is none';
comment on column fleet.account.probe is 'the attempt that goes first';

insert into fleet.account (account) select agent_id from fleet.executor;
alter table fleet.executor add account text collate "C" references fleet.account;
update fleet.executor set account = agent_id;
alter table fleet.executor alter column account set not null;
create index executor_account on fleet.executor (account);
comment on column fleet.executor.account is 'whose quota it uses: host_id/agent_type unless its entry says account; of an HTTP agent its own';

-- what an executor was put out of service for and belongs to its login
update fleet.account k
set state = 'parked', parked_at = e.out_since, parked_until = e.out_until, reason = e.out_reason, detail = e.out_detail,
    told_until = case when e.out_reason = 'rate_limited' then e.out_until end, reported_by = coalesce(e.out_by, e.agent_id),
    parks = (e.out_reason = 'rate_limited')::int
from fleet.executor e
where k.account = e.account and (e.out_by is not null or e.out_reason in ('parked', 'rate_limited', 'auth_failed'));
update fleet.executor set out_since = null, out_until = null, out_reason = null, out_detail = null
where out_by is not null or out_reason in ('parked', 'rate_limited', 'auth_failed');
alter table fleet.executor drop column out_by;
comment on column fleet.executor.out_until is
    'it gets nothing until then; infinity = until it is looked at again, its configuration changes, or fleet.executor_accept()';

alter table fleet.reason drop constraint reason_retry_check;
alter table fleet.reason add constraint reason_retry_check
    check (retry in ('never', 'soon', 'later', 'quota', 'other_host', 'elsewhere'));
comment on column fleet.reason.retry is
    'never; soon; later (longer waits, its executor rests meanwhile); quota (no retry counted, its account is parked until the limit '
    'ends); other_host (soon, another host first); elsewhere (its executor goes out of service, only another one may try)';

insert into fleet.setting (name, value, low, high, comment) values
    ('quota_unknown_ms', 900000, 60000, 86400000, 'an account is parked for so long when the agent does not say when its limit ends; doubles'),
    ('quota_unknown_max_ms', 7200000, 60000, 604800000, 'the longest of such guesses'),
    ('probe_ms', 300000, 1000, 3600000, 'a run whose output goes on for so long shows that its account is not limited any more');
update fleet.setting set value = 691200000 where name = 'limit_max_ms' and value = 604800000;
