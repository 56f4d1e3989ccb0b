#!/bin/sh
# Builds the library and installs it: shared object with its versioned names, archive, headers, libzmq.pc and the
# CMake package. See --help.
set -eu

usage() {
    cat <<TEXT
usage: sh cmake/install.sh [options]
  --prefix DIR      where to install (default /usr/local)
  --libdir DIR      libraries, below the prefix (default lib)
  --includedir DIR  headers, below the prefix (default include)
  --destdir DIR     stage the files under DIR instead, for packages (default \$DESTDIR)
  --from DIR        take libzmq.so and libzmq.a from DIR instead of building them
TEXT
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

prefix=/usr/local libdir=lib includedir=include destdir=${DESTDIR:-} from=
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --*=*) option=${1%%=*} value=${1#*=} ;;
        --*) [ $# -ge 2 ] || fail "$1 needs a value"; option=$1 value=$2; shift ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
    case $option in
        --prefix) prefix=$value ;;
        --libdir) libdir=$value ;;
        --includedir) includedir=$value ;;
        --destdir) destdir=$value ;;
        --from) from=$value ;;
        *) usage >&2; exit 2 ;;
    esac
done
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
for relative in "$libdir" "$includedir"; do
    case $relative in /* | *..*) fail "$relative: must be a folder below the prefix" ;; esac
done
[ -z "$from" ] || from=$(cd "$from" && pwd)

here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"

if [ -z "$from" ]; then
    # Without the Rust flavour of the library the optimiser sees the whole program (LTO).
    cargo rustc --release --lib --crate-type cdylib,staticlib
    target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    from=$target/release
fi

macro() {
    sed -n "s/^#define ZMQ_VERSION_$1 \([0-9]*\)\$/\1/p" include/zmq.h
}
version=$(macro MAJOR).$(macro MINOR).$(macro PATCH)
# What the original calls its files: the interface is version 5, the rest follows the release.
soname=libzmq.so.5
file=$soname.2.$(macro PATCH)

# What a program needs beside libzmq.a: the system libraries that Rust's standard library names.
private="-lgcc_s -lutil -lrt -lpthread -lm -ldl -lc"

# From the CMake files back to the prefix.
up=../..
rest=$libdir
while [ "$rest" != "${rest#*/}" ]; do
    rest=${rest#*/}
    up=$up/..
done
up=$up/..

lib=$destdir$prefix/$libdir
include=$destdir$prefix/$includedir
package=$lib/cmake/ZeroMQ
mkdir -p "$lib/pkgconfig" "$include" "$package"

fill() {
    sed -e "s|@PREFIX@|$prefix|g" -e "s|@LIBDIR@|$libdir|g" -e "s|@INCLUDEDIR@|$includedir|g" -e "s|@UP@|$up|g" \
        -e "s|@VERSION@|$version|g" -e "s|@SONAME@|$soname|g" -e "s|@FILE@|$file|g" -e "s|@PRIVATE@|$private|g" \
        "cmake/$1.in" > "$2/$1"
    chmod 644 "$2/$1"
}

# Renamed into place, so that a program that runs on the old file keeps it.
put() {
    cp "$1" "$3.new"
    chmod "$2" "$3.new"
    mv -f "$3.new" "$3"
}

put "$from/libzmq.so" 755 "$lib/$file"
ln -sf "$file" "$lib/$soname"
ln -sf "$soname" "$lib/libzmq.so"
put "$from/libzmq.a" 644 "$lib/libzmq.a"
put include/zmq.h 644 "$include/zmq.h"
put include/zmq_utils.h 644 "$include/zmq_utils.h"
put include/ferrozmq.h 644 "$include/ferrozmq.h"
fill libzmq.pc "$lib/pkgconfig"
fill ZeroMQConfig.cmake "$package"
fill ZeroMQConfigVersion.cmake "$package"
fill ZeroMQTargets.cmake "$package"
echo "installed $version in $destdir$prefix"
