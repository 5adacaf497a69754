-- Repositories and issues are who Forgejo's ids say they are, whatever they are called; a task may wait for a person; budgets.

alter table fleet.repository
    add column repository_id bigint unique,
    add column default_branch text;
create index repository_name on fleet.repository (lower(repo));
comment on table fleet.repository is 'Repositories that Forgejo told of: repo is the present name, repository_id says which it is.';
comment on column fleet.repository.repository_id is 'Forgejo''s id; null: only a name was ever told';

insert into fleet.latch (name) values ('repositories');

create table fleet.former_name (
    name text primary key check (name = lower(name)),
    repository_id bigint not null references fleet.repository (repository_id),
    at timestamptz not null default now()
);
comment on table fleet.former_name is 'What repositories were called, in lower case: tasks are found by old ids too.';

alter table fleet.issue drop constraint issue_repo_fkey;
alter table fleet.issue
    add foreign key (repo) references fleet.repository on update cascade,
    add column forgejo_id bigint unique,
    add column title text,
    add column author text,
    add column author_id bigint,
    add column text_hash text,
    add column text_at timestamptz,
    add column offered text,
    add column served bigint not null default 0,
    add column event_id bigint not null default 0,
    add column comment_served bigint not null default 0,
    add column look_seq bigint not null default 0,
    add column read_at timestamptz;
comment on column fleet.issue.forgejo_id is 'Forgejo''s id: it says which issue it is, repo and number where it is now';
comment on column fleet.issue.text_hash is 'of title and body as last read: fleet.text_hash()';
comment on column fleet.issue.text_at is 'Forgejo''s time when that text was first seen';
comment on column fleet.issue.offered is 'a body that waits for approval: its task holds the one before';
comment on column fleet.issue.served is 'the newest label event for which a run was submitted: another run needs a newer one';
comment on column fleet.issue.event_id is 'the newest label event that was seen';
comment on column fleet.issue.comment_served is 'the newest comment that was read for commands';
comment on column fleet.issue.look_seq is 'the look whose answer was applied last';
comment on column fleet.issue.read_at is 'when Forgejo was last asked; null: never, or it has to be asked again';

alter table fleet.task
    add column issue bigint,
    add column hold text,
    add column hold_at timestamptz,
    add column requested_by text,
    add column requested_id bigint,
    add column ask bigint,
    add column ask_number int,
    add column text_sha text,
    add column review_count int not null default 0;
-- No foreign key: a task that is changed twice in a transaction would lock its issue behind itself.
create unique index task_issue on fleet.task (issue) where issue is not null;
comment on column fleet.task.issue is 'whose task it is; null: submitted by REST';
comment on column fleet.task.hold is 'why it waits though it could start; null: nothing holds it';
comment on column fleet.task.requested_by is 'the login that asked for it in Forgejo';
comment on column fleet.task.ask is 'the label event that it was submitted for; null: a person wanted it otherwise';
comment on column fleet.task.ask_number is 'attempts that there were before it was submitted for that event';
comment on column fleet.task.text_sha is 'hash of the issue''s text that it was frozen from';
comment on column fleet.task.review_count is 'follow-ups that reviews asked for';

update fleet.task t set issue = i.issue
from fleet.issue i
where t.source = 'forgejo' and t.task_id = i.repo || '#' || i.number;

alter table fleet.delivery
    add column text_hash text,
    add column sender_id bigint,
    add column repository_id bigint;
create index delivery_text on fleet.delivery (text_hash) where text_hash is not null;
comment on column fleet.delivery.text_hash is 'of the issue''s title and body: who sent it vouches for that text, if its sender may start work';

create table fleet.person (
    repository_id bigint not null references fleet.repository (repository_id),
    login text not null check (login = lower(login)),
    permission text not null,
    asked_at timestamptz not null default now(),
    primary key (repository_id, login)
);
create index person_asked on fleet.person (asked_at);
comment on table fleet.person is 'What Forgejo last said that somebody may do in a repository.';

create table fleet.sender (
    sender bigint primary key
);
insert into fleet.sender (sender) values (0);
comment on table fleet.sender is
    'Whoever asked for a run, by Forgejo''s id: locked by a claim while it counts; 0 stands for all together, and for whom no id is known of.';

create table fleet.spent (
    task bigint not null,
    number int not null,
    sender bigint not null,
    at timestamptz not null default now(),
    primary key (task, number)
);
create index spent_sender on fleet.spent (sender, at);
create index spent_at on fleet.spent (at);
comment on table fleet.spent is 'Runs of issues of the last day, for the daily limits.';

insert into fleet.setting (name, value, low, high, comment) values
    ('runs_per_issue_day', 20, 0, 1000000, 'so many runs of an issue start within 24 hours; 0: no limit'),
    ('runs_per_sender_day', 200, 0, 1000000, 'so many runs that one person asked for in Forgejo start within 24 hours; 0: no limit'),
    ('runs_per_day', 0, 0, 1000000, 'so many runs of issues start within 24 hours, of all together; 0: no limit'),
    ('look_fresh_ms', 300000, 1000, 86400000, 'an issue that was not read for so long is read again before its task starts'),
    ('approval_days', 7, 1, 365, 'a task that nobody approves for so long is cancelled');
