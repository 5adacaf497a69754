-- Tokens of agents, bounds, and the trail of what was changed by whom.

alter table fleet.token
    add column agent_id text,
    add column capabilities text[],
    add column registered boolean not null default false,
    add column made_by text;
comment on column fleet.token.agent_id is 'the one agent that it may be; null with scope agent: any that it registered itself';
comment on column fleet.token.capabilities is 'an agent of this token may have no others; null: any';
comment on column fleet.token.registered is 'made by a registration, for that agent alone; the next one replaces it';

alter table fleet.executor add registered_by bigint;
comment on column fleet.executor.registered_by is 'the token that registered an HTTP agent (-1: the shared one, 0: open mode); null: of a configuration';

create table fleet.audit (
    audit bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor text not null,
    token_prefix text,
    address text,
    request_id text,
    action text not null,
    object text,
    before jsonb,
    after jsonb
);
create index audit_at on fleet.audit (at);
create index audit_object on fleet.audit (object, audit);
comment on table fleet.audit is 'Every use of a changing call: who, from where, what, before and after. No secrets, no bodies.';

insert into fleet.setting (name, value, low, high, comment) values
    ('audit_days', 365, 1, 3650, 'the trail of changes is kept this long');
