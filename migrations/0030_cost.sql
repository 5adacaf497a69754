-- Where rows lie, as measured by tests/bench/cost: what changes often is written anew within its page, and is short. What is long and
-- stays lies beside its row, as soon as that would be longer than two kilobytes with it: a prompt was copied with each append.
alter table fleet.attempt set (toast_tuple_target = 512);
alter table fleet.task set (toast_tuple_target = 1024);
