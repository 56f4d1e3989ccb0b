#!/usr/bin/env bash
# Builds libzmq.so.5 and shows unmodified programs running on it: the three patterns of the ZeroMQ introduction in C,
# the same in Python on pyzmq from PyPI, and each of them talking to a process that runs the genuine library.
#
#   ctest/demo.sh [--lib LIBRARY] [--include FOLDER] [--no-genuine]
#
#   --lib         show this library instead of building ours (also: FERROZMQ_LIB)
#   --include     compile against the zmq.h of this folder
#   --no-genuine  leave out what needs Debian's libzmq5
#
# Needs Rust, gcc and Python 3; fetches pyzmq and, where it is missing and root or sudo can be had, Debian's libzmq5.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

library=${FERROZMQ_LIB:-}
include=$root/include
with_genuine=1
built= # non-empty when the library shown is the one built here
while [ $# -gt 0 ]; do
    case $1 in
    --lib) library=$2 && shift ;;
    --include) include=$2 && shift ;;
    --no-genuine) with_genuine= ;;
    *) fail "unknown argument $1" ;;
    esac
    shift
done

work=$target/demo
log=$work/log
requests=1000 tasks=1000
readings=200 # of two towns: well below the high-water mark of 1000, beyond which a publisher drops
declare -A name_of=() # of each running program, by process id

main() {
    rm -rf "$log"
    mkdir -p "$work/bin" "$log"
    trap stop_all EXIT
    build
    title "1. C programs on our library"
    show_all c c
    title "2. Python programs: pyzmq from PyPI, our library preloaded"
    show_pyzmq
    show_all py py
    if [ -n "$with_genuine" ]; then
        title "3. One side on our library, the other on the genuine one ($genuine)"
        for pair in "c genuine" "genuine c" "py genuine" "genuine py"; do
            show_all $pair
        done
    fi
    title "everything arrived where it should"
}

build() {
    title "0. The library"
    if [ -z "$library" ]; then
        build_library
        built=1
    fi
    library=$(readlink -f "$library") && [ -f "$library" ] || fail "no such library"
    echo "$library, $(readelf -d "$library" | sed -n 's/.*soname: \[\(.*\)\]/SONAME \1/p')"
    readelf -d "$library" | grep -q 'soname: \[libzmq\.so\.5\]' || fail "its SONAME is not libzmq.so.5"
    link_library "$library" "$work/ours"
    if [ -n "$with_genuine" ]; then
        genuine=$(genuine_library) || fail "Debian's libzmq5 is neither here nor can it be installed (--no-genuine does without)"
        link_library "$genuine" "$work/genuine"
    fi
    local source program
    for source in "$root"/ctest/demo/*.c; do
        program=$work/bin/$(basename "$source" .c)
        gcc -std=c99 -Wall -Wextra -O1 -I "$include" "$source" -o "$program" -L "$work/ours" -lzmq
        check_loaded "$program" "$work/ours" "$library"
        [ -z "$with_genuine" ] || check_loaded "$program" "$work/genuine" "$genuine"
    done
    echo "C programs built with $include/zmq.h, linked with -lzmq"
}

# pyzmq's wheel brings a libzmq of its own; the preloaded one has to win.
show_pyzmq() {
    python=$(pyzmq_python)
    local version bundled trace=$work/bindings
    rm -f "$trace".*
    bundled=$("$python" -c 'import zmq; print(zmq.zmq_version())')
    version=$(LD_PRELOAD=$library LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT=$trace \
        "$python" -c 'import zmq; print(zmq.zmq_version())')
    echo "zmq.zmq_version() is $version (of the library inside the wheel: $bundled)"
    "$python" "$root/ctest/demo/which.py" "$library" "$trace".* || fail "the preloaded library does not win"
    [ -z "$built" ] || [ "$version" = 4.3.6 ] || fail "zmq.zmq_version() is not ours"
    rm -f "$trace".*
}

# The three patterns; $1 is what the binding side runs on, $2 the connecting one: c (C on ours), py (Python on ours) or
# genuine (C on Debian's library).
show_all() {
    echo "-- $(describe "$1") binds, $(describe "$2") connects"
    local p
    read -ra p < <(python3 "$root/ctest/demo/ports.py" 5555)
    start "$1" rep_server "tcp://*:${p[0]}" $requests
    start "$2" req_client "tcp://localhost:${p[0]}" $requests
    finish

    read -ra p < <(python3 "$root/ctest/demo/ports.py" 5556 5559)
    start "$1" pub_server "tcp://*:${p[0]}" "tcp://*:${p[1]}" 2 $readings
    start "$2" sub_client "tcp://127.0.0.1:${p[0]}" "tcp://127.0.0.1:${p[1]}" "" $readings 2
    start "$2" sub_client "tcp://127.0.0.1:${p[0]}" "tcp://127.0.0.1:${p[1]}" "Lisbon " $readings 1
    finish

    read -ra p < <(python3 "$root/ctest/demo/ports.py" 5557 5558 5559)
    start "$1" sink "tcp://*:${p[1]}" $tasks
    start "$2" worker A "tcp://127.0.0.1:${p[0]}" "tcp://127.0.0.1:${p[2]}" "tcp://127.0.0.1:${p[1]}"
    start "$2" worker B "tcp://127.0.0.1:${p[0]}" "tcp://127.0.0.1:${p[2]}" "tcp://127.0.0.1:${p[1]}"
    start "$1" ventilator "tcp://*:${p[0]}" "tcp://*:${p[2]}" 2 $tasks
    finish
}

describe() {
    case $1 in
    c) echo "C on ours" ;;
    py) echo "Python on ours" ;;
    genuine) echo "C on the genuine library" ;;
    esac
}

start() { # KIND PROGRAM ARGUMENT...
    local kind=$1 program=$2 out=$log/$2.${#name_of[@]}
    shift 2
    case $kind in
    c) LD_LIBRARY_PATH=$work/ours timeout 60 "$work/bin/$program" "$@" >"$out" 2>&1 & ;;
    genuine) LD_LIBRARY_PATH=$work/genuine timeout 60 "$work/bin/$program" "$@" >"$out" 2>&1 & ;;
    py) timeout 60 env LD_PRELOAD="$library" "$python" "$root/ctest/demo/$program.py" "$@" >"$out" 2>&1 & ;;
    esac
    name_of[$!]=$out
}

# Waits for all programs that were started; the first that fails ends everything.
finish() {
    local id status
    while [ ${#name_of[@]} -gt 0 ]; do
        status=0
        wait -n -p id "${!name_of[@]}" || status=$?
        sed 's/^/   /' "${name_of[$id]}"
        if [ $status != 0 ]; then
            [ $status != 124 ] || echo "   (did not end within 60 s)"
            local failed=${name_of[$id]}
            unset "name_of[$id]"
            fail "$(basename "$failed") ended with status $status; still running: $(basename -a "${name_of[@]}" 2>/dev/null | tr '\n' ' ')"
        fi
        unset "name_of[$id]"
    done
}

stop_all() {
    local id
    for id in "${!name_of[@]}"; do
        kill "$id" 2>/dev/null || true
    done
}

main
