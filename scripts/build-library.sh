#!/usr/bin/env bash
# Builds libmeshnet.so as it is shipped, into .build/lib: with the Swift runtime inside, and nothing visible but meshnet_*.
set -euo pipefail
cd "$(dirname "$0")/.."

abi=$(sed -n 's/^#define MESHNET_ABI_VERSION \([0-9]*\)$/\1/p' include/meshnet.h)
soname=libmeshnet.so.$abi

# These flags are here and not in Package.swift: there they would bar others from depending on the package, and break linking of its tests.
# nodelete: the runtime inside registers with the process and cannot be unloaded by dlclose.
# lld packs the relative relocations, which saves 600 KB; an older C library than 2.36 says so when it loads the library.
swift build -c release --product meshnet \
    -Xswiftc -static-stdlib -Xswiftc -use-ld=lld -Xlinker -z -Xlinker pack-relative-relocs -Xlinker -O2 \
    -Xlinker --version-script=Sources/MeshNetExports/meshnet.map \
    -Xlinker --gc-sections -Xlinker --icf=all -Xlinker -s -Xlinker -z -Xlinker nodelete -Xlinker -soname="$soname"

mkdir -p .build/lib
# Replaced in one step: a program that runs with the old one keeps it.
cp .build/release/libmeshnet.so ".build/lib/.$soname.new"
mv -f ".build/lib/.$soname.new" ".build/lib/$soname"
ln -sf "$soname" .build/lib/libmeshnet.so
echo "built .build/lib/$soname, $(stat -c %s ".build/lib/$soname") bytes"
