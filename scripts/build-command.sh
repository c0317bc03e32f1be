#!/bin/bash
# Builds the command-line program, with the Swift runtime inside. The compiler flags are those of build-library.sh, so that the two share what they compile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
swift build -c release --product meshnet-cli -Xswiftc -static-stdlib -Xswiftc -use-ld=lld
