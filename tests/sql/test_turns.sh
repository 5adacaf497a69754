# shellcheck shell=bash disable=SC2154 # database: set by run
# What is told of many runs at once comes to the same as when it is told of one after the other: the same random turns in two databases.
# SEED=n begins there, COUNT=n is so many of STEPS turns each. AGAINST=DIR: the other database has the migrations of that tree.

seed=${SEED:-$([[ $LONG == true ]] && echo $((RANDOM + 1)) || echo 7)}
count=${COUNT:-$([[ $LONG == true ]] && echo 40 || echo 2)}
steps=${STEPS:-120}

# The trace of a database: turns_of NAME FORM
turns_of() {
    postgres_psql "$1" postgres -f tests/sql/turns.sql &&
        for ((s = seed; s < seed + count; s++)); do postgres_psql "$1" postgres -c "call t.turn_take($s, $steps, $2)" || return 1; done &&
        postgres_psql "$1" postgres -c "select step, told, state from t.trace order by step" >"$TEST_DIR/$1.trace"
}

# All there is after this turn, a column a line: whole_at NAME FORM STEP
whole_at() {
    postgres_psql "$1" postgres -c "call t.turn_take($(($3 / 10000)), $(($3 % 10000)), $2)" &&
        postgres_psql "$1" postgres -c 'select * from t.columns()' >"$TEST_DIR/$1.whole"
}

turns_compare() {
    local other=$database step
    if [[ -n ${AGAINST-} ]]; then
        other=${database}_against
        if ! postgres_query postgres "create database $other" || ! "$AGAINST/migrations/apply" "$(postgres_url "$other")" >/dev/null 2>&1 ||
            ! postgres_psql "$other" postgres -f "$AGAINST/tests/sql/t.sql"; then
            fail "a database of $AGAINST"
            return
        fi
    else
        other=${database}_single
        postgres_database "$other" pattern
    fi
    if ! turns_of "$other" false >"$TEST_DIR/turns.log" 2>&1 || ! turns_of "$database" true >>"$TEST_DIR/turns.log" 2>&1; then
        fail "turns from seed $seed" "$(tail -n 5 "$TEST_DIR/turns.log")"
        return
    fi
    if cmp -s "$TEST_DIR/$other.trace" "$TEST_DIR/$database.trace"; then
        pass "turns of seeds $seed to $((seed + count - 1)) come to the same singly and in batches"
        return
    fi
    step=$(diff "$TEST_DIR/$other.trace" "$TEST_DIR/$database.trace" | sed -n 's/^< \([0-9]*\)|.*/\1/p' | head -n 1)
    whole_at "$other" false "$step" && whole_at "$database" true "$step"
    fail "turn $((step % 10000)) of seed $((step / 10000)) comes to the same singly and in batches" "$(
        grep -h "^$step|" "$TEST_DIR/$other.trace" "$TEST_DIR/$database.trace"
        diff "$TEST_DIR/$other.whole" "$TEST_DIR/$database.whole" | head -n 40)"
}

turns_compare
check "the turns broke no invariant" test -z "$(postgres_query "$database" 'select * from t.broken() limit 5')"
