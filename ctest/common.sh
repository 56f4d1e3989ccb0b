# What demo.sh and test.sh share: sourced by them, does nothing by itself.

set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

fail() {
    printf '\n%s: FAILED: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

title() {
    printf '\n== %s\n' "$*"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        echo "neither root nor able to use sudo without a password: cannot run: $*" >&2
        return 1
    fi
}

# Installs those of the Debian packages that are missing.
packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    echo "installing ${missing[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    local install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
    as_root "${install[@]}" >/dev/null 2>&1 || { as_root "${apt[@]}" update && as_root "${install[@]}" >/dev/null; }
}

# Builds the library as it is meant to be used; $library says where it is. Without its Rust flavour, which only the tests
# need, the optimiser sees the whole program (LTO). libzmq.a comes with it.
build_library() {
    (cd "$root" && cargo rustc --release --lib --crate-type cdylib,staticlib) || fail "it does not build"
    library=$target/release/libzmq.so
}

# The path of the system's own libzmq (Debian's libzmq5), installed when it is not there.
genuine_library() {
    find_genuine || { packages libzmq5 >&2 && find_genuine; }
}

find_genuine() {
    local path
    path=$(ldconfig -p | awk '$1 == "libzmq.so.5" { print $NF; exit }')
    [ -n "$path" ] && readlink -f "$path"
}

# Makes the folder $2 hold links to the library $1, by the names that a linker and a loader look for.
link_library() {
    mkdir -p "$2"
    ln -sfn "$1" "$2/libzmq.so"
    ln -sfn "$1" "$2/libzmq.so.5"
}

# Fails unless the loader gives program $1 the file $3 as its libzmq when it looks in folder $2.
check_loaded() {
    local got
    got=$(LD_TRACE_LOADED_OBJECTS=1 LD_LIBRARY_PATH=$2 "$1" | awk '$1 == "libzmq.so.5" { print $3 }')
    [ "$(readlink -f "$got")" = "$(readlink -f "$3")" ] || fail "$1 would load ${got:-no libzmq.so.5}, not $3"
}

# Python of an environment of its own, with pyzmq from PyPI.
pyzmq_python() {
    local folder=$target/pyzmq
    if [ ! -x "$folder/bin/python" ] || ! "$folder/bin/python" -c 'import zmq' 2>/dev/null; then
        rm -rf "$folder"
        python3 -m venv "$folder" >/dev/null 2>&1 \
            || { rm -rf "$folder"; packages python3-venv >&2 && python3 -m venv "$folder"; } \
            || fail "python3 cannot make a virtual environment (Debian: apt install python3-venv)"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: pyzmq \
            || fail "pip could not install pyzmq"
    fi
    echo "$folder/bin/python"
}
