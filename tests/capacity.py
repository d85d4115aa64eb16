#!/usr/bin/env python3
"""How long 60 million ledgers of mainnet take on how many cores, from the figures of `make bench`.

usage: capacity.py BENCH_JSON [PAGE]; prints the tables, or puts them into PAGE between its markers.
"""
import json
import sys

BENCH, PAGE = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
BEGIN, END = "<!-- tables: made by tests/capacity.py -->", "<!-- end of tables -->"
LEDGERS = 60_000_000
CORES = [2, 8, 16, 32, 64]
# What a commit of a backfill holds at most: one 10,000-ledger range, or the XDR of backfill.chunk_size.
RANGE, CHUNK_BYTES = 10_000, 640 << 20
# XDR of a byte of an object, as the recent ledgers are packed: how many fit into a chunk.
UNPACKED = 8.0
# Memory: what the process takes before it works, per working thread, and per open chunk of dense ledgers, in GiB.
BASE, PER_THREAD, PER_CHUNK = 0.35, 0.12, 0.064
# Objects are read with a round trip each, so many at once for each worker.
LATENCY, AT_ONCE = 0.04, 32


def spans(measured):
    """The newest LEDGERS ledgers, each given to the nearest ledger that was measured."""
    last = measured[-1]["first"] + measured[-1]["count"] - 1
    first, out = last - LEDGERS + 1, []
    for index, era in enumerate(measured):
        begin = first if index == 0 else (measured[index - 1]["first"] + era["first"]) // 2 + 1
        end = last if index + 1 == len(measured) else (era["first"] + measured[index + 1]["first"]) // 2
        out.append((max(begin, first), end, era))
    return [(begin, end, era) for begin, end, era in out if end >= begin]


def limits(era, cores, commit):
    """Ledgers per second that cores and the one committer allow."""
    chunk = min(RANGE, CHUNK_BYTES / (era["packed"] * UNPACKED))
    return {"CPU": cores / era["cpu"], "committer": chunk / commit}


def hours(parts, cores, commit):
    """Hours for all parts, and what binds for how many of them."""
    total, bound = 0.0, {}
    for begin, end, era in parts:
        name, rate = min(limits(era, cores, commit).items(), key=lambda limit: limit[1])
        took = (end - begin + 1) / rate / 3600
        total += took
        bound[name] = bound.get(name, 0.0) + took
    return total, max(bound, key=bound.get)


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|---" + "|--:" * (len(head) - 1) + "|"
    yield from ("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def time(of):
    return f"{of:.0f} h" if of < 96 else f"{of / 24:.0f} days"


def tables(figures):
    dense = dict(figures["dense"], first=63_092_982, count=10)
    stored_of = dense["bytes_once"] / dense["packed"]
    for era in figures["eras"] + [dense]:
        era["bytes"] = era["packed"] * stored_of
    parts = spans(figures["eras"] + [dense])
    commit = dense["commit_seconds"]
    yield from ["### Inputs", "", f"Measured on {figures['cores']} cores. A commit takes the committer {commit:.2f} s.", ""]
    yield from table(["ledgers", "as measured at", "million", "CPU ms/ledger", "source bytes/ledger", "Parquet bytes/ledger"], [
        [f"{begin:,}..{end:,}", f"{era['first']:,}", f"{(end - begin + 1) / 1e6:.1f}", f"{era['cpu'] * 1e3:.2f}",
         f"{era['packed']:,.0f}", f"{era['bytes']:,.0f}"] for begin, end, era in parts])
    packed, stored, cpu = (sum((end - begin + 1) * era[key] for begin, end, era in parts)
                           for key in ("packed", "bytes", "cpu"))
    yield from ["", f"In all {packed / 1e12:.1f} TB are read, {stored / 1e12:.1f} TB of Parquet written and {cpu / 3600:,.0f} hours of "
                "one core worked.", "", f"### {LEDGERS // 10**6} million ledgers", ""]
    head = ["cores", "time", "bound by", "ledgers/s, mean", "read MB/s, most", "written MB/s, most", "workers for 40 ms/object",
            "memory GiB", "all as dense as today", "bound by"]
    rows = []
    for cores in CORES:
        took, bound = hours(parts, cores, commit)
        rates = [(min(limits(era, cores, commit).values()), era) for _, _, era in parts]
        fetch = max(rate for rate, _ in rates) * LATENCY / AT_ONCE
        same = [(1, LEDGERS, dense)]
        worst, worst_bound = hours(same, cores, commit)
        rows.append([cores, time(took), bound, f"{LEDGERS / took / 3600:,.0f}",
                     f"{max(rate * era['packed'] for rate, era in rates) / 1e6:,.0f}",
                     f"{max(rate * era['bytes'] for rate, era in rates) / 1e6:,.0f}", max(cores, round(fetch + 0.5)),
                     f"{BASE + cores * (PER_THREAD + 2 * PER_CHUNK):.1f}", time(worst), worst_bound])
    yield from table(head, rows)


def main():
    with open(BENCH, encoding="ascii") as file:
        lines = list(tables(json.load(file)))
    if PAGE is None:
        print("\n".join(lines))
        return
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write("\n".join([before + BEGIN, "", *lines, "", END]) + after)


main()
