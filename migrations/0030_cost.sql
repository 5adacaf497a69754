-- Where rows lie, as measured by tests/bench/cost: what changes often is written anew within its page, and is short.

-- A prompt was copied with each append. What is long lies beside the row, as soon as that would be longer than two kilobytes with it.
alter table fleet.attempt set (toast_tuple_target = 512);

-- A batch that is claimed and ended changes neighbours: there is room in their page for each as it was, is and will be.
alter table fleet.task set (toast_tuple_target = 1024, fillfactor = 35);
