#!/usr/bin/env python3
"""The measuring of tests/bench.sh: runs the programs, reads what the kernel counted for them, prints medians.

usage: bench.py BIN RUNS SHARED; BENCH_DENSE and BENCH_SPARSE set the ledgers per run.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BIN, RUNS, SHARED = sys.argv[1], int(sys.argv[2]), sys.argv[3]
DENSE = int(os.environ.get("BENCH_DENSE", "1500"))
SPARSE = int(os.environ.get("BENCH_SPARSE", "30000"))
CHAIN = os.path.join(SHARED, "ledgers", "testnet-chain")
PUBNET = os.path.join(SHARED, "ledgers", "pubnet")
# The ten consecutive ledgers of today: what `replay` repeats.
RECENT, RECENT_FIRST, RECENT_COUNT = "FC3E15FF--63040000-63103999", 63092982, 10


def resident(pid):
    """Peak resident bytes of a process, 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def descendants(pid):
    """The process and its children."""
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
                found += [int(child) for child in children.read().split()]
    except OSError:
        pass
    return found


def run(command):
    """Output, seconds of wall clock and of CPU, and the sum of the peaks of the program and its keeper, in bytes."""
    peaks, done = {}, threading.Event()
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        def watch():
            while not done.wait(0.02):
                for pid in descendants(process.pid):
                    peaks[pid] = max(peaks.get(pid, 0), resident(pid))
        watcher = threading.Thread(target=watch)
        watcher.start()
        output = process.stdout.read()
        # wait4 counts the program and the children that it has waited for: its keeper.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begun
        done.set()
        watcher.join()
    if process.returncode:
        sys.exit(f"bench: {' '.join(command)} ended with {process.returncode}")
    return output.decode(), wall, usage.ru_utime + usage.ru_stime, max(sum(peaks.values()), usage.ru_maxrss * 1024)


def size(folder):
    return sum(
        os.path.getsize(os.path.join(base, name))
        for base, _, names in os.walk(os.path.join(folder, "data"))
        for name in names
    )


def ingest(work, arguments):
    lake = os.path.join(work, "lake")
    shutil.rmtree(lake, ignore_errors=True)
    output, _, cpu, peak = run([f"{BIN}/stellar-lake", "ingest", "--json", "--lake", lake] + arguments)
    summary = json.loads(output)
    ledgers = summary["ledgers"]
    stages = {stage: seconds / ledgers for stage, seconds in summary["cpu_seconds"].items()}
    figures = {
        "ledgers": ledgers,
        "rows": summary["rows"] / ledgers,
        # What no stage counted: reading and unpacking, the runtime, the keeper, start and end.
        **stages, "rest": cpu / ledgers - sum(stages.values()),
        "rate": summary["ledgers_per_second"],
        "cpu": cpu / ledgers,
        "peak": peak,
        "bytes": size(lake) / ledgers,
    }
    shutil.rmtree(lake, ignore_errors=True)
    return figures


def bare(folder, repeat):
    """CPU-seconds per ledger of the bare decode on one core, its start taken off, and its ledgers per second."""
    command = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    command += [f"{BIN}/stellar-lake", "bare-decode", folder]
    _, _, idle, _ = run(command + ["--repeat", "0"])
    output, wall, cpu, _ = run(command + ["--repeat", str(repeat)])
    ledgers = int(output)
    return {"cpu": (cpu - idle) / ledgers, "rate": ledgers / wall}


def export(work):
    """The ten recent mainnet ledgers alone, for the bare decode of what `replay` repeats."""
    folder = os.path.join(work, "recent")
    os.makedirs(folder)
    os.symlink(os.path.abspath(os.path.join(PUBNET, RECENT)), os.path.join(folder, RECENT))
    shutil.copy(os.path.join(PUBNET, ".config.json"), folder)
    return folder


def by_table(folder):
    """CPU of each table's extraction, by the program that measures it."""
    program = os.path.join(BIN, "examples", "tables")
    if not os.path.exists(program):
        print(f"*** SKIPPED: by table: {program} is not built", file=sys.stderr)
        return
    print(f"\nCPU by table, {os.path.basename(folder)} ledgers of mainnet:\n", flush=True)
    print(run([program, folder])[0], end="")


STAGES = ["decode_verify", "extract", "encode", "commit", "rest"]


def main():
    work = tempfile.mkdtemp(prefix="sl-bench-")
    passphrase = ["--passphrase", "Simulated network of the benchmark"]
    rows = [
        ("dense, simulated", passphrase + ["--network", "sim", "--source", "simulated:dense", "--from", "2",
                                           "--to", str(DENSE + 1)], None),
        ("sparse, simulated", passphrase + ["--network", "sim", "--source", "simulated:sparse", "--from", "2",
                                            "--to", str(SPARSE + 1)], None),
    ]
    if os.path.isdir(CHAIN):
        last = RECENT_FIRST + DENSE - 1
        rows += [
            ("dense, mainnet 63092982.. repeated", ["--network", "mainnet", "--source", f"replay:{export(work)}",
             "--from", str(RECENT_FIRST), "--to", str(last)], (os.path.join(work, "recent"), max(1, DENSE // 10))),
            ("sparse, testnet 2..10047", ["--network", "testnet", "--source", CHAIN], (CHAIN, 5)),
        ]
    else:
        print(f"*** SKIPPED: real ledgers: {CHAIN} is not there; set LAKE_SHARED", file=sys.stderr)
    print(f"{os.cpu_count()} cores; medians of {RUNS} runs; CPU and memory include the keeper; bytes are those of the "
          "Parquet files\n")
    stages = []
    print("| ledgers | per run | ledgers/s | rows/s | CPU ms/ledger | peak MiB | bytes/ledger | bare decode CPU ms/ledger | "
          "CPU / bare | ledgers/s / bare |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    try:
        for name, arguments, yardstick in rows:
            runs, bares = [], []
            # The yardstick beside each run: both see the same machine.
            for _ in range(RUNS):
                runs.append(ingest(work, arguments))
                if yardstick:
                    bares.append(bare(*yardstick))
            median = lambda key, of=runs: statistics.median(each[key] for each in of)
            cells = [name, runs[0]["ledgers"], f"{median('rate'):.0f}",
                     f"{median('rate') * median('rows'):.0f}", f"{median('cpu') * 1e3:.3f}",
                     f"{median('peak') / 2**20:.0f}", f"{median('bytes'):.0f}"]
            if yardstick:
                cpu = statistics.median(r["cpu"] / b["cpu"] for r, b in zip(runs, bares))
                rate = statistics.median(r["rate"] / b["rate"] for r, b in zip(runs, bares))
                cells += [f"{median('cpu', bares) * 1e3:.3f}", f"{cpu:.2f}", f"{rate:.2f}"]
            else:
                cells += ["", "", ""]
            print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
            stages.append([name, f"{median('rows'):.0f}"] + [f"{median(stage) * 1e3:.3f}" for stage in STAGES]
                          + [f"{median('cpu') * 1e3:.3f}", f"{median('cpu', bares) * 1e3:.3f}" if bares else ""])
        print("\nCPU ms per ledger by stage; the rest is reading and unpacking, the runtime, the keeper, start and end\n")
        print("| ledgers | rows/ledger | decode and verify | extract | encode | commit | rest | all | bare decode |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
        for cells in stages:
            print("| " + " | ".join(cells) + " |")
        if os.path.isdir(CHAIN):
            by_table(os.path.join(work, "recent"))
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
