#!/bin/bash
# Installs what building and testing need and what is not there yet: Debian packages, a private Python environment in
# .build/venv, and the go-libp2p daemon in .build/peers. Running it again is quick and changes nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.build/venv
peers=.build/peers
# The wheel ships the daemon as a plain executable; nothing of its Python is installed.
go_peer_wheel=hivemind==1.1.12

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Debian packages that are absent, as words.
missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

install_packages() {
    local wanted
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    command -v apt-get >/dev/null || fail "install these by hand, apt-get is not here: $wanted"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "run as root, or install sudo, or install by hand: $wanted"
        as_root=(sudo)
    fi
    say "installing $wanted"
    "${as_root[@]}" apt-get update -qq >&2
    # shellcheck disable=SC2086  # a list of words
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted >&2
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.10; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python of 3.10 or later was found; name one in PYTHON"
}

command -v swift >/dev/null || fail "the Swift toolchain (6.3 or later) is not on PATH"
command -v gcc >/dev/null || install_packages gcc libc6-dev
command -v g++ >/dev/null || install_packages g++
command -v nm >/dev/null || install_packages binutils
install_packages libsodium-dev libssl-dev libc-ares-dev libcurl4-openssl-dev libjansson-dev libsqlite3-dev pkg-config valgrind
# Several hosts on one machine, for the tests. dnsmasq-base: without a service that would take port 53 of this machine.
install_packages iproute2 nftables dnsmasq-base dbus avahi-daemon avahi-utils

python=$(find_python)
"$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' \
    || install_packages python3-dev

# The stamp names everything the environment was made from, so that a change of any of it makes it anew.
stamp=$venv/.made-from
made_from="$("$python" -c 'import sys; print(sys.executable, sys.version)') $(sha256sum <scripts/requirements-test.txt)"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$made_from" ]; then
    say "making the Python environment $venv"
    rm -rf "$venv"
    mkdir -p .build
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r scripts/requirements-test.txt
    printf '%s\n' "$made_from" >"$stamp"
fi

if [ ! -x "$peers/p2pd" ] && [ "$(uname -m)" = x86_64 ]; then
    say "fetching the go-libp2p daemon"
    mkdir -p "$peers"
    download=$(mktemp -d)
    trap 'rm -rf "$download"' EXIT
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d "$download" "$go_peer_wheel"
    "$venv/bin/python" - "$download" "$peers/p2pd" <<'PY'
import glob, os, sys, zipfile
folder, target = sys.argv[1:]
wheel, = glob.glob(folder + "/*.whl")
with zipfile.ZipFile(wheel) as archive, open(target + ".part", "wb") as out:
    out.write(archive.read("hivemind/hivemind_cli/p2pd"))
os.chmod(target + ".part", 0o755)
os.rename(target + ".part", target)
PY
fi
