#!/usr/bin/env bash
# Runs the C programs of this folder on a library built for ThreadSanitizer; a data race fails.
#
#   ctest/tsan.sh [PROGRAM...]     without a name: all of them
#
# Needs a nightly toolchain and clang. The standard library is the prebuilt one, without instrumentation: what follows
# from that is in tsan.supp, and under cfg(tsan) locks are taken without its slow path.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
exec </dev/null
cd "$root"
host=$(rustc -vV | sed -n 's/^host: //p')
work=$target/tsan

main() {
    export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
    CARGO_TARGET_DIR=$work cargo +nightly rustc --lib --crate-type cdylib --target "$host" -- --cfg tsan
    link_library "$work/$host/debug/libzmq.so" "$work/lib"
    local runtime bad=() program
    runtime=$(find "$(rustc +nightly --print sysroot)/lib/rustlib/$host" -name '*_rt.tsan.a')
    [ -n "$runtime" ] || fail "the nightly toolchain has no runtime of ThreadSanitizer"
    [ $# -gt 0 ] || set -- $(all_programs)
    for program; do
        if check_program "$program" >"$work/$program.log" 2>&1; then
            echo "passed   $program"
        else
            echo "FAILED   $program"
            grep -A 12 'WARNING: ThreadSanitizer\|^FAILED\|:[0-9]*: ' "$work/$program.log" | head -n 60 | sed 's/^/    /'
            bad+=("$program")
        fi
    done
    [ ${#bad[@]} = 0 ] || fail "${bad[*]}"
}

# Left out: those that fork (and one test of lingering.c), as the sanitizer does not follow a child of several threads, and
# those that count descriptors, as it has some of its own.
all_programs() {
    local source
    for source in ctest/*.c; do
        case $source in ctest/forks.c | ctest/descriptors.c | ctest/leaving.c) ;; *) basename "$source" .c ;; esac
    done
}

check_program() { # NAME
    local scratch status=0
    clang -std=gnu99 -fsanitize=thread -DUNDER_TSAN -O1 -g -pthread -I include -I ctest -c "ctest/$1.c" -o "$work/$1.o" || return 1
    # The runtime that fits the library's instrumentation is rustc's, not clang's.
    clang "$work/$1.o" -o "$work/$1" -rdynamic -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive \
        -L "$work/lib" -lzmq -lpthread -ldl -lrt -lm -lresolv || return 1
    scratch=$(mktemp -d)
    (cd "$scratch" && TMPDIR=$scratch LD_LIBRARY_PATH=$work/lib \
        TSAN_OPTIONS="suppressions=$root/ctest/tsan.supp exitcode=66" timeout --kill-after=5 300 "$work/$1") || status=$?
    rm -rf "$scratch"
    [ $status = 0 ] || [ $status = 77 ]
}

main "$@"
