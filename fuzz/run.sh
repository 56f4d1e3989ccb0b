#!/usr/bin/env bash
# Fuzzes with libFuzzer, target after target.
#
#   fuzz/run.sh SECONDS [TARGET...]     all targets when none is named
#
# Needs a nightly toolchain (FUZZ_TOOLCHAIN, `nightly` unless set), clang's or rustc's sanitizer runtime and
# cargo-fuzz (`cargo install cargo-fuzz`). The committed seeds become fuzz/corpus/TARGET, which grows from run to
# run and is not committed; what breaks a target is left in fuzz/artifacts/TARGET. One line a target at the end.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
toolchain=${FUZZ_TOOLCHAIN:-nightly}
seconds=${1:?seconds for each target}
shift
cd "$root/fuzz"
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd fuzz_targets && ls | sed 's/\.rs$//')

cargo "+$toolchain" fuzz build
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
rustc "+$toolchain" --edition 2024 -o "$tools/seeds" src/bin/seeds.rs
log=$tools/log
failed=0
for target in "${targets[@]}"; do
    "$tools/seeds" "seeds/$target.txt" "corpus/$target"
    # A hostile peer's few bytes must not become much memory, nor much time.
    if cargo "+$toolchain" fuzz run "$target" -- -max_total_time="$seconds" -max_len=20000 -rss_limit_mb=1024 \
        -malloc_limit_mb=64 -timeout=10 -print_final_stats=1 >"$log" 2>&1; then
        ended=ok
    else
        ended=FAILED
        failed=1
        tail -n 60 "$log"
    fi
    printf '%-24s %s, %s runs, %s\n' "$target" "$ended" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(grep -o 'cov: [0-9]* ft: [0-9]* corp: [0-9]*' "$log" | tail -n 1)"
done
exit $failed
