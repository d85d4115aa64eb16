#!/usr/bin/env python3
"""The service in a real systemd: installed as a package installs it, started, killed, hung, stopped, called.

usage: test.py FOLDER_OF_THE_PROGRAMS [NAME...]     the programs must be built with fail points (`make systemd-test`)

CALLS (1000) and RESTARTS (20) are the size of the test of socket activation, QUIET (12) the seconds for which a source hangs.
"""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
CONTAINER = HERE / "container.sh"
CALLS = int(os.environ.get("CALLS", "1000"))
RESTARTS = int(os.environ.get("RESTARTS", "20"))
QUIET = float(os.environ.get("QUIET", "12"))
# Seconds of the watchdog under test: a loaded machine must not look like a hang.
WATCHDOG = 5
UNIT = "stellar-lake.service"
CONFIG = "/etc/stellar-lake/stellar-lake.yaml"
SOCKET = "/run/stellar-lake/control.sock"
DROP_IN = "/run/systemd/system/stellar-lake.service.d/test.conf"
READY_ID = "ac89c8cdf75c4153b287c56df514531c"
RETRYING_ID = "82faca710ed74a3cbb7daaa96daa9c62"
SILENT_ID = "a21e9dbad8114811a82bfb52c5de2757"
RELOADED_ID = "c9f0a2b67d7a4a0ba9b6c1a4e2f18d35"
NOT_RELOADED_ID = "5d3c1f0e8b6e4f71a3d9207c64be1a98"
STOPPED_ID = "2e3508cb1a7243a3b45ec8818175437e"

NETWORKS = """
lake: { path: /var/lib/stellar-lake }
batch: { max_age: 300ms }
networks:
  - name: alpha
    passphrase: "Network alpha of the systemd test"
    source: { simulated: { density: sparse, seed: 1, ledgers_per_second: 5 } }
  - name: beta
    passphrase: "Network beta of the systemd test"
    source: { simulated: { density: sparse, seed: 2, ledgers_per_second: 2 } }
"""
# An object, and what describes all of them, are pipes that nobody fills: a read hangs, the second before anything is known.
HANGING = """
  - name: silent
    passphrase: "Network silent of the systemd test"
    source: { filesystem: { path: /srv/silent, timeout: 10m } }
  - name: hanging
    passphrase: "Network hanging of the systemd test"
    source: { filesystem: { path: /srv/hanging, timeout: 10m } }
    start: 2
"""
MISSING = """
  - name: missing
    passphrase: "Network missing of the systemd test"
    source: { filesystem: { path: /srv/nowhere } }
"""
GAMMA = """
  - name: gamma
    passphrase: "Network gamma of the systemd test"
    source: { simulated: { density: sparse, seed: 4, ledgers_per_second: 5 } }
"""
HISTORY = """
  - name: history
    passphrase: "Network history of the systemd test"
    source: { simulated: { density: sparse, seed: 3 } }
    live: false
"""
# At the tip, or behind it when the machine is busy.
WORDS = r"(\d+ lag \d+|\d+ behind)"


