#!/usr/bin/env python3
"""The measuring of tests/bench.sh: runs the programs, reads what the kernel counted for them, prints medians.

usage: bench.py BIN RUNS SHARED; BENCH_DENSE, BENCH_SPARSE and BENCH_ERAS set the ledgers per run. What was measured is also
written to BIN/bench.json, for tests/capacity.py.
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
DENSE = int(os.environ.get("BENCH_DENSE", "4800"))
SPARSE = int(os.environ.get("BENCH_SPARSE", "30000"))
# Repetitions of each of the largest of the older mainnet ledgers; smaller ones are repeated more often.
ERAS = int(os.environ.get("BENCH_ERAS", "150"))
LARGEST = 120_000
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


def ingest(work, arguments, prefix=()):
    lake = os.path.join(work, "lake")
    shutil.rmtree(lake, ignore_errors=True)
    command = [*prefix, f"{BIN}/stellar-lake", "ingest", "--json", "--lake", lake]
    output, _, cpu, peak = run(command + arguments)
    summary = json.loads(output)
    ledgers = summary["ledgers"]
    stages = {stage: seconds / ledgers for stage, seconds in summary["cpu_seconds"].items()}
    took = summary["took_ms"] / 1e3
    figures = {
        "ledgers": ledgers,
        "rows": summary["rows"] / ledgers,
        # What no stage counted: reading and unpacking, the runtime, the keeper, start and end.
        **stages, "rest": cpu / ledgers - sum(stages.values()),
        "rate": ledgers / took,
        "cpu": cpu / ledgers,
        "peak": peak,
        "bytes": size(lake) / ledgers,
        "commits": summary["batches"],
        "commit_seconds": summary["average_write_ms"] / 1e3,
        "committer_share": summary["average_write_ms"] / 1e3 * summary["batches"] / took,
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


def bare_together(folder, repeat):
    """How many times the bare decode's rate all cores give at once, each with a process of its own: what the machine allows."""
    def rate(cores):
        begun = time.monotonic()
        processes = [subprocess.Popen(["taskset", "-c", str(core), f"{BIN}/stellar-lake", "bare-decode", folder,
                                       "--repeat", str(repeat)], stdout=subprocess.DEVNULL) for core in cores]
        if any([process.wait() for process in processes]):
            sys.exit("bench: bare-decode failed")
        return len(cores) / (time.monotonic() - begun)
    return rate(range(os.cpu_count())) / rate([0])


def export(work, partition=RECENT, name="recent"):
    """The mainnet ledgers of one partition alone, for `replay` and for the bare decode of what it repeats."""
    folder = os.path.join(work, name)
    os.makedirs(folder)
    os.symlink(os.path.abspath(os.path.join(PUBNET, partition)), os.path.join(folder, partition))
    shutil.copy(os.path.join(PUBNET, ".config.json"), folder)
    return folder


def median(runs, key):
    return statistics.median(each[key] for each in runs)


def era_folders(work):
    """Every folder of mainnet ledgers but the newest, oldest first: folder, first ledger, number and mean size of objects."""
    found = []
    for partition in os.listdir(PUBNET):
        if partition.startswith(".") or partition == RECENT:
            continue
        folder = os.path.join(PUBNET, partition)
        firsts = [int(name.split("--")[1].split(".")[0]) for name in os.listdir(folder)]
        packed = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)) / len(firsts)
        found.append((export(work, partition, f"era-{min(firsts)}"), min(firsts), len(firsts), packed))
    return sorted(found, key=lambda era: era[1])


