#!/usr/bin/env python3
"""Reads a live lake from a process of its own and checks that its tables agree in every snapshot.

usage: reader.py LAKE EXTENSIONS NETWORK,NETWORK... [ROUNDS]

Without ROUNDS it reads until standard input ends. Prints one JSON object: rounds, errors, torn, messages.
"""
import json
import os
import sys
import threading

import duckdb

# Ledgers at the tip that are joined row by row; the whole tables are compared by their sums.
RECENT = 1000

lake, extensions, networks = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
rounds_wanted = int(sys.argv[4]) if len(sys.argv) > 4 else None
closed = threading.Event()


def attach():
    connection = duckdb.connect(
        config={
            "threads": "1",
            "memory_limit": "512MB",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    for name in ("sqlite_scanner", "ducklake"):
        connection.execute(f"LOAD '{extensions}/{name}.duckdb_extension'")
    connection.execute(
        f"ATTACH 'ducklake:sqlite:{lake}/catalog.sqlite' AS lake (READ_ONLY, META_BUSY_TIMEOUT 10000)"
    )
    connection.execute("USE lake")
    return connection


def one(connection, sql):
    return connection.execute(sql).fetchone()


def check(connection, network, before):
    """What disagrees in this snapshot, in words; and its number of ledgers."""
    wrong = []
    ledgers, low, high, named, envelopes, distinct = one(
        connection,
        f"""SELECT count(*), min(sequence), max(sequence), sum(transaction_count), sum(tx_set_operation_count),
                   count(DISTINCT sequence) FROM {network}.ledgers_row_v2""",
    )
    if ledgers == 0:
        return wrong, 0
    if ledgers != high - low + 1 or distinct != ledgers:
        wrong.append(f"{ledgers} ledgers, {distinct} distinct, from {low} to {high}")
    if ledgers < before:
        wrong.append(f"{ledgers} ledgers after {before}")
    transactions, counted = one(
        connection, f"SELECT count(*), coalesce(sum(operation_count), 0) FROM {network}.transactions_row_v2"
    )
    (operations,) = one(connection, f"SELECT count(*) FROM {network}.operations_row_v2")
    if (transactions, counted, operations) != (named, envelopes, envelopes):
        wrong.append(f"{transactions}, {counted}, {operations} where {named}, {envelopes}, {envelopes} are named")
    (torn,) = one(
        connection,
        f"""SELECT count(*) FROM (
              SELECT l.sequence, any_value(l.transaction_count) named, any_value(l.tx_set_operation_count) envelopes,
                     count(DISTINCT t.transaction_hash) transactions, count(o.operation_index) operations
              FROM {network}.ledgers_row_v2 l
              LEFT JOIN {network}.transactions_row_v2 t
                ON t.ledger_sequence = l.sequence AND t.ledger_sequence > {high - RECENT}
              LEFT JOIN {network}.operations_row_v2 o
                ON o.transaction_hash = t.transaction_hash AND o.ledger_sequence > {high - RECENT}
              WHERE l.sequence > {high - RECENT} GROUP BY l.sequence)
            WHERE transactions <> named OR operations <> envelopes""",
    )
    if torn:
        wrong.append(f"{torn} ledgers of the last {RECENT} disagree with their transactions or operations")
    return wrong, ledgers


def main():
    result = {"rounds": 0, "errors": 0, "torn": 0, "messages": [], "uid": os.getuid()}
    connection, before = None, {}
    while not closed.is_set() if rounds_wanted is None else result["rounds"] < rounds_wanted:
        result["rounds"] += 1
        try:
            connection = connection or attach()
            connection.execute("BEGIN TRANSACTION")
            for network in networks:
                wrong, before[network] = check(connection, network, before.get(network, 0))
                result["torn"] += len(wrong)
                result["messages"] += [f"{network}: {text}" for text in wrong]
            connection.execute("COMMIT")
        except duckdb.Error as error:
            result["errors"] += 1
            result["messages"].append(f"{type(error).__name__}: {error}")
            connection = None
    result["messages"] = result["messages"][:20]
    result["ledgers"] = before
    print(json.dumps(result))


def watch_stdin():
    sys.stdin.buffer.read()
    closed.set()


if rounds_wanted is None:
    threading.Thread(target=watch_stdin, daemon=True).start()
main()
