#!/usr/bin/env python3
"""How many workers a backfill wants, and how large its commits: runs jobs against a directory that answers like an
object store, and prints Markdown tables. Measures and judges nothing; fails when a job fails.

usage: bench-workers.py BIN SHARED; BENCH_SIZE (of the inputs, in percent), BENCH_WORKERS, BENCH_CHUNKS and BENCH_KINDS
(words, separated by spaces; none: no such table) make it smaller; BENCH_LATENCY and BENCH_BANDWIDTH say what the object
store is like.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

BIN, SHARED = sys.argv[1], sys.argv[2]
SIZE = int(os.environ.get("BENCH_SIZE", "100"))
WORKERS = os.environ.get("BENCH_WORKERS", "1 2 4 10 20 30 auto").split()
CHUNKS = os.environ.get("BENCH_CHUNKS", "16MiB 64MiB 160MiB 640MiB").split()
LATENCY, BANDWIDTH = os.environ.get("BENCH_LATENCY", "40ms"), os.environ.get("BENCH_BANDWIDTH", "50MiB")
CHAIN = os.path.join(SHARED, "ledgers", "testnet-chain")
PUBNET = os.path.join(SHARED, "ledgers", "pubnet")
# The ten consecutive ledgers of today.
RECENT, DENSE_FIRST = "FC3E15FF--63040000-63103999", 63092982
# Name, network, directory to repeat, first ledger, ledgers at 100 %, ledgers per object.
KINDS = {
    "dense": ("dense, 1 per object: mainnet 63092982.. repeated", "mainnet", None, DENSE_FIRST, 2000, 1),
    "sparse": ("sparse, 64 per object: testnet 2.. repeated", "testnet", CHAIN, 2, 160000, 64),
    "single": ("sparse, 1 per object: testnet 2.. repeated", "testnet", CHAIN, 2, 40000, 1),
}
ASKED = os.environ.get("BENCH_KINDS", "dense sparse single").split()


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def cpu(pids):
    """CPU-seconds of the processes so far."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def peak(pids):
    """Sum of the peaks of resident memory, in bytes."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            total += sum(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    return total


def files(lake):
    """Parquet files of the largest table, and of all: numbers and bytes."""
    tables = {}
    for base, _, names in os.walk(os.path.join(lake, "data")):
        for name in names:
            count, size = tables.get(base.split(os.sep + "data" + os.sep)[1], (0, 0))
            tables[base.split(os.sep + "data" + os.sep)[1]] = (
                count + 1, size + os.path.getsize(os.path.join(base, name)))
    return max(tables.values(), key=lambda of: of[1]), sum(count for count, _ in tables.values())


class Daemon:
    """A daemon with a fresh lake that reads one directory."""

    def __init__(self, work, kind, source, chunk=None):
        _, self.network, _, _, _, _ = KINDS[kind]
        self.folder = tempfile.mkdtemp(dir=work)
        self.lake, self.socket = os.path.join(self.folder, "lake"), os.path.join(self.folder, "socket")
        config = os.path.join(self.folder, "lake.yaml")
        with open(config, "w", encoding="utf-8") as file:
            json.dump({
                "lake": {"path": self.lake}, "control": {"socket": self.socket}, "log": {"level": "error"},
                **({"backfill": {"chunk_size": chunk}} if chunk else {}),
                "networks": [{"name": self.network, "live": False, "source": {
                    "filesystem": {"path": source, "latency": LATENCY, "bandwidth": BANDWIDTH}}}],
            }, file)
        self.process = subprocess.Popen([f"{BIN}/stellar-lake", "--config", config])
        while self.ctl("status").returncode:
            if self.process.poll() is not None:
                sys.exit("bench-workers: the daemon ended")
            time.sleep(0.05)
        self.pids = [self.process.pid] + children(self.process.pid)

    def ctl(self, *arguments):
        return subprocess.run([f"{BIN}/lakectl", "--socket", self.socket, *arguments, "--output", "json"],
                              capture_output=True, text=True, check=False)

    def asked(self, *arguments):
        """What lakectl prints, which must succeed."""
        result = self.ctl(*arguments)
        if result.returncode:
            sys.exit(f"bench-workers: lakectl {' '.join(arguments)}: {result.stdout}{result.stderr}")
        return json.loads(result.stdout)

    def end(self):
        self.process.terminate()
        if self.process.wait():
            sys.exit("bench-workers: the daemon failed")
        shutil.rmtree(self.folder)


def run(work, kind, source, workers, chunk=None):
    """The figures of one job."""
    _, network, _, first, _, _ = KINDS[kind]
    count = ledgers(kind)
    daemon = Daemon(work, kind, source, chunk)
    in_flight, done = [], threading.Event()
    target = ["--network", network, "--from", str(first), "--to", str(first + count - 1)]
    spent, begun = cpu(daemon.pids), time.time()
    job = daemon.asked("backfill", "start", *target, "--workers", str(workers), "--force")["id"]

    def watch():
        # Rarely: asking takes CPU too.
        while not done.wait(1):
            shown = daemon.ctl("backfill", "show", str(job))
            if shown.returncode == 0:
                at = json.loads(shown.stdout)
                in_flight.append(sum(chunk["ledgers_done"] for chunk in at["active"]))
                if at["workers"]["limited_by"]:
                    limits.append((at["workers"]["active"], at["workers"]["limited_by"]))
    limits = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    ended = daemon.ctl("backfill", "watch", str(job))
    spent = cpu(daemon.pids) - spent
    done.set()
    watcher.join()
    if ended.returncode:
        sys.exit(f"bench-workers: the job failed: {ended.stdout[-2000:]}{ended.stderr}")
    shown = daemon.asked("backfill", "show", str(job))
    if shown["state"] != "finished" or shown["ledgers_stored"] != count:
        sys.exit(f"bench-workers: not all was stored: {shown}")
    # The record was last written when the job finished.
    wall = os.path.getmtime(os.path.join(daemon.lake, "jobs", f"{job}.json")) - begun
    queue = daemon.asked("status")["write_queue"]
    (of_largest, bytes_of_largest), all_files = files(daemon.lake)
    figures = {
        "rate": count / wall, "cpu": spent / count, "share": spent / wall / os.cpu_count(), "wall": wall,
        "wait": queue["wait"], "write": queue["write"], "commits": queue["written"], "peak": peak(daemon.pids),
        "files": all_files, "largest": bytes_of_largest / max(of_largest, 1),
        "lost": max(in_flight, default=0), "limits": limits,
    }
    daemon.end()
    return figures


def ledgers(kind):
    return max(KINDS[kind][4] * SIZE // 100, 64)


def make(work, kind):
    """A directory of the kind."""
    _, _, origin, _, _, per_object = KINDS[kind]
    if origin is None:
        origin = os.path.join(work, "recent")
        os.makedirs(origin)
        os.symlink(os.path.abspath(os.path.join(PUBNET, RECENT)), os.path.join(origin, RECENT))
        shutil.copy(os.path.join(PUBNET, ".config.json"), origin)
    folder = os.path.join(work, kind)
    subprocess.run([f"{BIN}/examples/repeat", origin, folder, str(ledgers(kind)), str(per_object)], check=True)
    return folder


def milliseconds(times):
    return f"{times['average_micros'] / 1e3:.0f}", f"{times['max_micros'] / 1e3:.0f}"


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def head(first, *others):
    row(first, *others)
    print("|---|" + "--:|" * len(others), flush=True)


def by_workers(work, kind, source):
    print(f"\n{KINDS[kind][0]}, {ledgers(kind)} ledgers:\n")
    head("workers", "ledgers/s", "CPU ms/ledger", "CPU used", "queue wait ms, mean", "max", "commit ms, mean", "max",
         "commits", "peak MiB")
    for workers in WORKERS:
        got = run(work, kind, source, workers)
        found = f": {got['limits'][0][0]}, {got['limits'][0][1]}" if workers == "auto" and got["limits"] else ""
        row(f"{workers}{found}", f"{got['rate']:.0f}", f"{got['cpu'] * 1e3:.2f}", f"{got['share']:.0%}",
            *milliseconds(got["wait"]), *milliseconds(got["write"]), got["commits"], f"{got['peak'] / 2**20:.0f}")


def by_chunk(work, kind, source):
    print(f"\n{KINDS[kind][0]}, 4 workers, by `backfill.chunk_size`:\n")
    head("chunk", "ledgers/s", "CPU ms/ledger", "commits", "seconds per commit", "files", "largest file KiB, mean",
         "commit ms, mean", "lost at a kill, ledgers at most")
    for chunk in CHUNKS:
        got = run(work, kind, source, 4, chunk)
        row(chunk, f"{got['rate']:.0f}", f"{got['cpu'] * 1e3:.2f}", got["commits"],
            f"{got['wall'] / max(got['commits'], 1):.1f}", got["files"], f"{got['largest'] / 1024:.0f}",
            milliseconds(got["write"])[0], got["lost"])


def main():
    if not os.path.isdir(CHAIN):
        print(f"*** SKIPPED: workers: {CHAIN} is not there; set LAKE_SHARED", file=sys.stderr)
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before; each object after {LATENCY}, {BANDWIDTH} per "
          "second over all; one run each; CPU and memory include the keeper")
    work = tempfile.mkdtemp(prefix="sl-bench-workers-")
    try:
        sources = {kind: make(work, kind) for kind in ASKED}
        for kind, source in sources.items():
            if WORKERS:
                by_workers(work, kind, source)
        for kind, source in sources.items():
            if CHUNKS and kind != "single":
                by_chunk(work, kind, source)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\nload {os.getloadavg()[0]:.1f} after")


main()
