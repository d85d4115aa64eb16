#!/usr/bin/env bash
# The demo: two simulated networks followed live, queried, read by another process, killed and started again.
# usage: tests/demo.sh BIN. Exits non-zero when any figure at the end is wrong.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=$(cd "${1:?usage: tests/demo.sh FOLDER_OF_THE_PROGRAMS}" && pwd)
CONFIG=config/examples/demo.yaml
DIR=target/demo
SOCKET=$DIR/control.sock
daemon= reader=

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { echo "demo: $*" >&2; [ ! -f "$DIR/daemon.log" ] || tail -n 20 "$DIR/daemon.log" >&2; exit 1; }
ctl() { "$BIN/lakectl" --socket "$SOCKET" "$@"; }
# Ends only what this script started, by process id.
cleanup() {
  [ -z "$reader" ] || kill "$reader" 2>/dev/null || true
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  wait 2>/dev/null || true
}
trap cleanup EXIT

# poll SECONDS WHAT COMMAND...: asks again and again until the command succeeds.
poll() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@"; do
    kill -0 "$daemon" 2>/dev/null || fail "the daemon ended while waiting until $what"
    [ "$SECONDS" -lt "$end" ] || fail "not in time: $what"
    sleep 0.1
  done
}

start() {
  "$BIN/stellar-lake" --config "$CONFIG" >>"$DIR/daemon.log" 2>&1 9>&- &
  daemon=$!
  poll 40 "the daemon answers" answers
}
answers() { ctl status --output json >"$DIR/status.json" 2>/dev/null; }
# grown BEFORE.json LEDGERS: every network has so many ledgers more than it had then.
grown() {
  answers && python3 - "$1" "$DIR/status.json" "$2" <<'PY'
import json, sys
old = json.load(open(sys.argv[1])) if sys.argv[1] else {"networks": []}
old = {n["name"]: n["last_ledger"] or 0 for n in old["networks"]}
new = json.load(open(sys.argv[2]))["networks"]
sys.exit(any((n["last_ledger"] or 0) < old.get(n["name"], 0) + int(sys.argv[3]) for n in new))
PY
}
# Figures of all networks over everything in the lake, as JSON.
sums() {
  local sql='' name
  for name in $(python3 -c 'import json,sys; print(*[n["name"] for n in json.load(open(sys.argv[1]))["networks"]])' "$DIR/status.json"); do
    sql+="${sql:+ UNION ALL }SELECT '$name' AS network,
      (SELECT count(*) FROM $name.ledgers_row_v2) AS ledgers,
      (SELECT count(DISTINCT sequence) FROM $name.ledgers_row_v2) AS distinct_ledgers,
      (SELECT min(sequence) FROM $name.ledgers_row_v2) AS first,
      (SELECT max(sequence) FROM $name.ledgers_row_v2) AS last,
      (SELECT CAST(sum(transaction_count) AS BIGINT) FROM $name.ledgers_row_v2) AS named_transactions,
      (SELECT count(*) FROM $name.transactions_row_v2) AS transactions,
      (SELECT count(DISTINCT transaction_hash) FROM $name.transactions_row_v2) AS distinct_transactions,
      (SELECT CAST(sum(operation_count) AS BIGINT) FROM $name.transactions_row_v2) AS named_operations,
      (SELECT count(*) FROM $name.operations_row_v2) AS operations,
      (SELECT count(DISTINCT operation_id) FROM $name.operations_row_v2) AS distinct_operations,
      (SELECT CAST(sum(CAST(json_extract_string(verification, '\$.passed') AS BIGINT)) AS BIGINT)
         FROM $name._lineage WHERE kind = 'ingest') AS verified,
      (SELECT count(*) FROM (SELECT previous_ledger_hash AS p, lag(ledger_hash) OVER (ORDER BY sequence) AS h
         FROM $name.ledgers_row_v2) WHERE p <> h) AS unlinked"
  done
  ctl query --format json "$sql"
}

for program in stellar-lake stellar-lake-keeper lakectl lake-reader; do
  [ -x "$BIN/$program" ] || { echo "demo: $BIN/$program is missing: run \`make build\`" >&2; exit 1; }
done
! ctl status >/dev/null 2>&1 || { echo "demo: a daemon already answers on $SOCKET: stop it first" >&2; exit 1; }
rm -rf "$DIR"; mkdir -p "$DIR"

say "A daemon follows two simulated networks: $CONFIG"
start
poll 30 "both networks are in the lake" grown '' 60
ctl status

say "SQL while it writes: lakectl query"
echo '-- the newest ledgers of both networks'
ctl query "(SELECT 'mainnet_sim' AS network, sequence, closed_at, transaction_count, operation_count FROM mainnet_sim.ledgers_row_v2 ORDER BY sequence DESC LIMIT 2)
  UNION ALL (SELECT 'testnet_sim', sequence, closed_at, transaction_count, operation_count FROM testnet_sim.ledgers_row_v2 ORDER BY sequence DESC LIMIT 2)"
echo '-- what people do'
ctl query "SELECT type_string, count(*) AS operations, count(*) FILTER (WHERE transaction_successful) AS successful
  FROM mainnet_sim.operations_row_v2 GROUP BY ALL ORDER BY operations DESC LIMIT 6"
echo '-- a join over three tables'
ctl query "SELECT l.sequence, count(DISTINCT t.transaction_hash) AS transactions, count(*) AS payments, sum(o.amount) / 1e7 AS amount
  FROM mainnet_sim.ledgers_row_v2 l JOIN mainnet_sim.transactions_row_v2 t ON t.ledger_sequence = l.sequence
  JOIN mainnet_sim.operations_row_v2 o ON o.transaction_hash = t.transaction_hash
  WHERE o.type_string = 'payment' AND t.successful GROUP BY 1 ORDER BY 1 DESC LIMIT 3"

say "Another process reads the same files by DuckDB alone, without the daemon"
"$BIN/lake-reader" "$DIR/lake"
# It goes on reading while the daemon is killed and started again, until its standard input ends.
mkfifo "$DIR/reader.stdin"
"$BIN/lake-reader" "$DIR/lake" --until-stdin-closes <"$DIR/reader.stdin" >"$DIR/reader.log" 2>&1 &
reader=$!
exec 9>"$DIR/reader.stdin"

say "SIGKILL in the middle"
answers || fail "no status"
cp "$DIR/status.json" "$DIR/before.json"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null || true
echo "daemon $daemon is dead; the lake is whole without it:"
"$BIN/lake-reader" "$DIR/lake" || fail "the lake is torn"

say "Started again: it goes on at the next ledger"
start
poll 60 "both networks have grown" grown "$DIR/before.json" 100
exec 9>&-
wait "$reader" || { cat "$DIR/reader.log" >&2; reader=; fail "the reader that ran all the time failed"; }
reader=
echo "the process that read all the time: $(cat "$DIR/reader.log")"

say "Summary"
answers || fail "no status"
sums >"$DIR/sums.json"
python3 tests/demo-summary.py "$DIR/status.json" "$DIR/sums.json" "$DIR/before.json" || fail "a figure is wrong"
kill -TERM "$daemon"
wait "$daemon" || fail "SIGTERM did not end the daemon well"
daemon=
"$BIN/lake-reader" "$DIR/lake" >/dev/null || fail "the lake cannot be read with the daemon stopped"
echo; echo "demo: all as it should be, in ${SECONDS}s; the lake is in $DIR/lake"