class Machine:
    """The container, and what tests ask of it."""

    def __init__(self, folder, programs):
        self.folder, self.programs = folder, programs

    def start(self):
        duckdb = pathlib.Path(os.environ.get("DUCKDB_LIB_DIR", PROJECT / ".cache/duckdb")).resolve()
        binds = [f"{self.programs / name}:/usr/bin/{name}" for name in ("stellar-lake", "stellar-lake-keeper", "lakectl")]
        # Where the programs look for it: ../lib/stellar-lake.
        binds.append(f"{duckdb}:/usr/lib/stellar-lake")
        units = {
            "stellar-lake.service": "/usr/lib/systemd/system/stellar-lake.service",
            "stellar-lake.socket": "/usr/lib/systemd/system/stellar-lake.socket",
            "user/stellar-lake.service": "/usr/lib/systemd/user/stellar-lake.service",
            "stellar-lake.sysusers": "/usr/lib/sysusers.d/stellar-lake.conf",
            "stellar-lake.tmpfiles": "/usr/lib/tmpfiles.d/stellar-lake.conf",
            "stellar-lake.catalog": "/usr/lib/systemd/catalog/stellar-lake.catalog",
            "stellar-lake.service.d/50-resources.conf": "/usr/share/doc/stellar-lake/50-resources.conf",
        }
        binds += [f"{PROJECT / 'systemd' / name}:{place}" for name, place in units.items()]
        subprocess.run([CONTAINER, "start", self.folder, *binds], check=True)
        # What the scripts of a package do.
        self.run("systemd-sysusers", "stellar-lake.conf")
        self.run("systemd-tmpfiles", "--create", "stellar-lake.conf")
        self.run("journalctl", "--update-catalog")
        self.run("systemctl", "daemon-reload")

    def stop(self):
        subprocess.run([CONTAINER, "stop", self.folder], check=True)

    def run(self, *command, ok=(0,), stdin=None):
        """Runs a command inside; gives what it printed."""
        done = subprocess.run(
            [CONTAINER, "exec", self.folder, *command], input=stdin, capture_output=True, text=True, timeout=180
        )
        if ok is not None and done.returncode not in ok:
            raise AssertionError(f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + (done.stderr if ok is None or ok != (0,) else "")

    def code(self, *command):
        done = subprocess.run([CONTAINER, "exec", self.folder, *command], capture_output=True, text=True, timeout=180)
        return done.returncode, done.stdout + done.stderr

    def write(self, path, text):
        self.run("sh", "-c", f"mkdir -p $(dirname {path}) && cat >{path}", stdin=text)

    def configure(self, text):
        self.write(CONFIG, text)

    def drop_in(self, *lines):
        """Settings of the unit for one test. Cores of a test are of no use, and slow to write."""
        text = "\n".join(["[Service]", f"WatchdogSec={WATCHDOG}", "LimitCORE=0", *lines, ""])
        self.write(DROP_IN, text)
        self.run("systemctl", "daemon-reload")

    def show(self, name, unit=UNIT):
        return self.run("systemctl", "show", "--value", "-p", name, unit).strip()

    def begin(self):
        self.run("systemctl", "reset-failed", ok=None)
        self.run("systemctl", "start", UNIT)

    def end(self):
        self.run("systemctl", "stop", "stellar-lake.socket", UNIT, ok=None)

    def status(self):
        return json.loads(self.run("lakectl", "status", "--output", "json"))

    def network(self, name):
        return next(network for network in self.status()["networks"] if network["name"] == name)

    def last(self, name):
        return self.network(name).get("last_ledger") or 0

    def query(self, sql):
        return json.loads(self.run("lakectl", "query", "--format", "json", sql))

    def journal(self, *arguments):
        lines = self.run("journalctl", "-o", "json", "--no-pager", "-u", UNIT, *arguments).splitlines()
        return [json.loads(line) for line in lines]

    def until(self, what, seconds, look):
        """Asks until the answer is something, and gives it."""
        limit = time.monotonic() + seconds
        while True:
            try:
                if found := look():
                    return found
                seen = ""
            except AssertionError as error:
                seen = f": {error}"
            if time.monotonic() > limit:
                tail = self.run("journalctl", "-n", "30", "--no-pager", ok=None)
                raise AssertionError(f"not within {seconds} s: {what}{seen}\n{self.show('StatusText')}\n{tail}")
            time.sleep(0.1)

    def invocations(self, before, seconds, result):
        """Waits for an automatic restart after `before` of them, for this reason."""
        self.until("the service is started again", seconds, lambda: int(self.show("NRestarts")) > before)
        self.until("the service is active again", 60, lambda: self.show("ActiveState") == "active")
        said = self.run("journalctl", "--no-pager", "-u", UNIT)
        assert f"Failed with result '{result}'" in said, said[-3000:]

    def whole(self, name):
        """Every ledger from the first to the last is there once, linked, with all its transactions."""
        row = self.query(f"""SELECT
            (SELECT count(*) FROM {name}.ledgers_row_v2) AS ledgers,
            (SELECT count(DISTINCT sequence) FROM {name}.ledgers_row_v2) AS different,
            (SELECT min(sequence) FROM {name}.ledgers_row_v2) AS first,
            (SELECT max(sequence) FROM {name}.ledgers_row_v2) AS last,
            (SELECT count(*) FROM (SELECT previous_ledger_hash AS p, lag(ledger_hash) OVER (ORDER BY sequence) AS h
               FROM {name}.ledgers_row_v2) WHERE p <> h) AS unlinked,
            (SELECT CAST(sum(transaction_count) AS BIGINT) FROM {name}.ledgers_row_v2) AS named,
            (SELECT count(*) FROM {name}.transactions_row_v2) AS transactions,
            (SELECT count(DISTINCT transaction_hash) FROM {name}.transactions_row_v2) AS hashes""")
        row = {key: int(value) for key, value in (row[0] if isinstance(row, list) else row).items()}
        same(row["first"], 2, name)
        same((row["ledgers"], row["different"]), (row["last"] - 1,) * 2, name)
        same((row["unlinked"], row["transactions"], row["hashes"]), (0, row["named"], row["named"]), name)
        return row["last"]


def same(found, expected, what=""):
    assert found == expected, f"{what}: {found!r}, expected {expected!r}"


def units(m):
    """systemd itself finds nothing wrong with the units, and what they expose stays small."""
    paths = ["/usr/lib/systemd/system/stellar-lake.service", "/usr/lib/systemd/system/stellar-lake.socket"]
    said = m.run("systemd-analyze", "verify", "--man=no", *paths, ok=None)
    assert not said.strip(), said
    said = m.run("systemd-analyze", "verify", "--user", "--man=no", "/usr/lib/systemd/user/stellar-lake.service", ok=None)
    assert "stellar-lake" not in said, said
    m.run("systemd-analyze", "security", "--offline=true", "--threshold=12", paths[0])
    # Every line of the sample, taken out of its comment, is one that systemd knows.
    sample = m.run("sed", "s/^#\\([A-Z]\\)/\\1/", "/usr/share/doc/stellar-lake/50-resources.conf")
    m.write("/etc/systemd/system/stellar-lake.service.d/50-resources.conf", sample)
    m.run("systemctl", "daemon-reload")
    said = m.run("systemd-analyze", "verify", "--man=no", paths[0], ok=None)
    assert not said.strip(), said
    same(m.show("MemoryHigh"), str(3 << 30))
    m.run("rm", "/etc/systemd/system/stellar-lake.service.d/50-resources.conf")
    m.write("/tmp/loopback/stellar-lake.service", m.run("cat", paths[0]) + "\n[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\n")
    m.run("systemd-analyze", "security", "--offline=true", "--threshold=11", "/tmp/loopback/stellar-lake.service")
    m.run("getent", "group", "lake-admin", "lake-read", "stellar-lake")


def starts(m):
    """`systemctl start` returns when calls are answered; the line of status says in words how far each network is."""
    m.configure(NETWORKS)
    m.drop_in()
    begun = time.monotonic()
    m.begin()
    took = time.monotonic() - begun
    assert m.status()["networks"], "answered at once"
    m.until("status in words", 30, lambda: re.fullmatch(f"alpha {WORDS}; beta {WORDS}", m.show("StatusText")))
    same(m.run("stat", "-c", "%U %a", "/run/stellar-lake", "/var/lib/stellar-lake").split("\n")[:2],
         ["stellar-lake 755", "stellar-lake 750"])
    same(m.run("ps", "-o", "user=", "-p", m.show("MainPID")).strip().startswith("stellar"), True, "its user")
    same(m.show("NotifyAccess"), "main")
    return f"ready after {took:.1f} s: {m.show('StatusText')}"


def credentials(m):
    """A secret that systemd hands over is there for the service, and in nobody's environment."""
    m.write("/etc/stellar-lake/credentials/probe", "hush")
    m.drop_in("LoadCredential=probe:/etc/stellar-lake/credentials/probe")
    m.run("systemctl", "restart", UNIT)
    process = f"/proc/{m.show('MainPID')}"
    m.drop_in()
    same(m.run("cat", f"{process}/root/run/credentials/{UNIT}/probe"), "hush")
    environment = m.run("cat", f"{process}/environ").split("\0")
    assert f"CREDENTIALS_DIRECTORY=/run/credentials/{UNIT}" in environment, environment
    assert not [text for text in environment if "hush" in text]
    assert m.code("runuser", "-u", "nobody", "--", "cat", "/etc/stellar-lake/credentials/probe")[0] != 0


def journal(m):
    """Fields, priorities and ids as documented; the catalog explains; no line per ledger."""
    m.configure(NETWORKS + MISSING)
    m.run("systemctl", "restart", UNIT)
    pid = m.show("MainPID")
    m.until("ledgers come in", 30, lambda: m.network("alpha")["written"]["ledgers"] > 40)
    lines = m.journal(f"_PID={pid}")
    ready = [line for line in lines if line.get("MESSAGE_ID") == READY_ID]
    same(len(ready), 1, "lines that say ready")
    same((ready[0]["PRIORITY"], ready[0]["LAKE_LAKE"], ready[0]["SYSLOG_IDENTIFIER"], ready[0]["_TRANSPORT"]),
         ("6", "/var/lib/stellar-lake", "stellar-lake", "journal"))
    retrying = m.journal(f"_PID={pid}", f"MESSAGE_ID={RETRYING_ID}")
    assert retrying, "no line says that network `missing` is tried again"
    same((retrying[0]["PRIORITY"], retrying[0]["LAKE_NETWORK"]), ("4", "missing"))
    assert "/srv/nowhere" in retrying[0]["LAKE_ERROR"], retrying[0]
    assert retrying[0]["MESSAGE"].startswith("network missing will try again: "), retrying[0]
    assert not [key for line in lines for key in line if key.startswith("F_")], "a field has the foreign prefix"
    explained = m.run("journalctl", "-x", "--no-pager", "-u", UNIT, f"MESSAGE_ID={RETRYING_ID}")
    assert "Network missing waits and will try again" in explained and "/srv/nowhere" in explained, explained
    told = [line for line in lines if int(line["PRIORITY"]) <= 6 and line.get("MESSAGE_ID") != RETRYING_ID]
    assert len(told) < 20, [line["MESSAGE"] for line in told]
    return f"{len(told)} lines for {m.network('alpha')['written']['ledgers']} ledgers"


def killed(m):
    """SIGKILL: started again by itself, nothing lost."""
    m.configure(NETWORKS)
    m.run("systemctl", "restart", UNIT)
    m.until("ledgers come in", 30, lambda: m.network("alpha")["written"]["ledgers"] > 10)
    before, restarts = {name: m.last(name) for name in ("alpha", "beta")}, int(m.show("NRestarts"))
    m.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT)
    m.invocations(restarts, 30, "signal")
    for name, last in before.items():
        m.until(f"{name} goes on", 60, lambda: m.last(name) > last + 10)
        assert m.whole(name) > last
    return f"acknowledged {before}, now {({name: m.last(name) for name in before})}"


