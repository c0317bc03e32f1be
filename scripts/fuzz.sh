#!/bin/bash
# Fuzzes every parser with libFuzzer and AddressSanitizer.
#   scripts/fuzz.sh smoke          replays every regression, then a short run of each target; closes with `N passed, N failed, N skipped`
#   scripts/fuzz.sh run [TARGET]   SECONDS_EACH (default 60) of each target, or of one, growing .build/fuzz/corpus
# An input that crashes is written to .build/fuzz/found; once its bug is fixed it belongs into Tests/Fuzz/Regressions/TARGET.
# Needs nothing in Package.swift: the modules are compiled here, optimised, since a release build is what peers meet.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=.build/fuzz
smoke_runs=${SMOKE_RUNS:-10000}
seconds_each=${SECONDS_EACH:-60}
# An input may take this long and this much memory, whatever it announces.
limits=(-timeout=5 -rss_limit_mb=1024 -max_len=65536 -print_final_stats=0)

sources_of() { find "Sources/$1" -name '*.swift' | sort; }

compile() {
    local common module
    # Whole modules, with the settings of Package.swift that change the meaning of sources.
    common=(-O -whole-module-optimization -package-name meshnet -swift-version 6 -sanitize=address,fuzzer -parse-as-library
        -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault
        -enable-upcoming-feature MemberImportVisibility -I "$out" -suppress-warnings)
    for module in Sources/C*/module.modulemap; do
        common+=(-Xcc "-fmodule-map-file=$module")
    done
    for module in MeshNetProtocol MeshNetSwarm; do
        # shellcheck disable=SC2046  # a list of paths without spaces
        swiftc "${common[@]}" -emit-module -emit-module-path "$out/$module.swiftmodule" -module-name "$module" \
            -emit-object -o "$out/$module.o" $(sources_of "$module")
    done
    # shellcheck disable=SC2046
    swiftc "${common[@]}" -module-name MeshNetFuzz -o "$out/meshnet-fuzz" $(find Tests/Fuzz -name '*.swift' | sort) \
        "$out/MeshNetProtocol.o" "$out/MeshNetSwarm.o" -use-ld=lld $(pkg-config --libs libsodium libcrypto)
}

# Compiles when a source is newer than the program.
mkdir -p "$out/found"
if [ ! -x "$out/meshnet-fuzz" ] ||
    [ -n "$(find Sources/MeshNetProtocol Sources/MeshNetSwarm Tests/Fuzz/*.swift -newer "$out/meshnet-fuzz" -print -quit)" ]; then
    compile
fi

fuzz() {
    local target=$1
    shift
    mkdir -p "$out/corpus/$target"
    SWIFT_BACKTRACE=enable=no MESHNET_FUZZ_TARGET=$target "$out/meshnet-fuzz" "${limits[@]}" -artifact_prefix="$out/found/$target-" "$@"
}

# Named after their contents: writing them again changes nothing.
scripts/fuzz-seeds.py "$out/seeds"
# The folders that a target starts from.
inputs_of() { find "Tests/Fuzz/Regressions/$1" "$out/seeds/$1" -maxdepth 0 -type d 2>/dev/null || true; }
targets=$(MESHNET_FUZZ_TARGET=list "$out/meshnet-fuzz")

smoke() {
    local target passed=0 failed=0 log inputs
    # A target that must crash: if it does not, the other results mean nothing. It needs more luck than the smoke runs have.
    if fuzz canary -runs=2000000 -seed=1 >"$out/smoke-canary.log" 2>&1; then
        echo "the canary was not found: the fuzzer does not see crashes"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
        rm -f "$out"/found/canary-*
    fi
    for target in $targets; do
        log=$out/smoke-$target.log
        # The same seed each time: a smoke run that fails once fails again.
        # An empty folder comes first: libFuzzer writes what it finds there, and the run starts from the others.
        rm -rf "$out/smoke-corpus" && mkdir -p "$out/smoke-corpus"
        mapfile -t inputs < <(inputs_of "$target")
        if fuzz "$target" -runs=0 "$out/smoke-corpus" "${inputs[@]}" >"$log" 2>&1 &&
            fuzz "$target" -runs="$smoke_runs" -seed=1 "$out/smoke-corpus" "${inputs[@]}" >>"$log" 2>&1; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "not ok $target"
            tail -60 "$log"
        fi
    done
    echo "$passed passed, $failed failed, 0 skipped"
    [ "$failed" -eq 0 ]
}

case ${1:-} in
smoke) smoke ;;
run)
    for target in ${2:-$targets}; do
        mapfile -t inputs < <(inputs_of "$target")
        fuzz "$target" -max_total_time="$seconds_each" "$out/corpus/$target" "${inputs[@]}"
    done
    ;;
*)
    sed -n '2,5p' "${BASH_SOURCE[0]}"
    exit 2
    ;;
esac
