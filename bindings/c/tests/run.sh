#!/usr/bin/env bash
# Tests the C interface: the header alone, the symbols, an installation, and the library by programs in C, also under valgrind.
# Prints "ok NAME" or "not ok NAME" for each test and closes with "N passed, N failed, N skipped". Needs .build/lib (scripts/build-library.sh).
set -uo pipefail
cd "$(dirname "$0")/../../.."

# Nodes of tests must not meet strangers; tests of discovery say which modes they want.
export MESHNET_DISCOVERY_MODE=none
library=$PWD/.build/lib
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0
warnings=(-Wall -Wextra -Wpedantic -Werror)
programs=(errors keys node discovery messages channel streams started threads)
# Under valgrind all but the test that starts 65,536 calls and those of time, which `threads` holds.
checked=(errors keys node discovery messages channel streams)
seconds_max=180

report() { # STATUS NAME
    if [ "$1" = 0 ]; then echo "ok $2"; passed=$((passed + 1)); else echo "not ok $2"; failed=$((failed + 1)); fi
}

skip() { # NAME REASON
    echo "skipped: $1: $2"; skipped=$((skipped + 1))
}

show() { sed 's/^/# /' "$1"; }

# Runs a program that prints one line for each test, and counts them. An end by a signal, or without any test, is a failure of its own.
run_program() { # NAME COMMAND…
    local name=$1 status ok bad; shift
    timeout "$seconds_max" "$@" > "$work/log" 2>&1; status=$?
    sed "s/^\(ok\|not ok\) /\1 $name: /" "$work/log"
    ok=$(grep -c '^ok ' "$work/log"); bad=$(grep -c '^not ok ' "$work/log")
    passed=$((passed + ok)); failed=$((failed + bad))
    if { [ "$status" != 0 ] && [ "$bad" = 0 ]; } || [ "$((ok + bad))" = 0 ]; then
        echo "# $name ended with status $status"
        report 1 "$name: ends well"
    fi
}

[ -f "$library/libmeshnet.so" ] || { echo "no $library/libmeshnet.so: run make lib"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }

# ---- The header alone ----
printf '#include <meshnet.h>\n#include <meshnet.h>\nint main(void) { return MESHNET_OK; }\n' > "$work/header.c"
cp "$work/header.c" "$work/header.cpp"
for standard in c99 c11 c17; do
    gcc -std=$standard "${warnings[@]}" -Wstrict-prototypes -Iinclude -c "$work/header.c" -o "$work/header.o" 2> "$work/log"
    report $? "header: $standard"; show "$work/log"
done
for standard in c++11 c++17; do
    g++ -std=$standard "${warnings[@]}" -Iinclude -c "$work/header.cpp" -o "$work/header.o" 2> "$work/log"
    report $? "header: $standard"; show "$work/log"
done

# ---- Symbols: declared, exported, listed ----
declared=$(grep -oE '\bmeshnet_[a-z0-9_]+\(' include/meshnet.h | tr -d '(' | sort -u)
exported=$(nm -D --extern-only --defined-only "$library/libmeshnet.so" | awk '{print $3}' | sort -u)
listed=$(grep -v '^#' bindings/c/symbols.txt | cut -d ' ' -f 1)
diff <(echo "$declared") <(echo "$exported") > "$work/log"; report $? "symbols: the header declares what the library exports"; show "$work/log"
diff <(echo "$declared") <(echo "$listed") > "$work/log"; report $? "symbols: each has its version in symbols.txt, in order"; show "$work/log"
! grep -v '^#' bindings/c/symbols.txt | grep -vE '^meshnet_[a-z0-9_]+ [0-9]+\.[0-9]+$'; report $? "symbols: each line has a name and a version"

# Each declaration is preceded by a comment that says whether it blocks and since when; a row of twins shares one.
awk '/Since [0-9]+\.[0-9]+\./ { documented = 1 } /^MESHNET_API/ && !documented { print; bad = 1 } /^$/ { documented = 0 }
    END { exit bad }' include/meshnet.h > "$work/log"
report $? "header: every function says since when it is there"; show "$work/log"