def rights(m):
    """Root and members of lake-admin may do everything, members of lake-read look, strangers nothing; the log says who."""
    for user, groups in (("ann", ["-G", "lake-admin"]), ("ron", ["-G", "lake-read"]), ("eve", [])):
        m.run("useradd", *groups, user)
    m.configure(NETWORKS)
    m.run("systemctl", "restart", UNIT)
    # With the first group of the user alone: what counts is the user database.
    call = lambda user, *line: m.code("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "lakectl", *line)
    for user in ("root", "ann", "ron"):
        for line in (["status"], ["health"], ["query", "SELECT 1"], ["config", "show"]):
            code, said = call(user, *line)
            same(code, 0, f"{user}: {line}: {said}")
    for user, code in (("root", 0), ("ann", 0), ("ron", 77), ("eve", 77)):
        for verb in ("pause", "resume"):
            same(call(user, "networks", verb, "beta")[0], code, f"{user} {verb}")
    said = call("eve", "status")[1]
    assert "eve" in said and "not a member of lake-read or lake-admin" in said and "what to do: " in said, said
    said = call("ron", "reload")[1]
    assert "ron" in said and "not a member of lake-admin" in said, said
    calls = m.journal(f"_PID={m.show('MainPID')}", "LAKE_RPC=/lake.v1.NetworkService/PauseNetwork")
    uids = [m.run("id", "-u", user).strip() for user in ("root", "ann")]
    same([line["LAKE_UID"] for line in calls], uids, "who paused")
    assert all("beta" in line["LAKE_ARGUMENTS"] and line["LAKE_PID"] for line in calls), calls


def reloads(m):
    """A reload puts a good configuration in force without a restart; a bad one fails the reload and changes nothing."""
    m.configure(NETWORKS)
    m.drop_in()
    m.run("systemctl", "restart", UNIT)
    stands = lambda: (m.show("MainPID"), m.show("NRestarts"), m.show("ActiveState"))
    names = lambda: [network["name"] for network in m.status()["networks"]]
    before = stands()
    m.until("ledgers come in", 30, lambda: m.last("alpha") > 5)
    m.configure(NETWORKS.replace("name: beta", "name: old_beta") + GAMMA + "query: { timeout: 7s }\n")
    m.run("systemctl", "reload", UNIT)
    same((stands(), names()), (before, ["alpha", "old_beta", "gamma"]))
    m.until("the new network comes in", 30, lambda: m.last("gamma") > 5)
    m.until("the manager sees it in words", 30, lambda: re.search(f"gamma {WORDS}", m.show("StatusText")))
    assert "7s" in m.run("lakectl", "config", "show", "query.timeout")
    reloaded = m.journal(f"_PID={before[0]}", f"MESSAGE_ID={RELOADED_ID}")
    same([(line["LAKE_RESTART"], line["LAKE_FAILED"]) for line in reloaded], [("0", "0")])

    m.configure(NETWORKS + GAMMA + "nonsense: true\n")
    code, said = m.code("systemctl", "reload", UNIT)
    assert code != 0, said
    same((stands(), names()), (before, ["alpha", "old_beta", "gamma"]), "after a bad configuration")
    refused = m.journal(f"_PID={before[0]}", f"MESSAGE_ID={NOT_RELOADED_ID}")
    assert len(refused) == 1 and "nonsense" in refused[0]["LAKE_ERROR"], refused
    explained = m.run("journalctl", "-x", "--no-pager", "-u", UNIT, f"MESSAGE_ID={NOT_RELOADED_ID}")
    assert "The daemon goes on as before" in explained, explained

    # By signal, too: the state is `reloading` until the daemon says that it is ready again.
    m.configure(NETWORKS)
    m.run("systemctl", "kill", "--signal=HUP", "--kill-whom=main", UNIT)
    m.until("the networks are as they were", 30, lambda: names() == ["alpha", "beta"])
    m.until("the service is active", 30, lambda: stands() == before)
    last = m.last("alpha")
    m.until("alpha goes on", 30, lambda: m.last("alpha") > last + 5)
    for name in ("alpha", "gamma"):
        m.whole(name)


def comes(m):
    """A network that is added while another ingests starts at once, survives SIGKILL, and goes with its tables."""
    m.configure(NETWORKS)
    m.run("systemctl", "restart", UNIT)
    m.until("ledgers come in", 30, lambda: m.last("alpha") > 10)
    source = ["--source", "simulated:sparse:9", "--rate", "10", "--passphrase", "Network delta of the systemd test"]
    alpha = m.last("alpha")
    m.run("lakectl", "networks", "add", "delta", *source)
    m.until("the new network comes in", 30, lambda: m.last("delta") > 10)
    m.until("the other goes on", 30, lambda: m.last("alpha") > alpha + 5)
    before, restarts = {name: m.last(name) for name in ("alpha", "delta")}, int(m.show("NRestarts"))
    m.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT)
    m.invocations(restarts, 30, "signal")
    for name, last in before.items():
        m.until(f"{name} goes on", 60, lambda: m.last(name) > last + 10)
        assert m.whole(name) > last
    assert "added" in m.run("lakectl", "networks", "list")
    assert m.code("lakectl", "networks", "remove", "delta")[0] == 64, "nobody can be asked"
    m.run("lakectl", "networks", "remove", "delta", "--purge", "--yes")
    assert m.code("lakectl", "query", "FROM delta.ledgers_row_v2")[0] == 64


