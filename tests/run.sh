#!/usr/bin/env bash
# Leaves the demo's daemon running in the foreground, to play with. usage: tests/run.sh BIN
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=$(cd "${1:?usage: tests/run.sh FOLDER_OF_THE_PROGRAMS}" && pwd)
DIR=target/demo
mkdir -p "$DIR"
EXTENSIONS=$PWD/.cache/duckdb
cat <<HINTS
The daemon of config/examples/demo.yaml runs until Ctrl-C. In another terminal, from this folder:

  export LAKECTL_SOCKET=$PWD/$DIR/control.sock
  $BIN/lakectl status --watch
  $BIN/lakectl health
  $BIN/lakectl query 'DESCRIBE mainnet_sim.ledgers_row_v2'
  $BIN/lakectl query 'SELECT max(sequence) FROM mainnet_sim.ledgers_row_v2'

From any DuckDB 1.5.5, in any process, while it writes:

  LOAD '$EXTENSIONS/sqlite_scanner.duckdb_extension';   -- or: INSTALL sqlite;
  LOAD '$EXTENSIONS/ducklake.duckdb_extension';         -- or: INSTALL ducklake;
  ATTACH 'ducklake:sqlite:$PWD/$DIR/lake/catalog.sqlite' AS lake (READ_ONLY); USE lake;
  SELECT type_string, count(*) FROM testnet_sim.operations_row_v2 GROUP BY ALL;

HINTS
exec "$BIN/stellar-lake" --config config/examples/demo.yaml
