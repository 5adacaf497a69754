-- Pull requests of tasks' branches, what of their reviews, checks and comments was served, and what is said back to who commented.

create table fleet.pull (
    pull bigint generated always as identity primary key,
    repository_id bigint not null,
    number int not null check (number > 0),
    forgejo_id bigint,
    task bigint not null, -- no foreign key: whoever makes the row would lock its task, before the issue
    head_ref text not null,
    head_sha text,
    head_at timestamptz,
    base_ref text,
    state text not null default 'unseen' check (state in ('unseen', 'open', 'closed')),
    merged boolean not null default false,
    draft boolean not null default false,
    title text,
    html_url text,
    author text,
    author_id bigint,
    updated_at timestamptz,
    closed_round int,
    checks text,
    check_served text,
    reviews_seen bigint[] not null default '{}',
    review_served bigint not null default 0,
    comments_seen bigint[] not null default '{}',
    comment_served bigint not null default 0,
    made_at timestamptz not null default now(),
    read_at timestamptz,
    unique (repository_id, number),
    check (not merged or state = 'closed'),
    check ((closed_round is not null) = (state = 'closed'))
);
create index pull_task on fleet.pull (task, number);
comment on table fleet.pull is 'Pull requests from a task''s own branch in its own repository; no others.';
comment on column fleet.pull.repository_id is 'Forgejo''s number of the repository';
comment on column fleet.pull.state is 'unseen: known, and not read yet';
comment on column fleet.pull.updated_at is 'by Forgejo''s clock: what is older changes nothing';
comment on column fleet.pull.closed_round is 'fleet.task.round in which it was closed or merged: in a later one it decides nothing any more';
comment on column fleet.pull.checks is 'of head_sha: success, pending, failure; null: nothing checks it';
comment on column fleet.pull.check_served is 'the head whose failed checks were followed up';
comment on column fleet.pull.reviews_seen is 'ids of the newest reviews that were seen: they come out of order';
comment on column fleet.pull.review_served is 'what has this id or a lower one was seen, or is too old to count';

alter table fleet.issue add column comments_seen bigint[] not null default '{}';

alter table fleet.task
    add column round int not null default 0,
    add column round_at timestamptz,
    add column activity_at timestamptz;
comment on column fleet.task.round is 'grows when a person asks for more or for it again';
comment on column fleet.task.round_at is 'when that was last; null: never';
comment on column fleet.task.activity_at is 'when something was pushed to its branch last, as far as Forgejo said';
create index task_branch on fleet.task (branch_name) where repo is not null;

alter table fleet.follow
    drop constraint follow_kind_check,
    add constraint follow_kind_check check (kind in ('answer', 'continue', 'review', 'check')),
    add column counted boolean not null default false;
comment on column fleet.follow.counted is 'the run that it asks for counts towards max_reviews';

create table fleet.response (
    comment bigint primary key,
    task bigint not null references fleet.task,
    number int not null,
    reaction text not null check (reaction in ('eyes', '+1', '-1', 'confused')),
    text text,
    made_at timestamptz not null default now()
);
create index response_task on fleet.response (task);
comment on table fleet.response is 'What is to be said to a comment: one at most for each, a reaction and perhaps a line.';
comment on column fleet.response.comment is 'Forgejo''s number of the comment';
comment on column fleet.response.number is 'the issue or pull request under which the comment is';

insert into fleet.transition (from_status, to_status, comment) values
    ('created', 'completed', 'its pull request was merged while it waited'),
    ('created', 'failed', 'its pull request was closed while it waited'),
    ('completed', 'review_pending', 'a pull request was opened from its branch'),
    ('completed', 'failed', 'its pull request was closed, and never seen open'),
    ('review_pending', 'completed', 'its pull request was merged'),
    ('review_pending', 'failed', 'its pull request was closed unmerged'),
    ('cancelled', 'completed', 'its pull request was merged all the same'),
    ('cancelled', 'review_pending', 'its issue was closed, and a pull request of it is open');