def hang(m, point):
    m.configure(NETWORKS)
    m.drop_in(f"Environment=STELLAR_LAKE_FAIL_POINT=hang={point}:20")
    m.run("systemctl", "restart", UNIT)
    begun, restarts = time.monotonic(), int(m.show("NRestarts"))
    m.until("it hangs", 60, lambda: m.journal("-g", "hanging", f"_PID={m.show('MainPID')}"))
    hung = time.monotonic()
    m.drop_in()
    m.invocations(restarts, WATCHDOG * 3 + 10, "watchdog")
    took = time.monotonic() - hung
    for name in ("alpha", "beta"):
        last = m.last(name)
        m.until(f"{name} goes on", 60, lambda: m.last(name) > last + 10)
        m.whole(name)
    return f"hung after {hung - begun:.1f} s, running again {took:.1f} s later"


def hung_committer(m):
    """A committer that hangs brings the watchdog."""
    return hang(m, "before-commit")


def hung_worker(m):
    """A worker of a pipeline that hangs brings the watchdog."""
    return hang(m, "before-encode")


def hung_source(m):
    """Sources that hang do not: the daemon gets ready after 5 s without them, and the other networks go on."""
    for pipe in ("/srv/hanging/FFFFFFFD--2.xdr.zst", "/srv/silent/.config.json"):
        m.run("sh", "-c", f"mkdir -p $(dirname {pipe}) && mkfifo -m 644 {pipe}")
        # Somebody opens it for writing, and writes nothing.
        m.run("systemd-run", "sh", "-c", f"exec sleep infinity >{pipe}")
    manifest = {"networkPassphrase": "Network hanging of the systemd test", "compression": "zstd", "ledgersPerBatch": 1}
    m.write("/srv/hanging/.config.json", json.dumps(manifest | {"batchesPerPartition": 1}))
    m.configure(NETWORKS + HANGING)
    m.drop_in()
    begun = time.monotonic()
    m.run("systemctl", "restart", UNIT)
    took, restarts, pid = time.monotonic() - begun, m.show("NRestarts"), m.show("MainPID")
    assert 4.5 < took < 15, f"ready after {took:.1f} s"
    silent = m.journal(f"_PID={pid}", f"MESSAGE_ID={SILENT_ID}")
    same([(line["PRIORITY"], line["LAKE_SILENT"]) for line in silent], [("4", "1")])
    held = f"find /proc/{pid}/fd -lname '/srv/*' -printf '%l\\n'"
    hanging = lambda: set(m.run("sh", "-c", f"{held} 2>/dev/null || true").split())
    m.until("both reads hang", 30, lambda: len(hanging()) == 2)
    last = m.last("alpha")
    time.sleep(QUIET)
    same((m.show("NRestarts"), m.show("MainPID"), m.show("ActiveState")), (restarts, pid, "active"))
    same(len(hanging()), 2, "reads that hang")
    assert m.last("alpha") > last + QUIET * 2, f"alpha stands at {m.last('alpha')}"
    # It hangs on while the service stops, too.
    begun = time.monotonic()
    m.run("systemctl", "stop", UNIT)
    stop = time.monotonic() - begun
    same(m.show("Result"), "success")
    assert stop < 20, f"the stop took {stop:.1f} s"
    return f"ready after {took:.1f} s, {QUIET:.0f} s of a hanging read, stop in {stop:.1f} s"


