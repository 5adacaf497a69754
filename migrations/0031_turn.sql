-- A slot is filled again by the call that ends its run: what that costs does not grow while an open transaction holds back vacuum.

alter table fleet.attempt add column slot_tid tid;
comment on column fleet.attempt.slot_tid is 'where the row of its slot was written when it was filled: a hint, nothing more';

-- Not unique: each new version of a row that does not fit its page would be compared with all dead ones. Who makes slots, or gives one
-- another number, does it alone (fit_slots by the executor's lock, empty_slot by a latch), and view check_slot looks.
alter table fleet.slot drop constraint slot_pkey;
create index slot_id on fleet.slot (slot_id);
drop index fleet.slot_ordinal;
create index slot_ordinal on fleet.slot (executor, ordinal);
insert into fleet.latch (name) values ('ordinals');
