#!/usr/bin/env bash
# czmq's own tests of its classes, those inside Debian's libczmq4, with our library underneath.
#
#   tests/czmq/run.sh [CLASS...]     with classes, as zsock: only these
#
# FERROZMQ_LIB=LIBRARY tests that library instead of building ours. A class whose test fails is run again, twice at
# most, and has passed when one of its runs has; the last line tells how many runs that took.

. "$(dirname "${BASH_SOURCE[0]}")/../../ctest/common.sh"
exec </dev/null

here=$root/tests/czmq
work=$target/czmq-suite
limit=60 # seconds for one run of one class

main() {
    library=${FERROZMQ_LIB:-}
    if [ -z "$library" ]; then
        build_library
    fi
    library=$(readlink -f "$library") && [ -f "$library" ] || fail "no such library"
    mkdir -p "$work"
    link_library "$library" "$work/lib"
    local czmq
    czmq=$(find_czmq) || { packages libczmq4 && czmq=$(find_czmq); } || fail "there is no libczmq (Debian: apt install libczmq4)"
    gcc -std=gnu99 -Wall -Wextra -O1 -g "$here/one.c" -o "$work/one" -ldl || fail "one.c does not build"

    local class classes=("$@") passed=0 bad=() skipped=0 repeated=0
    [ ${#classes[@]} -gt 0 ] || mapfile -t classes < <(nm -D --defined-only "$czmq" | sed -n 's/.* T \(z[a-z_]*\)_test$/\1/p')
    [ ${#classes[@]} -gt 0 ] || fail "$czmq has no tests"
    echo "with $library:"
    # One after the other, as several use the same ports.
    for class in "${classes[@]}"; do
        if [ $# = 0 ] && left_out "$class"; then
            skipped=$((skipped + 1))
            echo "skipped  $class: $why"
        elif passes "$class"; then
            passed=$((passed + 1))
            echo "passed   $class$([ "$runs" = 1 ] || echo " (in run $runs)")"
        else
            bad+=("$class")
            echo "FAILED   $class ($outcome, as the last of $runs runs)"
            tail -n 20 "$work/$class.log" | sed 's/^/    /'
        fi
    done
    [ ${#bad[@]} = 0 ] || echo "failed: ${bad[*]}"
    echo "test result: czmq $passed passed, ${#bad[@]} failed, $skipped skipped, $repeated runs repeated"
    [ ${#bad[@]} = 0 ]
}

find_czmq() {
    local path
    path=$(ldconfig -p | awk '$1 == "libczmq.so.4" { print $NF; exit }')
    [ -n "$path" ] && readlink -f "$path"
}

# Whether the class is left out; $why says why.
left_out() { # CLASS
    case $1 in
    zdir | zfile) why="waits for seconds until files have other times, and uses no socket" ;;
    zbeacon) why="broadcasts beyond the loopback interface" ;;
    *) return 1 ;;
    esac
}

# Up to three runs, until one passes. $runs says how many there were, $outcome how the last ended.
passes() { # CLASS
    for runs in 1 2 3; do
        [ "$runs" = 1 ] || repeated=$((repeated + 1))
        run_class "$1" && return 0
    done
    return 1
}

run_class() { # CLASS
    local scratch underneath status=0 log=$work/$1.log
    scratch=$(mktemp -d -p "$work")
    mkdir -p "$scratch/src/selftest-rw" "$scratch/src/selftest-ro"
    # With the last part the shell reports a crash into the log.
    (cd "$scratch" && TMPDIR=$scratch LD_LIBRARY_PATH=$work/lib timeout --kill-after=5 "$limit" "$work/one" "$1" || exit $?) \
        >"$log" 2>&1 || status=$?
    rm -rf "$scratch"
    underneath=$(sed -n 's/^libzmq [0-9.]* is //p' "$log" | head -n 1)
    [ "$(readlink -f "$underneath")" = "$library" ] \
        || fail "$1 ran on ${underneath:-no libzmq}, not on $library: $(tail -n 1 "$log")"
    case $status in
    # czmq takes the signal of the time limit for a wish to end, and then has to be killed.
    124 | 137) outcome="did not end within $limit s" ;;
    *) outcome="status $status" ;;
    esac
    [ $status = 0 ] && grep -q ": OK$" "$log"
}

main "$@"