def drains(m):
    """A stop while a backfill runs: in time, nothing torn, and the job goes on at the next start."""
    m.configure(NETWORKS + HISTORY)
    m.begin()
    m.run("lakectl", "backfill", "start", "--network", "history", "--from", "2", "--to", "100000", "--workers", "2", "--force")
    pattern = re.compile(r"backfill \d+ of \d+ chunks")
    told = m.until("the job is told in words", 60, lambda: pattern.search(m.show("StatusText")))
    stored = "SELECT count(*) AS n FROM history.ledgers_row_v2"
    m.until("the first chunk is in", 90, lambda: int(m.query(stored)[0]["n"]) > 0)
    begun = time.monotonic()
    m.run("systemctl", "stop", UNIT)
    took = time.monotonic() - begun
    same((m.show("Result"), m.show("ExecMainStatus")), ("success", "0"))
    assert took < 45, f"the stop took {took:.1f} s"
    assert m.journal(f"MESSAGE_ID={STOPPED_ID}"), "no line says that it stopped"
    m.begin()
    m.until("the job goes on", 60, lambda: pattern.search(m.show("StatusText")))
    row = m.query("SELECT count(*) AS n, count(DISTINCT sequence) AS d FROM history.ledgers_row_v2")[0]
    same(row["n"], row["d"], "ledgers of history")
    m.run("lakectl", "backfill", "cancel", "1")
    return f"`{told.group()}`, stopped in {took:.1f} s"


