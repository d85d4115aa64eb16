#!/usr/bin/env python3
"""Prints the demo's summary from what lakectl said, and exits 1 when a figure is wrong.

usage: demo-summary.py STATUS.json SUMS.json BEFORE_KILL.json
"""
import json
import sys

status, sums, before = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:4])
sums = {row["network"]: row for row in sums}
before = {network["name"]: network["last_ledger"] or 0 for network in before["networks"]}
wrong = []


def expect(holds, what):
    if not holds:
        wrong.append(what)


columns = ("network", "ledgers", "transactions", "rows", "ledgers/s", "failed", "duplicates", "gaps", "verified")
table = [columns]
for network in status["networks"]:
    name = network["name"]
    row = sums[name]
    duplicates = (
        row["ledgers"] - row["distinct_ledgers"] + row["transactions"] - row["distinct_transactions"]
        + row["operations"] - row["distinct_operations"] + network["duplicates"]
    )
    missing = row["last"] - row["first"] + 1 - row["distinct_ledgers"]
    gaps = max(missing, network["gaps"])
    rows = row["ledgers"] + row["transactions"] + row["operations"]
    table.append((
        name, row["ledgers"], row["transactions"], rows, f"{network['ledgers_per_second']:.1f}",
        network["failed_ledgers"], duplicates, gaps, row["verified"],
    ))
    expect(row["first"] == 2, f"{name}: the first ledger is {row['first']}")
    expect(row["last"] > before[name] > 0, f"{name}: ledger {row['last']} after {before[name]} before the kill")
    expect(duplicates == 0, f"{name}: {duplicates} duplicates")
    expect(gaps == 0, f"{name}: {gaps} gaps")
    expect(network["failed_ledgers"] == 0, f"{name}: {network['failed_ledgers']} failed ledgers")
    expect(row["verified"] == row["ledgers"], f"{name}: {row['verified']} of {row['ledgers']} ledgers verified")
    expect(row["unlinked"] == 0, f"{name}: {row['unlinked']} ledgers do not link")
    expect(
        (row["transactions"], row["operations"]) == (row["named_transactions"], row["named_operations"]),
        f"{name}: the tables disagree",
    )
    expect(network["ledgers_per_second"] > 0, f"{name}: no speed")

widths = [max(len(str(row[i])) for row in table) for i in range(len(columns))]
for row in table:
    print("  " + "  ".join(str(cell).ljust(w) if i == 0 else str(cell).rjust(w) for i, (cell, w) in enumerate(zip(row, widths))))
queue = status["write_queue"]
print(
    f"  write queue: depth {queue['depth']} of {queue['capacity']}, submitted {queue['submitted']}, "
    f"written {queue['written']}, failed {queue['failed']}"
)
expect(queue["failed"] == 0, f"{queue['failed']} failed batches")
expect(queue["written"] > 0, "no batch was written")
expect(queue["submitted"] - queue["written"] <= queue["depth"] + 1, "batches are neither written nor waiting")
for what in wrong:
    print(f"  WRONG: {what}", file=sys.stderr)
sys.exit(1 if wrong else 0)
