#!/usr/bin/env bash
# install.sh DESTDIR PREFIX: header, library, pkg-config file, licence, and the command where it was built. DESTDIR may be empty.
set -euo pipefail
cd "$(dirname "$0")/.."

destination=${1-}
prefix=${2:-/usr/local}
case $prefix in /*) ;; *) echo "PREFIX must be an absolute path, and is '$prefix'" >&2; exit 2 ;; esac

version=$(sed -n 's/^#define MESHNET_VERSION_TEXT "\(.*\)"$/\1/p' include/meshnet.h)
soname=$(basename "$(readlink -f .build/lib/libmeshnet.so)")
[ -f ".build/lib/$soname" ] || { echo "nothing is built: run make lib" >&2; exit 1; }
root=$destination$prefix

install -d "$root/include" "$root/lib/pkgconfig"
install -m 644 include/meshnet.h "$root/include/meshnet.h"
install -m 644 ".build/lib/$soname" "$root/lib/$soname"
ln -sf "$soname" "$root/lib/libmeshnet.so"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" packaging/meshnet.pc.in > "$root/lib/pkgconfig/meshnet.pc"
chmod 644 "$root/lib/pkgconfig/meshnet.pc"
if [ -x .build/release/meshnet-cli ]; then
    install -d "$root/bin"
    install -m 755 .build/release/meshnet-cli "$root/bin/meshnet"
fi
if [ -f LICENSE ]; then
    install -d "$root/share/doc/meshnet"
    install -m 644 LICENSE "$root/share/doc/meshnet/LICENSE"
fi
# The loader finds a new library in a system folder only after this.
if [ -z "$destination" ] && [ "$(id -u)" = 0 ]; then ldconfig; fi
echo "installed meshnet $version under $root"
