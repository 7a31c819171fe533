#!/bin/sh
# Build the sandbox program: build.sh [amd64|arm64 [OUTPUT]]; without arguments both, beside their source.
# The compilers are gcc 12, of Debian 12 and 13 and Ubuntu 22.04 and later: packages gcc-12 and gcc-12-aarch64-linux-gnu
# (on arm64 gcc-12-x86-64-linux-gnu and gcc-12). They all give the same bytes; another major version gives others.
set -eu
here=$(dirname "$0")

build() {
    case $1 in
    amd64) compiler=x86_64-linux-gnu-gcc-12; option=-fcf-protection=none ;;
    arm64) compiler=aarch64-linux-gnu-gcc-12; option=-mno-outline-atomics ;;
    *) echo "build.sh: unknown architecture '$1', not amd64 or arm64" >&2; exit 2 ;;
    esac
    "$compiler" -std=c11 -Wall -Wextra -Wno-unused-parameter -Werror -Os -ffreestanding -nostdlib -static \
        -fno-pie -no-pie -fno-ident -fno-stack-protector -fno-unwind-tables -fno-asynchronous-unwind-tables "$option" \
        -Wl,--build-id=none,-z,noseparate-code,-z,norelro -s -o "${2:-$here/sandbox-$1}" "$here/sandbox.c"
}

if [ $# -gt 0 ]; then
    build "$@"
else
    build amd64
    build arm64
fi
