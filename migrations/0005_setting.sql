-- Bounds of the tunables: beyond them a function would fail, or a node never rest.
alter table fleet.setting
    add column low bigint not null default 0,
    add column high bigint not null default 2592000000; -- 30 days in ms

update fleet.setting s set low = b.low, high = b.high
from (values ('beat_ms', 100, 60000), ('dead_ms', 200, 600000), ('lease_ms', 1000, 3600000), ('host_fresh_ms', 1000, 86400000),
             ('delivery_days', 1, 3650), ('idempotency_hours', 1, 8760), ('node_days', 1, 3650)) b (name, low, high)
where s.name = b.name;

alter table fleet.setting add check (low >= 0 and value between low and high);
comment on column fleet.setting.low is 'smallest value that fleet.set() takes; what must stay below what, it knows as well';
