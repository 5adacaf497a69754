# shellcheck shell=bash disable=SC2154 # database: set by run
# Where migrations/apply takes the URL from, and that no password of it stands on a command line.

# A psql that tells what it was given, and goes no further.
mkdir "$TEST_DIR/bin"
cat >"$TEST_DIR/bin/psql" <<'END'
#!/bin/sh
printf '%s|%s%s\n' "$1" "${PGPASSWORD-none}" "${FLEET_OWNER_DATABASE_URL-}" >"${0%/bin/psql}/given"
exit 3
END
chmod 755 "$TEST_DIR/bin/psql"
# gives WANTED URL: a URL of a file; psql gets WANTED, "URL|PASSWORD".
gives() {
    printf '%s\n' "$2" >"$TEST_DIR/url"
    ! PATH=$TEST_DIR/bin:$PATH migrations/apply --url-file "$TEST_DIR/url" 2>&1 &&
        [[ $(cat "$TEST_DIR/given") == "$1" ]] || { cat "$TEST_DIR/given"; false; }
}
check "no password" gives 'postgresql://u@h:5432/db?x=1|none' 'postgresql://u@h:5432/db?x=1'
check "a socket's path is none" gives 'postgresql:///db?host=/tmp/a:b@c|none' 'postgresql:///db?host=/tmp/a:b@c'
# shellcheck disable=SC1003 # a backslash
check "a URI's password, decoded" gives 'postgres://u@h/db|p@s\n%/é' 'postgres://u:p%40s\n%25%2f%C3%A9@h/db'
check "an @ behind it is none of it" gives 'postgresql://u@h/db?application_name=a@b|p' 'postgresql://u:p@h/db?application_name=a@b'
check "among its parameters" gives 'postgresql://u@h/db?x=1&y=2|a b' 'postgresql://u@h/db?x=1&password=a%20b&y=2'
check "a conninfo's" gives 'host=h   user=u|secret' 'host=h password=secret user=u'
check "quoted" gives "host=h  |a 'b\\c" "host=h password='a \\'b\\\\c'"
check "the key's own is another one" gives 'user=u sslpassword=x|none' 'user=u sslpassword=x'

from_environment() {
    ! FLEET_OWNER_DATABASE_URL=postgresql://u:p@h/db PATH=$TEST_DIR/bin:$PATH migrations/apply 2>&1 &&
        [[ $(cat "$TEST_DIR/given") == 'postgresql://u@h/db|p' ]] || { cat "$TEST_DIR/given"; false; }
}
check "of the environment, which psql does not get" from_environment

refused() { # WANTED ARGUMENT...
    local wanted=$1 said
    shift
    said=$(PATH=$TEST_DIR/bin:$PATH migrations/apply "$@" 2>&1)
    [[ $? == 2 && $said == *"$wanted"* ]] || { echo "$said"; false; }
}
check "a password in an argument is refused" refused 'read by every user' postgresql://u:p@h/db
check "so is none at all" refused 'no URL'
check "and two" refused 'one URL' postgresql:///a postgresql:///b
check "an option without its path" refused '--url-file wants a path' --url-file
: >"$TEST_DIR/empty"
empty() { said=$(migrations/apply --url-file "$TEST_DIR/empty" 2>&1) || [[ $? == 1 && $said == *"--url-file $TEST_DIR/empty: holds no URL"* ]]; }
check "an empty file is named" empty
check "an option that is none" refused 'unknown option: --force' --force postgresql:///a
check "--help says how" grep -q 'FLEET_OWNER_DATABASE_URL' <(migrations/apply --help)

# As it is installed: through a link, from a folder of no meaning.
ln -s "$PWD/migrations/apply" "$TEST_DIR/fleet-migrate"
from_elsewhere() { (cd / && "$@") && [[ $(postgres_query "$database" "$newest") == t ]]; }
newest="select max(number) = $((10#$(cd migrations && printf '%s\n' [0-9]*.sql | tail -n 1 | cut -c1-4))) from fleet.migration"
postgres_url "$database" >"$TEST_DIR/url"
check "a file, through a link" from_elsewhere "$TEST_DIR/fleet-migrate" --url-file "$TEST_DIR/url"
check "a file, in one word" from_elsewhere "$TEST_DIR/fleet-migrate" --url-file="$TEST_DIR/url"
check "the environment" from_elsewhere env FLEET_OWNER_DATABASE_URL="$(postgres_url "$database")" "$TEST_DIR/fleet-migrate"
missing() { said=$("$TEST_DIR/fleet-migrate" --url-file /no/such 2>&1) || [[ $said == *"fleet-migrate: --url-file /no/such"* ]]; }
check "a file that is not there is named, and who misses it" missing
