#!/bin/bash
# Copies header, library, pkg-config file and command below DESTDIR/PREFIX: scripts/install.sh DESTDIR PREFIX. `make build` comes before.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

destdir=$1
prefix=$2
case $prefix in
/*) ;;
*)
    echo "PREFIX must be an absolute path, and is \"$prefix\"" >&2
    exit 2
    ;;
esac
version=$(sed -n 's/^#define MESHNET_VERSION_TEXT "\(.*\)"$/\1/p' include/meshnet.h)
soname=$(basename .build/lib/libmeshnet.so.*)
target=$destdir$prefix

install -Dm644 include/meshnet.h "$target/include/meshnet.h"
install -Dm755 ".build/lib/$soname" "$target/lib/$soname"
ln -sfn "$soname" "$target/lib/libmeshnet.so"
install -Dm755 .build/release/meshnet-cli "$target/bin/meshnet"
install -d "$target/lib/pkgconfig"
cat >"$target/lib/pkgconfig/meshnet.pc" <<PC
prefix=$prefix
includedir=\${prefix}/include
libdir=\${prefix}/lib

Name: meshnet
Description: A libp2p node as a library
Version: $version
Requires.private: libsodium libcrypto libcares
Cflags: -I\${includedir}
Libs: -L\${libdir} -lmeshnet
PC
# The loader's cache knows new libraries only after ldconfig; not for a staged install, and not without the right to.
if [ -z "$destdir" ] && [ "$(id -u)" -eq 0 ] && command -v ldconfig >/dev/null; then ldconfig; fi
