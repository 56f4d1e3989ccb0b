#!/usr/bin/env bash
# Installs what the tests need and runs all of them.
#
#   ctest/test.sh [STAGE...]     stages: rust fuzz counts loom doc c differential
#                                conformance interop czmq pyzmq (all of these when none is named)
#                                abi (conformance again, built with the genuine header)
#
# FERROZMQ_LIB=LIBRARY tests that library instead of building ours; FERROZMQ_INCLUDE=FOLDER compiles the C programs
# against the zmq.h of that folder. Every program that is started has a time limit. Ends with one line a stage.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
exec </dev/null
cd "$root"

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(rust fuzz counts loom doc c differential conformance interop czmq pyzmq)
library=${FERROZMQ_LIB:-}
include=${FERROZMQ_INCLUDE:-$root/include}
work=$target/ctest
summary=()
failed=0

main() {
    mkdir -p "$work"
    local stage
    for stage in "${stages[@]}"; do
        declare -F "stage_$stage" >/dev/null || fail "no stage $stage"
    done
    title "what the tests need"
    packages g++ pkg-config cmake libzmq5 libzmq3-dev krb5-kdc krb5-admin-server
    # Without these some tests skip themselves, and say so.
    packages libgnutls28-dev libsodium-dev libpgm-dev libnorm-dev iproute2 || true
    nextest=
    has_nextest && nextest=1
    cargo --version
    [ -n "$nextest" ] && cargo nextest --version | head -n 1
    build
    local before left
    before=$(ls -A)
    for stage in "${stages[@]}"; do
        title "$stage"
        "stage_$stage"
    done
    left=$(comm -13 <(sort <<<"$before") <(ls -A | sort) | tr '\n' ' ')
    if [ -n "$left" ]; then
        note tidiness "FAILED: left behind in $root: $left"
        failed=1
    fi
    title "summary"
    printf '%s\n' "${summary[@]}"
    [ $failed = 0 ] || fail "see above"
}

has_nextest() {
    cargo nextest --version >/dev/null 2>&1 && return 0
    echo "installing cargo-nextest (minutes; without it cargo test does the work)"
    timeout 900 cargo install cargo-nextest --locked >"$work/nextest.log" 2>&1 && return 0
    echo "cargo-nextest cannot be installed: $(tail -n 1 "$work/nextest.log")"
    return 1
}

build() {
    if [ -z "$library" ]; then
        title "the library"
        build_library
        # Of its own, as the tests of some stages build other flavours to the same place.
        mkdir -p "$work/built"
        cp --remove-destination "$library" "${library%.so}.a" "$work/built/"
        library=$work/built/libzmq.so
    fi
    export FERROZMQ_LIB
    FERROZMQ_LIB=$(readlink -f "$library")
    link_library "$FERROZMQ_LIB" "$work/lib"
}

# Unit tests and integration tests, but for those that have a stage of their own.
stage_rust() {
    local name names=()
    for name in $(integration_tests); do
        case $name in conformance | differential | fuzz_corpus | interop*) ;; *) names+=(--test "$name") ;; esac
    done
    run_tests rust 900 --lib ${names[@]+"${names[@]}"}
}

# Each fuzz target for a quarter of a minute; fuzz/run.sh does that with libFuzzer, for as long as one likes.
stage_fuzz() {
    FERROZMQ_FUZZ_SECONDS=15 run fuzz 900 cargo test --release --test fuzz_corpus
}

# Instructions of the operations on a message's path, against the committed baseline.
stage_counts() {
    local status=0 log=$work/counts.log
    if ! packages valgrind; then
        note counts "skipped: valgrind is neither here nor can it be installed"
        return 0
    fi
    timeout --kill-after=10 600 cargo bench --bench instructions 2>&1 | tee "$log" || status=$?
    note counts "$(grep -c ' baseline ' "$log") operations$([ $status = 0 ] || echo ", FAILED: $(tail -n 1 "$log")")"
    [ $status = 0 ] || failed=1
}

# The queue and the wakers under every interleaving; a build of its own, as loom replaces the atomics.
stage_loom() {
    RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=$work/loom run loom 600 cargo test --lib loom
}

stage_doc() {
    run doc 300 cargo test --doc
}

# The programs of ctest/differential on the genuine library and on ours, line by line.
stage_differential() {
    run differential 300 cargo test --test differential
}

stage_conformance() {
    run conformance 1200 cargo test --test conformance
}

# The same programs built with the header of libzmq 4.3.5: what was compiled for that library runs on ours as it is.
stage_abi() {
    FERROZMQ_CONFORMANCE_HEADER=genuine run abi 1200 cargo test --test conformance
}

stage_interop() {
    local name names=()
    genuine_drafts
    for name in $(integration_tests); do
        case $name in interop*) names+=(--test "$name") ;; esac
    done
    run_tests interop 600 "${names[@]}"
}

