#!/usr/bin/env python3
"""The service in a real systemd: installed as a package installs it, started, killed, hung, stopped, called.

usage: test.py FOLDER_OF_THE_PROGRAMS [NAME...]     the programs must be built with fail points (`make systemd-test`)

CALLS (1000) and RESTARTS (20) are the size of the test of socket activation, QUIET (12) the seconds for which a source hangs.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from control import comes, examined, reloads, rights
from machine import CONTAINER, HANGING, HISTORY, MISSING, NETWORKS, UNIT, WATCHDOG, WORDS, Machine, same

CALLS = int(os.environ.get("CALLS", "1000"))
RESTARTS = int(os.environ.get("RESTARTS", "20"))
QUIET = float(os.environ.get("QUIET", "12"))
SOCKET = "/run/stellar-lake/control.sock"
READY_ID = "ac89c8cdf75c4153b287c56df514531c"
RETRYING_ID = "82faca710ed74a3cbb7daaa96daa9c62"
SILENT_ID = "a21e9dbad8114811a82bfb52c5de2757"
STOPPED_ID = "2e3508cb1a7243a3b45ec8818175437e"


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
    m.end()
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
    m.end()
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
    units, starts, credentials, journal, rights, reloads, examined, comes, killed, hung_committer, hung_worker, hung_source, drains, activation, bad_config,
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
