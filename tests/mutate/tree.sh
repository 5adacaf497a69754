# shellcheck shell=bash
# The copy of the tree in which a mutant lives, build/mutate/N of the work tree, and its build. They stay for the next run, so that it
# builds little.
#
#   tree_take                the first that nobody uses: sets TREE and BUILD, brings it to the work tree's state, goes there
#   tree_change FILE TEXT    writes a file of the copy; tree_restore puts the work tree's back
#   tree_build TARGET...     quiet when all is well; ccache is used where there is one

tree_names() { # of the work tree, NUL between
    local name
    git ls-files -co --exclude-standard -z | while IFS= read -r -d '' name; do
        [[ ! -f $name ]] || printf '%s\0' "$name"
    done
}
tree_sums() { xargs -0 sha256sum -- | LC_ALL=C sort; }

tree_take() {
    local number=0
    while
        number=$((number + 1))
        TREE=$PWD/build/mutate/$number
        mkdir -p "$TREE/build" || return 1
        exec 8>"$TREE/build/lock"
        ! flock -n 8
    do :; done
    export BUILD=$TREE/build/tests
    chmod 755 "$TREE"
    # Only what differs is written, with the time of now: what stands in the build is older.
    tree_names | tree_sums >"$TREE/build/wanted"
    (cd "$TREE" && find . \( -path ./build -o -path ./.git \) -prune -o -type f -printf '%P\0' | tree_sums) >"$TREE/build/had"
    LC_ALL=C comm -13 "$TREE/build/wanted" "$TREE/build/had" | cut -c 67- | (cd "$TREE" && xargs -r -d '\n' rm -f --)
    LC_ALL=C comm -23 "$TREE/build/wanted" "$TREE/build/had" | cut -c 67- | tar -T - -cf - | tar -C "$TREE" -xmf -
    cd "$TREE" || return 1
    # Scripts ask git which files there are.
    [[ -d .git ]] || git init -q .
}

tree_change() {
    CHANGED=$1
    cp -- "$1" build/original
    printf '%s' "$2" >"$1"
}
tree_restore() { cat build/original >"$CHANGED"; }

tree_build() {
    (($#)) || return 0
    if [[ ! -f $BUILD/CMakeCache.txt ]]; then
        [[ -n ${CMAKE_C_COMPILER_LAUNCHER-} ]] || ! command -v ccache >/dev/null || export CMAKE_C_COMPILER_LAUNCHER=ccache
        cmake -S . -B "$BUILD" -DFLEET_SANITIZE=ON -DCMAKE_BUILD_TYPE=Debug >build/log 2>&1 8>&- || return 1
    fi
    cmake --build "$BUILD" -j"$(nproc)" --target "$@" >build/log 2>&1 8>&-
}
