"""What operators do with a running service: rights, reloads, the doctor, networks that come and go."""

import json
import re

from machine import GAMMA, MISSING, NETWORKS, UNIT, WORDS, same

RELOADED_ID = "c9f0a2b67d7a4a0ba9b6c1a4e2f18d35"
NOT_RELOADED_ID = "5d3c1f0e8b6e4f71a3d9207c64be1a98"


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


def examined(m):
    """`lakectl doctor` by a reader: the daemon looks inside its sandbox; without it the program looks as its user would."""
    m.configure(NETWORKS)
    m.run("systemctl", "restart", UNIT)
    look = lambda *line, ok=(0, 1): json.loads(m.run(*line, "lakectl", "doctor", "--output", "json", ok=ok).strip())
    reader = ["setpriv", "--reuid=ron", "--regid=ron", "--clear-groups"]
    found = look(*reader)
    bad = [finding for finding in found["findings"] if finding["severity"] == "error"]
    same((found["daemon"], bad), (True, []))
    m.configure(NETWORKS + MISSING)
    said = m.code("lakectl", "doctor")
    assert said[0] == 1 and "/srv/nowhere" in said[1] and "not in force: networks.missing" in said[1], said
    m.run("systemctl", "stop", UNIT)
    found = look("runuser", "-u", "stellar-lake", "--")
    bad = {finding["check"] for finding in found["findings"] if finding["severity"] == "error"}
    same((found["daemon"], bad), (False, {"socket", "sources"}))


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
