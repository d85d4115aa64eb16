"""Counts the instructions of each stage of the work on real ledgers and compares them with the budget.

usage: instructions.py PROGRAM LEDGERS BUDGET [--update]. PROGRAM is the example `stages`; LEDGERS the folder of the real
ledgers; BUDGET a table of kind, stage and instructions per ledger. Fails when a stage needs more than its budget allows.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Percent that a figure may differ from its budget.
TOLERANCE = 3
STAGES = ["read", "bare", "decode", "extract", "drop", "encode"]
# Kind: folder of the store, folder of the objects in it, how many of them from the oldest on.
KINDS = {
    "dense": ("pubnet", "FC3E15FF--63040000-63103999", 10),
    "sparse": ("testnet-chain", ".", 8),
}
# Freed memory is given back after a while: how often that happens would depend on the clock.
ENVIRONMENT = {"MIMALLOC_PURGE_DELAY": "-1", "RUST_BACKTRACE": "0"}


def count(program, ledgers, kind):
    """Instructions per ledger of each stage, and what the program said."""
    store, objects, most = KINDS[kind]
    # Names count down: the oldest ledgers have the last name.
    files = sorted((ledgers / store / objects).glob("*.xdr.zst"), reverse=True)[:most]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-after=stages::stage_*"]
        command += [program, ledgers / store / ".config.json", *files]
        run = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            sys.exit(f"instructions: {kind}: {' '.join(map(str, command[:4]))}... failed:\n{run.stdout}{run.stderr}")
        said = run.stdout.strip()
        worked = int(said.split()[0])
        counts = {}
        for part in Path(folder).glob("counts.*"):
            text = part.read_text(errors="replace")
            stage = re.search(r"^desc: Trigger: --dump-after=stages::stage_(\w+)$", text, re.M)
            total = re.search(r"^totals: (\d+)$", text, re.M)
            if stage and total:
                counts[stage[1]] = int(total[1]) // worked
    missing = [stage for stage in STAGES if stage not in counts]
    if missing:
        sys.exit(f"instructions: {kind}: the counts lack the stages {', '.join(missing)}; were the functions renamed?")
    return counts, said


def read(path):
    lines = [line.split("\t") for line in path.read_text().splitlines()[1:] if line]
    return {(kind, stage): int(number) for kind, stage, number in lines}


def main():
    program, ledgers, path = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    budget = read(path) if path.exists() else {}
    found, above, below = {}, [], []
    for kind in KINDS:
        counts, said = count(program, ledgers, kind)
        print(f"{kind}: {said}")
        for stage in STAGES:
            found[kind, stage] = counts[stage]
    print("\n| ledgers | stage | instructions/ledger | budget | |\n|---|---|--:|--:|--:|")
    for (kind, stage), number in found.items():
        allowed = budget.get((kind, stage))
        percent = None if allowed is None else (number / allowed - 1) * 100
        shown = ("", "none") if percent is None else (f"{allowed:,}", f"{percent:+.2f} %")
        print(f"| {kind} | {stage} | {number:,} | {shown[0]} | {shown[1]} |")
        if percent is None or percent > TOLERANCE:
            above.append(f"{kind} {stage}: {number:,} instead of {shown[0] or 'no budget'} ({shown[1]})")
        elif percent < -TOLERANCE:
            below.append(f"{kind} {stage}: {number:,} instead of {shown[0]} ({shown[1]})")
    print()
    if "--update" in sys.argv[4:]:
        rows = [f"{kind}\t{stage}\t{number}" for (kind, stage), number in found.items()]
        path.write_text("\n".join(["ledgers\tstage\tinstructions", *rows]) + "\n")
        print(f"instructions: wrote {path}")
        return
    for line in below:
        print(f"instructions: NOTE: lower the budget (make instructions UPDATE=1): {line}")
    for line in above:
        print(f"instructions: ABOVE BUDGET: {line}")
    if above:
        sys.exit(
            f"instructions: {len(above)} of {len(found)} figures are more than {TOLERANCE} % above {path.name}. Find what "
            "became slower (callgrind_annotate), or say in the commit why it is worth it and run make instructions UPDATE=1"
        )
    print(f"instructions: all {len(found)} figures within {TOLERANCE} % of their budget, or below it")


main()
