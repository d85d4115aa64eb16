#!/usr/bin/env bash
# Speed, CPU, memory and size on dense and sparse ledgers against a bare zstd + XDR decode of the same ledgers.
# usage: tests/bench.sh BIN RUNS. Prints one Markdown table of medians; measures only, judges nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=$(cd "${1:?usage: tests/bench.sh FOLDER_OF_THE_PROGRAMS RUNS}" && pwd)
exec python3 tests/bench.py "$BIN" "${2:-5}" "${LAKE_SHARED:-../shared}"