def activation(m):
    """systemd holds the socket: calls wait while the service restarts, none is refused."""
    m.configure(NETWORKS)
    m.end()
    m.run("systemctl", "start", "stellar-lake.socket")
    same(m.run("stat", "-c", "%a %U", SOCKET).strip(), "666 stellar-lake")
    same(m.show("ActiveState"), "inactive")
    m.run("lakectl", "status")
    same(m.show("ActiveState"), "active")
    script = f"""for i in $(seq {-(-CALLS // 4)}); do
        lakectl status >/dev/null 2>>/tmp/refused || echo "call $i: exit $?" >>/tmp/refused; sleep 0.02; done"""
    callers = [
        subprocess.Popen([CONTAINER, "exec", m.folder, "sh", "-c", script], stdout=subprocess.DEVNULL) for _ in range(4)
    ]
    restarts = 0
    while restarts < RESTARTS or any(caller.poll() is None for caller in callers):
        if restarts < RESTARTS:
            m.run("systemctl", "reset-failed", UNIT, ok=None)
            m.run("systemctl", "restart", UNIT)
            restarts += 1
        time.sleep(0.1)
    for caller in callers:
        caller.wait()
    said = m.run("sh", "-c", "cat /tmp/refused 2>/dev/null || true")
    assert not said.strip(), said[:2000]
    # Without the service the socket is still there, and its folder.
    m.run("systemctl", "kill", "--signal=KILL", UNIT)
    m.run("lakectl", "status")
    m.whole("alpha")
    m.end()
    assert m.code("test", "-e", SOCKET)[0] != 0, "the socket is gone with its unit"
    return f"{-(-CALLS // 4) * 4} calls across {RESTARTS} restarts"


