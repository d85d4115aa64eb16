"""The container of the systemd test with the service installed in it, and what tests ask of it."""

import json
import os
import pathlib
import shlex
import subprocess
import time

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTAINER = PROJECT / "tests/systemd/container.sh"
# Seconds of the watchdog under test: a loaded machine must not look like a hang.
WATCHDOG = 5
UNIT = "stellar-lake.service"
CONFIG = "/etc/stellar-lake/stellar-lake.yaml"
DROP_IN = "/run/systemd/system/stellar-lake.service.d/test.conf"


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
