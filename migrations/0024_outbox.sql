-- What Forgejo has to be told of tasks of issues: one row a task, level-triggered. A row says how much there is to tell (dirty), how much
-- of it was told, and what of ours stands in Forgejo; the text itself is made of the state when it is sent.

create table fleet.outbox (
    task bigint primary key, -- no foreign key: a second update in a transaction would lock the task's row, behind ours
    dirty bigint not null default 1,
    told bigint not null default 0,
    tell_at timestamptz not null default now(),
    told_at timestamptz,
    -- who tells it now
    taken_by uuid,
    taken_until timestamptz,
    taken_seq bigint,
    -- why it was not told
    tries int not null default 0,
    failing_since timestamptz,
    trouble text,
    parked_at timestamptz,
    parked_reason text,
    -- what stands in Forgejo
    comment_id bigint,
    comment_hash text,
    posting text,
    posting_at timestamptz,
    called text,
    label text,
    status_told text,
    status_tries int not null default 0,
    pull_asked text,
    check (told <= dirty and (taken_by is null) = (taken_until is null) and (taken_by is null) = (taken_seq is null)
           and (parked_at is null) = (parked_reason is null)
           and (posting is null) = (posting_at is null))
) with (fillfactor = 50);
create index outbox_due on fleet.outbox (tell_at) where parked_at is null and tell_at < 'infinity';
create index outbox_told on fleet.outbox (told_at);
comment on table fleet.outbox is
    'What Forgejo has to be told, a row a task of an issue: told < dirty is due at tell_at; parked: not before fleet.retell().';
comment on column fleet.outbox.dirty is 'grows with each step of the task, in the same transaction';
comment on column fleet.outbox.told is 'dirty as it was when the state was read that was told last';
comment on column fleet.outbox.tell_at is 'also without a step while it runs, for the time that has gone by; infinity: nothing is due';
comment on column fleet.outbox.tries is 'failures in a row that are about this row; when Forgejo is away, none counts';
comment on column fleet.outbox.trouble is 'why the last try failed, or what of it could not be told';
comment on column fleet.outbox.comment_id is 'of the tracking comment; null: to be looked for by its marker, and only then made';
comment on column fleet.outbox.comment_hash is 'SHA-256 of the text as it was told last';
comment on column fleet.outbox.posting is
    'a comment that was announced: comment, or a call with its key. Until its id is known it may be there or not, or come to be there';
comment on column fleet.outbox.called is 'for what a person was called (mentioned) last: kind and attempt or text';
comment on column fleet.outbox.label is 'the state label that stands on the issue; null: none of ours; ?: not known';
comment on column fleet.outbox.status_told is 'head, state and context of the commit status that was told last';
comment on column fleet.outbox.status_tries is 'how often the server did not know that head yet';
comment on column fleet.outbox.pull_asked is 'the head for which a draft pull request was asked for, whatever came of it';

alter table fleet.response add column told_at timestamptz;
create index response_due on fleet.response (task, comment) where told_at is null;
comment on column fleet.response.told_at is 'null: it is still to be said';

insert into fleet.setting (name, value, low, high, comment) values
    ('tell_ms', 15000, 0, 3600000, 'a tracking comment is edited no more often than this, but at once when its task has ended'),
    ('tell_running_ms', 300000, 10000, 86400000, 'while a run goes on its comment is edited this often for the time that has gone by'),
    ('tell_tries', 10, 1, 1000, 'a row of the outbox that failed so often is parked until fleet.retell()'),
    ('tell_max_ms', 300000, 1000, 86400000, 'the longest wait before something is told again that failed');