def eras(work):
    """Older ledgers of mainnet. They are few: each folder is repeated into a lake of its own, and what the ingest of one
    ledger of it takes is taken off, so that starts do not count."""
    folders = era_folders(work)
    rows = []
    for folder, first, count, packed in folders:
        arguments = lambda ledgers: ["--network", "mainnet", "--source", f"replay:{folder}", "--from", str(first),
                                     "--to", str(first + ledgers - 1)]
        repeat = ERAS * min(10, max(1, round(LARGEST / packed)))
        ledgers, runs, bares = count * repeat, [], []
        for _ in range(RUNS):
            idle, figures = ingest(work, arguments(1)), ingest(work, arguments(ledgers))
            figures["cpu"] = (figures["cpu"] * ledgers - idle["cpu"]) / (ledgers - 1)
            runs.append(figures)
            bares.append(bare(folder, repeat)["cpu"])
        rows.append({"first": first, "count": count, "packed": packed, "cpu": median(runs, "cpu"),
                     "bare": statistics.median(bares), "rows": median(runs, "rows"), "ledgers": ledgers})
    print(f"\nMainnet before today: {sum(r['count'] for r in rows)} ledgers, repeated {ERAS} to {ERAS * 10} times, one folder after the "
          "other, each into a lake of its own; the CPU of an ingest of one ledger is taken off as the start\n")
    print("| ledgers | per run | rows/ledger | source bytes/ledger | CPU ms/ledger | bare decode CPU ms/ledger | CPU / bare |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    weight = sum(r["count"] for r in rows)
    mixed = {key: sum(r[key] * r["count"] for r in rows) / weight for key in ("rows", "packed", "cpu", "bare")}
    mixed["ledgers"] = sum(r["ledgers"] for r in rows)
    lines = [(f"{r['first']}" + (f"..{r['first'] + r['count'] - 1}" if r["count"] > 1 else ""), r) for r in rows]
    for name, r in lines + [("mixed, mainnet before today", mixed)]:
        print(f"| {name} | {r['ledgers']} | {r['rows']:.0f} | {r['packed']:.0f} | {r['cpu'] * 1e3:.3f} | "
              f"{r['bare'] * 1e3:.3f} | {r['cpu'] / r['bare']:.2f} |", flush=True)
    return rows


def scaling(work, arguments, figures, yardstick):
    """The same ledgers on one core, and what the model of the capacity page says of both: cores / CPU per ledger."""
    taskset = ["taskset", "-c", "0"]
    if not shutil.which("taskset"):
        print("*** SKIPPED: one core: taskset is not there", file=sys.stderr)
        return None
    single = [ingest(work, arguments, taskset) for _ in range(RUNS)]
    one = {key: median(single, key) for key in ("rate", "cpu", "commit_seconds", "committer_share")}
    cores = os.cpu_count()
    print(f"\nScaling, dense: {one['rate']:.1f} ledgers/s on 1 core, {figures['rate']:.1f} on {cores}: "
          f"{figures['rate'] / one['rate']:.2f} times. The bare decode, a process on each core: "
          f"{statistics.median(bare_together(*yardstick) for _ in range(RUNS)):.2f} times\n")
    print("| cores | measured ledgers/s | model: cores / CPU per ledger | measured / model | committer's share of the time |")
    print("|--:|--:|--:|--:|--:|")
    for count, of in ((1, one), (cores, figures)):
        model = count / of["cpu"]
        print(f"| {count} | {of['rate']:.1f} | {model:.1f} | {of['rate'] / model:.2f} | {of['committer_share'] * 100:.0f} % |")
    return one


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
        without = os.path.join(work, "no-raw-xdr.yaml")
        with open(without, "w", encoding="ascii") as config:
            config.write("lake: { raw_xdr: false }\n")
        rows.insert(-1, ("the same without raw XDR", ["--config", without] + rows[-2][1], None))
    else:
        print(f"*** SKIPPED: real ledgers: {CHAIN} is not there; set LAKE_SHARED", file=sys.stderr)
    print(f"{os.cpu_count()} cores; medians of {RUNS} runs; CPU and memory include the keeper; bytes are those of the "
          "Parquet files\n")
    stages, measured = [], {}
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
            of = {key: median(runs, key) for key in runs[0]}
            measured[name] = of
            cells = [name, runs[0]["ledgers"], f"{of['rate']:.0f}",
                     f"{of['rate'] * of['rows']:.0f}", f"{of['cpu'] * 1e3:.3f}",
                     f"{of['peak'] / 2**20:.0f}", f"{of['bytes']:.0f}"]
            if yardstick:
                cpu = statistics.median(r["cpu"] / b["cpu"] for r, b in zip(runs, bares))
                rate = statistics.median(r["rate"] / b["rate"] for r, b in zip(runs, bares))
                cells += [f"{median(bares, 'cpu') * 1e3:.3f}", f"{cpu:.2f}", f"{rate:.2f}"]
            else:
                cells += ["", "", ""]
            print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)
            stages.append([name, f"{of['rows']:.0f}"] + [f"{of[stage] * 1e3:.3f}" for stage in STAGES]
                          + [f"{of['cpu'] * 1e3:.3f}", f"{median(bares, 'cpu') * 1e3:.3f}" if bares else ""])
        print("\nCPU ms per ledger by stage; the rest is reading and unpacking, the runtime, the keeper, start and end\n")
        print("| ledgers | rows/ledger | decode and verify | extract | encode | commit | rest | all | bare decode |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
        for cells in stages:
            print("| " + " | ".join(cells) + " |")
        if os.path.isdir(CHAIN):
            by_table(os.path.join(work, "recent"))
            dense = measured[rows[2][0]]
            recent = os.path.join(PUBNET, RECENT)
            dense["packed"] = sum(os.path.getsize(os.path.join(recent, n)) for n in os.listdir(recent)) / RECENT_COUNT
            # What repeats is stored in less room: the size is that of the ten ledgers stored once.
            dense["bytes_once"] = ingest(work, rows[2][1][:-1] + [str(RECENT_FIRST + RECENT_COUNT - 1)])["bytes"]
            print(f"\nBytes per ledger of the ten recent ledgers stored once, not repeated: {dense['bytes_once']:.0f} of Parquet, "
                  f"{dense['packed']:.0f} in the source")
            one = scaling(work, rows[2][1], dense, rows[2][2])
            older = eras(work)
            with open(os.path.join(BIN, "bench.json"), "w", encoding="ascii") as out:
                json.dump({"cores": os.cpu_count(), "dense": dense, "one_core": one, "eras": older,
                           "no_raw_xdr": measured["the same without raw XDR"]}, out, indent=1)
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()
