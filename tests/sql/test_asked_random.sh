# shellcheck shell=bash disable=SC2154 # database: set by run
# Random steps of people, looks and claims against a model: SEED=n begins there, COUNT=n is so many.
seed=${SEED:-$((RANDOM * 20 + 1))}
count=${COUNT:-$([[ $LONG == true ]] && echo 2000 || echo 40)}
{
    echo "\\set seed $seed"
    echo "\\set count $count"
    cat tests/sql/asked_random.sql
} >"$TEST_DIR/asked_random.sql"
run_sql asked_random "$database" "$TEST_DIR/asked_random.sql"
