#!/usr/bin/env bash
# Speed, CPU, memory and size on dense and sparse ledgers against a bare zstd + XDR decode of the same ledgers.
# usage: tests/bench.sh BIN RUNS. Prints Markdown tables of medians: the whole, CPU by stage, CPU by table; measures
# only, judges nothing. The last needs BIN/examples/tables.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=$(cd "${1:?usage: tests/bench.sh FOLDER_OF_THE_PROGRAMS RUNS}" && pwd)
exec python3 tests/bench.py "$BIN" "${2:-5}" "${LAKE_SHARED:-../shared}"
