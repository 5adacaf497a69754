-- What the clocks of a run that nobody sees stand on, and who may vouch that a start never left.

alter table fleet.attempt
    add column starting_epoch int,
    add column unseen_ms bigint not null default 0,
    add column looked_at timestamptz;
comment on column fleet.attempt.starting_epoch is 'whose starting() was committed: only that owner knows whether a byte of the start left it';
comment on column fleet.attempt.started_at is 'the start is proven: a host said so. Null in any later phase: it may have started';
comment on column fleet.attempt.unseen_ms is 'how long a living worker that lists the host has looked for the run in vain';
comment on column fleet.attempt.looked_at is 'the last look in vain that was counted; null: none by this owner';

insert into fleet.transition (from_status, to_status, comment) values
    ('failed', 'completed', 'its host was given up as lost, and its run had ended well');

update fleet.setting
set comment = 'a run for which living workers have looked in vain this long is given up: its task fails, its slot stays held'
where name = 'reattach_ms';
