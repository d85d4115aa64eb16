#!/usr/bin/env bash
# Instructions that each stage of the work costs on real ledgers, against the budget in tests/instructions.tsv.
# usage: tests/instructions.sh BIN [UPDATE]. Needs BIN/examples/stages, valgrind and the real ledgers; says loudly when it
# has to skip. Unlike times, counts do not depend on what else the machine does.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=$(cd "${1:?usage: tests/instructions.sh FOLDER_OF_THE_PROGRAMS [UPDATE]}" && pwd)
LEDGERS=${LAKE_SHARED:-../shared}/ledgers

skip() {
  printf '\nSKIPPED: no instructions were counted: %s\n\n' "$*" >&2
  exit 0
}
command -v valgrind >/dev/null || skip "valgrind is missing (apt-get install valgrind)"
[ -d "$LEDGERS/pubnet" ] || skip "the real ledgers are missing: $LEDGERS/pubnet; set LAKE_SHARED"

exec python3 tests/instructions.py "$BIN/examples/stages" "$LEDGERS" tests/instructions.tsv ${2:+--update}
