#!/usr/bin/env bash
# pyzmq's own tests, unmodified, with our library preloaded: what passes with the library inside pyzmq's wheel has to
# pass with ours, but for what expected-failures.txt names.
#
#   tests/pyzmq/run.sh [PYTEST-ARGUMENT...]     with arguments: only our run of these tests, in full words, no judgement
#
# FERROZMQ_LIB=LIBRARY tests that library instead of building ours. The environment, the tests and what the bundled
# library makes of them are kept under target/ until requirements.txt changes; run.sh --again looks at the latter anew.

. "$(dirname "${BASH_SOURCE[0]}")/../../ctest/common.sh"
exec </dev/null

here=$root/tests/pyzmq
work=$target/pyzmq-suite
python=$work/venv/bin/python
limit=${PYZMQ_LIMIT:-240} # seconds for one run of all tests

# Left out: what is about compilers, type checkers and free ports, not about the library; one that sends to a
# subscription it made an instant before, over tcp, and waits for ever when the publisher was faster; one that hands
# a random key to a command line, which takes one in 85 of them, those that begin with a dash, for an option; and one
# of the two that send 2 GiB, for the sake of small machines.
left_out=(
    --ignore=tests/test_cython.py
    --ignore=tests/test_mypy.py
    --ignore=tests/test_ssh.py
    --deselect=tests/test_log.py::TestPubLog::test_blank_root_topic
    --deselect=tests/test_curve_keygen.py::test_curve_keygen_secret
    --deselect=tests/test_socket.py::TestSocketGreen::test_large_send
)

main() {
    local again=
    [ "${1:-}" != --again ] || { again=1 && shift; }
    local library=${FERROZMQ_LIB:-}
    if [ -z "$library" ]; then
        build_library
    fi
    library=$(readlink -f "$library") && [ -f "$library" ] || fail "no such library"
    prepare
    check_preloaded "$library"
    if [ $# -gt 0 ]; then
        suite "$library" "$work/some.txt" -v "$@"
        exit
    fi
    if [ ! -s "$work/bundled.txt" ] || [ -n "$again" ]; then
        echo "with the library inside the wheel (this once):"
        suite "" "$work/bundled.new" -q || true
        mv "$work/bundled.new" "$work/bundled.txt"
    fi
    echo "with $library:"
    suite "$library" "$work/ours.txt" -q || true
    "$python" "$here/judge.py" "$work/bundled.txt" "$work/ours.txt" "$here/expected-failures.txt"
}

# The environment and the source distribution of the pyzmq in it.
prepare() {
    cmp -s "$here/requirements.txt" "$work/requirements.txt" && return 0
    rm -rf "$work"
    mkdir -p "$work"
    python3 -m venv "$work/venv" >/dev/null 2>&1 \
        || { rm -rf "$work/venv"; packages python3-venv >&2 && python3 -m venv "$work/venv"; } \
        || fail "python3 cannot make a virtual environment (Debian: apt install python3-venv)"
    local pip=("$python" -m pip --quiet --disable-pip-version-check)
    "${pip[@]}" install --only-binary :all: -r "$here/requirements.txt" || fail "pip could not install what the tests need"
    local pyzmq
    pyzmq=$(grep '^pyzmq==' "$here/requirements.txt")
    "${pip[@]}" download --no-deps --no-binary pyzmq --dest "$work" "$pyzmq" || fail "pip could not fetch the sources of $pyzmq"
    mkdir "$work/source"
    tar -xf "$work"/pyzmq-*.tar.gz -C "$work/source" --strip-components 1
    # Beside the package's sources Python would import those instead of the wheel.
    mkdir "$work/suite"
    mv "$work/source/tests" "$work/source/pytest.ini" "$work/suite/"
    rm -rf "$work/source"
    cp "$here/requirements.txt" "$work/requirements.txt"
}

check_preloaded() { # LIBRARY
    local trace=$work/bindings
    rm -f "$trace".*
    LD_PRELOAD=$1 LD_BIND_NOW=1 LD_DEBUG=bindings LD_DEBUG_OUTPUT=$trace "$python" -c 'import zmq; zmq.zmq_version()'
    "$python" "$root/ctest/demo/which.py" "$1" "$trace".* || fail "the preloaded library does not win"
    rm -f "$trace".*
}

suite() { # LIBRARY RECORD PYTEST-ARGUMENT...
    local library=$1 record=$2
    shift 2
    (cd "$work/suite" && env ${library:+LD_PRELOAD="$library"} PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 PYZMQ_RECORD="$record" \
        timeout --kill-after=5 "$limit" "$python" -m pytest -p record -p no:cacheprovider -o faulthandler_timeout=50 \
        --durations=5 --disable-warnings --tb=short "${left_out[@]}" "$@")
}

main "$@"
