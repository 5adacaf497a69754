-- What is to be read from Forgejo: looks at single issues and pull requests, and the regular reading of whole repositories.

create table fleet.look (
    kind text not null check (kind in ('issue', 'pull')),
    id bigint not null,
    seq bigint not null default 1,
    done bigint not null default 0,
    later boolean not null default false,
    due_at timestamptz not null default now(),
    begun_at timestamptz,
    taken_by uuid,
    taken_until timestamptz,
    tries int not null default 0,
    reason text,
    listed text,
    again_at timestamptz,
    primary key (kind, id)
) with (fillfactor = 80);
create index look_due on fleet.look (later, due_at) where done < seq;
comment on table fleet.look is 'Issues and pull requests that are to be read from Forgejo, or were: a look is wanted while done < seq.';
comment on column fleet.look.id is 'fleet.issue.issue or the like of a pull request';
comment on column fleet.look.seq is 'grows with each wish; a look that began before the last one does not fulfil it';
comment on column fleet.look.later is 'nobody waits for it: others first';
comment on column fleet.look.reason is 'why the last try came to nothing';
comment on column fleet.look.listed is 'the updated_at of Forgejo behind which a look is arranged: what ties with it in its second is seen by that one';
comment on column fleet.look.again_at is 'one more look is wanted from then on';

alter table fleet.repository
    add column parked_until timestamptz,
    add column parked_reason text,
    add column parked_at timestamptz,
    add column parks int not null default 0,
    add column read_since timestamptz,
    add column read_due timestamptz not null default now(),
    add column read_by uuid,
    add column read_until timestamptz,
    add column read_tries int not null default 0,
    add column read_reason text,
    add column read_at timestamptz;
comment on column fleet.repository.parked_until is 'nothing of it is asked or told before; what waits, waits';
comment on column fleet.repository.parks is 'how often in a row it was parked';
comment on column fleet.repository.read_since is 'by Forgejo''s clock: what changed before was seen; null: it was never read as a whole';
comment on column fleet.repository.read_due is 'when it is to be read again';
comment on column fleet.repository.read_until is 'the worker read_by reads it, and nobody else before then';

create index delivery_issue on fleet.delivery (repo, number, received_at);

insert into fleet.setting (name, value, low, high, comment) values
    ('look_lease_ms', 120000, 5000, 3600000, 'a look that its worker has not ended after so long is taken by another'),
    ('look_retry_ms', 5000, 100, 600000, 'a look or a reading that failed is tried again after so long, twice as long each time'),
    ('look_retry_max_ms', 300000, 1000, 86400000, '… and at most after so long'),
    ('backfill_lease_ms', 900000, 5000, 86400000, 'a reading of a repository that its worker has not ended after so long is begun by another'),
    ('park_ms', 600000, 1000, 86400000, 'a repository that Forgejo does not let us read or write is tried again after so long, twice as long each time'),
    ('park_max_ms', 21600000, 1000, 604800000, '… and at most after so long');