def bad_config(m):
    """A wrong configuration fails once, with its own exit code and its reason, and does not loop."""
    m.configure(NETWORKS + "nonsense: true\n")
    m.run("systemctl", "reset-failed", ok=None)
    code, said = m.code("systemctl", "start", UNIT)
    assert code != 0, said
    same((m.show("ActiveState"), m.show("Result"), m.show("ExecMainStatus")), ("failed", "exit-code", "78"))
    time.sleep(4)
    same((m.show("ActiveState"), m.show("NRestarts")), ("failed", "0"))
    assert "nonsense" in m.run("journalctl", "--no-pager", "-n", "20", "-u", UNIT)
    m.configure(NETWORKS)
    m.begin()
    same(m.show("ActiveState"), "active")


def of_a_user(m):
    """The unit of a user, with a lake and a socket of its own."""
    m.run("useradd", "--create-home", "alice")
    uid = m.run("id", "-u", "alice").strip()
    m.run("loginctl", "enable-linger", "alice")
    m.until("her manager runs", 30, lambda: m.code("test", "-S", f"/run/user/{uid}/systemd/private")[0] == 0)
    config = NETWORKS.replace("/var/lib/stellar-lake", "/home/alice/lake")
    config += f"control: {{ socket: /run/user/{uid}/stellar-lake/control.sock }}\n"
    m.write("/home/alice/.config/stellar-lake/stellar-lake.yaml", config)
    m.run("chown", "-R", "alice:", "/home/alice")
    as_alice = ["runuser", "-u", "alice", "--", "env", f"XDG_RUNTIME_DIR=/run/user/{uid}", "HOME=/home/alice"]
    m.run(*as_alice, "systemctl", "--user", "start", "stellar-lake")
    socket = f"/run/user/{uid}/stellar-lake/control.sock"
    m.run(*as_alice, "lakectl", "--socket", socket, "status")
    words = lambda: m.run(*as_alice, "systemctl", "--user", "show", "--value", "-p", "StatusText", "stellar-lake")
    m.until("her networks in words", 30, lambda: re.search(f"alpha {WORDS}", words()))
    m.run(*as_alice, "systemctl", "--user", "stop", "stellar-lake")
    same(m.run(*as_alice, "systemctl", "--user", "show", "--value", "-p", "Result", "stellar-lake").strip(), "success")


