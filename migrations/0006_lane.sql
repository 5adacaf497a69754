-- Lanes that nothing waits in are removed.

alter table fleet.lane add column unused_at timestamptz;
comment on column fleet.lane.unused_at is 'since when nothing was seen waiting in it; null once it is wanted again';

insert into fleet.setting (name, value, comment) values
    ('lane_unused_ms', 3600000, 'a lane in which nothing waited this long is removed');
