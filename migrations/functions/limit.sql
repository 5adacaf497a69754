-- What a task may hold: the one home of its limits. The API passes on what these say; nothing else counts or compares.

-- at_least and at_most are characters of a line, bytes of a text or object, labels of a list, or the number itself.
create function fleet.task_limits() returns table (place int, member text, at_least bigint, at_most bigint, wanted text)
    language sql immutable
begin atomic
    select v.place, v.member, v.at_least, v.at_most, format(v.wanted, v.at_least, v.at_most)
    from (values
        (1, 'title', 1, 500, 'one line of %s to %s characters'),
        (2, 'task_id', 1, 200, '%s to %s characters without controls, what nobody sees, or outer blanks, not . or .., not owner/repo#n'),
        (3, 'body', 0, 1048576, 'at most %2$s bytes long'),
        (4, 'labels', 0, 500, 'at most %2$s labels, each one line of 1 to 255 characters'),
        (5, 'priority', -1000, 1000, 'a whole number from %s to %s'),
        (6, 'execution_mode', 1, 20, 'ssh_cli, http_pull or undecided'),
        (7, 'task_type', 1, 64, 'one line of %s to %s characters'),
        (8, 'repo', 3, 201, 'owner/name'),
        (9, 'issue_number', 1, 999999999, 'a whole number from %s to %s'),
        (10, 'max_retries', 0, 100, 'a whole number from %s to %s'),
        (11, 'timeout_secs', 1, 604800, 'a whole number from %s to %s'),
        (12, 'max_attempts_total', 1, 1000, 'a whole number from %s to %s'),
        (13, 'run_at', 0, 366, 'a time as RFC 3339 writes it, with its zone, at most %2$s days ahead'),
        (14, 'metadata', 0, 16384, 'an object of at most %2$s bytes as JSON'),
        (15, 'base_branch', 1, 255, 'the name of a branch as git allows it, of %s to %s bytes')) v (place, member, at_least, at_most, wanted);
end;

-- Text without control characters that is not blank.
create function fleet.is_line(p text) returns boolean
    language sql immutable
begin atomic
    select p !~ '[\x01-\x1f\x7f]' and p ~ '[^ ]';
end;

create function fleet.one_line(p text, p_instead text) returns text
    language sql immutable
begin atomic
    select regexp_replace(p, '[\x01-\x1f\x7f]', p_instead, 'g');
end;

-- owner/name, as Forgejo allows names; part of a URL or path, so neither is . or ..
create function fleet.is_repo(p text) returns boolean
    language sql immutable
begin atomic
    select p ~ '^[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}$' and p !~ '(^|/)[.][.]?(/|$)';
end;

-- Blanks of other kinds, marks of direction or of no width, controls.
create function fleet.has_unseen(p text) returns boolean
    language sql immutable
begin atomic
    select p ~ '[\u0080-\u00a0\u00ad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb]';
end;

-- A branch, as git check-ref-format allows names below refs/heads/, without what nobody sees.
create function fleet.is_branch(p text) returns boolean
    language sql immutable
begin atomic
    select p !~ '[\x01-\x20\x7f~^:?*[\\]' and not fleet.has_unseen(p)
       and p !~ '^[-/]|/$|[.]$|//|[.][.]|@[{]|(^|/)[.]|[.]lock(/|$)' and p not in ('', '@', 'HEAD');
end;

-- Clients and proxies take . and .. out of a path (RFC 3986 5.2.4); owner/repo#n is an issue's, and nothing that looks the same (by other
-- blanks, marks of direction or of no width) may be there beside it.
create function fleet.is_free_id(p text) returns boolean
    language sql immutable
begin atomic
    select fleet.is_line(p) and p not in ('.', '..') and p !~ '^ | $' and p !~ '^[^/]+/[^/]+#[0-9]+$'
       and not fleet.has_unseen(p);
end;

-- A time as RFC 3339 writes it, with its zone; null when it is none.
create function fleet.time_of(p text) returns timestamptz
    language plpgsql stable as $$
begin
    if p ~* '^[0-9]{4}-[0-9]{2}-[0-9]{2}[t ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,20})?(z|[+-][0-9]{2}:[0-9]{2})$' then
        return p::timestamptz;
    end if;
    return null;
exception when data_exception then
    return null;
end $$;

-- What a task is called in Git refs and in directories of hosts: a-z, 0-9 and '-', at most 49 of them. An id that is not of that
-- form, or could be taken for one that was changed, has 8 hex digits of its SHA-256 behind what is left of it.
create function fleet.slug_of(p_task_id text) returns text
    language plpgsql immutable as $$
declare v_left text;
begin
    if p_task_id ~ '^[a-z0-9]([a-z0-9-]{0,47}[a-z0-9])?$' and p_task_id !~ '-[0-9a-f]{8}$' then
        return p_task_id;
    end if;
    v_left := trim(both '-' from regexp_replace(lower(p_task_id collate "C"), '[^a-z0-9]+', '-', 'g'));
    v_left := trim(trailing '-' from left(v_left, 40));
    return coalesce(nullif(v_left, ''), 'task') || '-' || left(encode(sha256(convert_to(p_task_id, 'UTF8')), 'hex'), 8);
end $$;
