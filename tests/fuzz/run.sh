#!/usr/bin/env bash
# run.sh SECONDS: builds the fuzz target with coverage counters, on stable Rust, and runs it on the corpus for so long.
# run.sh corpus: makes the corpus anew, as small as coverage allows: from the simulator and from what past runs found.
# New inputs are kept in the target folder; an input that fails is named at the end, `run.sh FILE` runs it again.
set -euo pipefail
SHORTEST=150
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-$PWD/../../target}/fuzz
host=$(rustc --print host-tuple)
flags=(-Cpasses=sancov-module --cfg fuzzing)
for option in -level=4 -inline-8bit-counters -pc-table -trace-compares; do
  flags+=("-Cllvm-args=-sanitizer-coverage$option")
done
# With --target the flags spare build scripts and macros, which have no counters to link with.
RUSTFLAGS="${flags[*]}" CARGO_TARGET_DIR=$target cargo build --release --target "$host"
fuzz=$target/$host/release/ledger
mkdir -p "$target/corpus" "$target/found"
# As the daemon's workers: 2 MiB of stack. An input may take 10 seconds, 512 MiB (the allocator's bound; the rest is the
# fuzzer's own) and 64 KiB of XDR.
ulimit -s 2048
limits=(-timeout=10 -rss_limit_mb=1024 -max_len=65536 -artifact_prefix="$target/found/")

case ${1:?SECONDS, corpus or the path of an input} in
  corpus)
    seeds=$(mktemp -d "$target/seeds.XXXX")
    merged=$(mktemp -d "$target/merged.XXXX")
    merge=("$fuzz" -set_cover_merge=1 -use_counters=0 "${limits[@]}")
    LAKE_FUZZ_SEEDS=$seeds "$fuzz"
    "${merge[@]}" "$merged" "$seeds" 2>&1 | tail -n 1
    rm -rf corpus && mkdir corpus && cp "$merged"/* corpus/
    # Of what was found only the shortest: the corpus is a start, and it is in everybody's checkout.
    "${merge[@]}" "$merged" "$target/corpus" 2>&1 | tail -n 1
    find "$merged" -type f -printf '%s %p\n' | sort -n | awk -v n="$SHORTEST" 'NR <= n { print $2 }' | xargs cp -t corpus
    rm -r "$seeds" "$merged"
    echo "$(ls corpus | wc -l) inputs, $(du -sb corpus | cut -f1) bytes"
    ;;
  *[!0-9]*) "$fuzz" "${limits[@]}" "$1" ;;
  *)
    log=$target/log
    status=0
    "$fuzz" "${limits[@]}" -max_total_time="$1" -print_final_stats=1 "$target/corpus" corpus >"$log" 2>&1 || status=$?
    last=$(grep -E '^#[0-9]+' "$log" | tail -n 1)
    if [ $status != 0 ]; then
      tail -n 40 "$log" >&2
      echo "fuzz: FAILED; the input is named above, tests/fuzz/run.sh FILE runs it again" >&2
      exit $status
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    echo "fuzz: $runs runs in $1 s without a failure; ${last#*	}; peak memory $peak MiB"
    ;;
esac
