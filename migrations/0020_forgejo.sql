-- What the configuration says of Forgejo, as its workers told it, and whose account the fleet has there.

create table fleet.forgejo (
    one boolean primary key default true check (one),
    policy jsonb not null,
    user_id bigint,
    login text,
    told_by text not null,
    told_at timestamptz not null default now()
);
comment on table fleet.forgejo is 'What the workers'' configuration says of Forgejo: the last that was told. No secret.';
comment on column fleet.forgejo.user_id is 'the fleet''s own account there; null: its token was not tried yet, or there is none';