# A genuine library with the draft interface and WebSocket, which no distribution has: built once, from the crate that
# has the test programs. Where that fails the conversations over drafts, ws and wss are between ours only.
genuine_drafts() {
    local sources folder=$work/genuine-drafts log=$work/genuine-drafts.log
    # An older one lacks what has been asked for since.
    [ ! -e "$folder/lib/libzmq.so.5" ] || ! grep -q "^ENABLE_CURVE:BOOL=ON" "$folder/CMakeCache.txt" || return 0
    rm -rf "$folder"
    echo "building a genuine library with drafts, ws and wss (minutes, once)"
    sources=$(cargo metadata --format-version=1 --offline 2>/dev/null |
        grep -o '"manifest_path":"[^"]*/zeromq-src-[^"]*/Cargo.toml"' | head -n 1 | cut -d '"' -f 4) || true
    sources=$(dirname "$sources")/vendor
    if ! timeout 900 cmake -S "$sources" -B "$folder" -DCMAKE_BUILD_TYPE=Release -DENABLE_DRAFTS=ON \
        -DENABLE_CURVE=ON -DWITH_LIBSODIUM=ON -DENABLE_WS=ON -DWITH_TLS=ON \
        -DBUILD_TESTS=OFF -DBUILD_STATIC=OFF -DWITH_DOCS=OFF -DWITH_PERF_TOOL=OFF >"$log" 2>&1 ||
        ! timeout 900 cmake --build "$folder" --target libzmq --parallel 2 >>"$log" 2>&1; then
        echo "it does not build: $(tail -n 1 "$log")"
    fi
}

# czmq's own tests of its classes: a quarter of a minute, which they wait.
stage_czmq() {
    if ! packages libczmq4; then
        note czmq "skipped: libczmq4 is neither here nor can it be installed"
        return 0
    fi
    run czmq 600 tests/czmq/run.sh
}

# pyzmq's own tests: two minutes; the first time twice that, and what they need is fetched.
stage_pyzmq() {
    run pyzmq 600 tests/pyzmq/run.sh
}

# The C and C++ programs of this folder, each a test of its own: 0 is passed, 77 skipped.
stage_c() {
    local source name status passed=0 bad=() skipped=0
    for source in ctest/*.c ctest/*.cpp; do
        [ -e "$source" ] || continue
        name=$(basename "${source%.*}")
        status=0
        build_c "$source" "$work/$name" && run_c "$work/$name" || status=$?
        case $status in
        0) passed=$((passed + 1)) && echo "passed   $name" ;;
        77) skipped=$((skipped + 1)) && echo "skipped  $name: $(tail -n 1 "$work/$name.log")" ;;
        *)
            bad+=("$name")
            echo "FAILED   $name (status $status$([ $status != 124 ] || echo ', did not end in time'))"
            tail -n 40 "$work/$name.log" | sed 's/^/    /'
            ;;
        esac
    done
    note c "$passed passed, ${#bad[@]} failed, $skipped skipped${bad[*]:+ (failed: ${bad[*]})}"
    [ ${#bad[@]} = 0 ] || failed=1
}

build_c() { # SOURCE PROGRAM
    local compiler=(gcc -std=gnu99)
    case $1 in *.cpp) compiler=(g++ -std=c++11) ;; esac
    "${compiler[@]}" -Wall -Wextra -O1 -g -pthread -I "$include" -I ctest "$1" -o "$2" -L "$work/lib" -lzmq \
        >"$2.log" 2>&1
}

run_c() { # PROGRAM
    local scratch status=0
    scratch=$(mktemp -d)
    check_loaded "$1" "$work/lib" "$FERROZMQ_LIB"
    (cd "$scratch" && TMPDIR=$scratch LD_LIBRARY_PATH=$work/lib timeout --kill-after=5 120 "$1") >"$1.log" 2>&1 || status=$?
    rm -rf "$scratch"
    return $status
}

integration_tests() {
    local file
    for file in tests/*.rs; do
        basename "$file" .rs
    done
}

run_tests() { # STAGE SECONDS ARGUMENT...
    local stage=$1 seconds=$2
    shift 2
    if [ -n "$nextest" ]; then
        run "$stage" "$seconds" cargo nextest run --no-fail-fast "$@"
    else
        run "$stage" "$seconds" cargo test --no-fail-fast "$@"
    fi
}

# Runs one stage's command, shows its output and reads the counts from it.
run() { # STAGE SECONDS COMMAND...
    local stage=$1 seconds=$2 status=0 log=$work/$1.log
    shift 2
    timeout --kill-after=10 "$seconds" "$@" 2>&1 | tee "$log" || status=$?
    [ $status != 124 ] || echo "the stage did not end within $seconds s"
    note "$stage" "$(counts "$log")$([ $status = 0 ] || echo " (status $status)")"
    [ $status = 0 ] || failed=1
}

# "N passed, N failed, N skipped" from what cargo nextest, cargo test or a run.sh printed; runs repeated, if it tells.
counts() {
    sed 's/\x1b\[[0-9;]*m//g' "$1" | awk '
        function of(word) { return match($0, "[0-9]+ " word) ? substr($0, RSTART, RLENGTH) + 0 : 0 }
        /^ *Summary \[/ || /^test result: / {
            passed += of("passed"); bad += of("failed") + of("timed out"); skipped += of("skipped") + of("ignored")
            repeated += of("runs repeated")
        }
        END {
            printf "%d passed, %d failed, %d skipped", passed, bad, skipped
            if (repeated) printf ", %d runs repeated", repeated
        }'
}

note() {
    summary+=("$(printf '%-12s %s' "$1" "$2")")
}

main