# ---- The library, by programs ----
sed -n '/^enum meshnet_error {/,/^};/s/^ *\(MESHNET_[A-Z_]*\) = .*/CODE(\1)/p' include/meshnet.h > "$work/codes.h"
# Each enum whose numbers have names: the function is called as the enum.
awk 'BEGIN {
        names = "event_type EVENT disconnect_cause DISCONNECT dial_cause DIAL discovery_source SOURCE source_state SOURCE_STATE"
        names = names " source_failure SOURCE_FAILURE discovery_filter FILTER entry_state ENTRY diagnosis_cause CAUSE"
        names = names " lane LANE channel_change CHANNEL channel_state CHANNEL_STATE storage_problem STORAGE"
        count = split(names, pairs, " ")
        for (i = 1; i < count; i += 2) prefix[pairs[i]] = "MESHNET_" pairs[i + 1] "_"
    }
    /^enum meshnet_[a-z_]+ \{/ { kind = substr($2, 9) }
    /^    MESHNET_[A-Z_0-9]+ = / && kind in prefix { printf "NAMED(%s, %s, \"%s\")\n", kind, $1, prefix[kind] }' include/meshnet.h > "$work/names.h"
build() { # SOURCE OUTPUT
    gcc -std=c11 -D_GNU_SOURCE -g -O1 "${warnings[@]}" -pthread -Iinclude -I"$work" "$1" -L"$library" -Wl,-rpath,"$library" -lmeshnet -o "$2" 2> "$work/log"
    local status=$?
    [ $status = 0 ] || { report 1 "build $1"; show "$work/log"; }
    return $status
}
for program in "${programs[@]}"; do
    build "bindings/c/tests/$program.c" "$work/$program" && run_program "$program" "$work/$program"
done

# ---- The examples ----
for example in hello node discover channel; do build "bindings/c/examples/$example.c" "$work/example-$example"; done
[ "$(timeout 30 "$work/example-hello")" = "news: hello" ]; report $? "examples: hello says hello"
"$work/example-discover" 1 /ip4/127.0.0.1/tcp/1 > "$work/log" 2>&1 && grep -q '^refused: ' "$work/log"
report $? "examples: discover says why nobody answers"; show "$work/log"
"$work/example-channel" > "$work/listening" 2>&1 & listener=$!
for _ in $(seq 100); do [ -s "$work/listening" ] && break; sleep 0.05; done
read -r peer address < "$work/listening"
[ "$(timeout 30 "$work/example-channel" "$peer" "$address" "how long?" 2> "$work/log")" = "9 bytes" ] && grep -q '^how long?$' "$work/listening"
report $? "examples: channel sends, and gets a reply"; show "$work/log"
kill "$listener"; wait "$listener" 2> /dev/null
mkfifo "$work/until"
sleep 60 > "$work/until" & holder=$!
"$work/example-node" --name one --count 5 --peers 1 < "$work/until" > "$work/one" 2>&1 & one=$!
port=
for _ in $(seq 100); do
    port=$(sed -n 's/.*"event":"listening".*\/ip4\/127.0.0.1\/tcp\/\([0-9]*\)".*/\1/p' "$work/one" | head -n 1)
    [ -n "$port" ] && break
    sleep 0.05
done
"$work/example-node" --name two --count 5 --peers 1 --bootstrap "/ip4/127.0.0.1/tcp/$port" < "$work/until" > "$work/two" 2>&1 & two=$!
for _ in $(seq 400); do
    grep -q '"event":"done"' "$work/one" && grep -q '"event":"done"' "$work/two" && break
    sleep 0.05
done
kill "$holder" 2> /dev/null; wait "$holder" 2> /dev/null
wait "$one"; status_one=$?
wait "$two"; status_two=$?
[ "$status_one$status_two" = 00 ]; status=$?
report $status "examples: two nodes talk"; [ $status = 0 ] || { show "$work/one"; show "$work/two"; }
python3 -c 'import json, sys; [json.loads(line) for path in sys.argv[1:] for line in open(path)]' "$work/one" "$work/two" 2> "$work/log"
report $? "examples: the timeline is JSON lines"; show "$work/log"

# ---- An installation ----
scripts/install.sh "$work/root" /usr/local > "$work/log" 2>&1; report $? "install: into DESTDIR"; show "$work/log"
if command -v pkg-config > /dev/null; then
    export PKG_CONFIG_PATH="$work/root/usr/local/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$work/root"
    # shellcheck disable=SC2046
    gcc -std=c11 "${warnings[@]}" bindings/c/examples/hello.c $(pkg-config --cflags --libs meshnet) -o "$work/installed" 2> "$work/log"
    report $? "install: hello.c compiles by pkg-config"; show "$work/log"
    [ "$(LD_LIBRARY_PATH="$work/root/usr/local/lib" timeout 30 "$work/installed")" = "news: hello" ]; report $? "install: and runs"
    [ "$(pkg-config --modversion meshnet)" = "$(sed -n 's/^#define MESHNET_VERSION_TEXT "\(.*\)"$/\1/p' include/meshnet.h)" ]
    report $? "install: pkg-config knows the version"
else
    skip "install" "no pkg-config here"
fi

# ---- Under valgrind ----
if command -v valgrind > /dev/null; then
    for program in "${checked[@]}"; do
        MESHNET_SLOW=1 run_program "valgrind $program" valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect \
            --errors-for-leak-kinds=definite,indirect --suppressions=bindings/c/tests/valgrind.supp --error-exitcode=9 "$work/$program"
    done
else
    skip "valgrind" "not installed"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
