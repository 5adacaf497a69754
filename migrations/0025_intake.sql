-- Without a token signed deliveries are all that is known of an issue, and their times have seconds only.

alter table fleet.issue add column asked_at timestamptz;
comment on column fleet.issue.asked_at is
    'Forgejo''s time of the delivery that started its last run, where nothing is read: one of the same second starts none';
