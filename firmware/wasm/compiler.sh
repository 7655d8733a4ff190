#!/bin/bash
# Says how the compiler for WebAssembly is called:  compiler.sh BIN FILE
#
# Writes the call to FILE: Debian's clang with wasm-ld beside it, which is installed where that needs no question, else Zig's clang,
# installed into the virtual environment BIN.
set -euo pipefail

bin=$1 file=$2
ziglang=ziglang==0.17.1

if boards/tools/need_apt.sh clang-22:clang-22 lld-22:wasm-ld-22; then
    echo clang-22 >"$file"
else
    echo "so it is built with $ziglang of PyPI"
    "$bin/pip" install --disable-pip-version-check "$ziglang"
    echo "$PWD/$bin/python -m ziglang cc" >"$file"
fi