TESTS = [
    units, starts, credentials, journal, rights, reloads, comes, killed, hung_committer, hung_worker, hung_source, drains, activation, bad_config,
    of_a_user,
]


def main():
    programs, names = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    able = subprocess.run([CONTAINER, "check"], capture_output=True, text=True)
    if able.returncode:
        print(f"SKIPPED: the service was NOT tested in a real systemd: {able.stderr.strip()}", file=sys.stderr)
        return 0
    version = subprocess.run([programs / "stellar-lake", "--version"], capture_output=True, text=True).stdout
    if "fail-points" not in version:
        print(f"{programs}/stellar-lake has no fail points: run `make systemd-test`", file=sys.stderr)
        return 1
    # The container must go whatever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sl-systemd-", ignore_cleanup_errors=True) as folder:
        machine = Machine(f"{folder}/machine", programs)
        try:
            machine.start()
            for test in TESTS:
                if names and test.__name__ not in names:
                    continue
                start = time.monotonic()
                told = test(machine)
                print(f"ok {test.__name__} ({time.monotonic() - start:.1f} s){': ' + told if told else ''}", flush=True)
        except (AssertionError, subprocess.SubprocessError) as error:
            print(f"FAILED {test.__name__}: {error}", file=sys.stderr)
            return 1
        finally:
            machine.stop()
    print(f"systemd-test: all as it should be, in {time.monotonic() - begun:.0f} s")
    return 0


sys.exit(main())
