-- For operators.

create view fleet.sessions as select * from fleet.session_list();
comment on view fleet.sessions is 'Who is in this database: what it does, since when, whom it holds up, how many locks it holds, and the call that ends it.';
