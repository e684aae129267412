#!/usr/bin/env python3
"""Runs the benchmarks and prints one row each: the figure, its yardstick in the same run, the ratio,
the budgets.

    tickets   mint and verify, one core, against the SHA-256 block rate of this CPU
    http      POST /v1/tickets: server CPU a request, against nginx `return 200`
    sign-in   sign-ins a second on all cores, against bare argon2id
    latency   p99 of POST /v1/tickets at a fixed rate, alone and while sign-ins flood
    memory    idle gateway connections at 10,000
    start     time to `ready`, memory at rest
    build     ./run build from a clean tree without a compiler cache (minutes)
    messages  live messages at 1,000/s, 5,000/s and the highest rate held, with syncs a message; SQLite
    messages-postgres  the same on PostgreSQL
    messages-nodes     the same on two nodes with PostgreSQL and NATS
    resume    a device comes back to 1,000 messages
    storm     10,000 clients come back at once
    flood     p99 of a quiet user, alone and while ten connections flood
    connections  memory and processor time of idle and chatting connections, beside other servers
    classic  the classic door: start and receipt of that SDK beside ours, held polls at 10,000, messages a second
"""
import argparse
import os
import resource
import subprocess

import accounts
import classic_door
import footprint
import messages
from report import ROOT, TREE, options, say

ROWS = {"tickets": accounts.tickets, "http": accounts.http_request, "sign-in": accounts.sign_in,
        "latency": accounts.latency, "memory": footprint.memory, "start": footprint.start, "build": footprint.build,
        "messages": messages.sqlite, "messages-postgres": messages.postgres, "messages-nodes": messages.two_nodes,
        "resume": messages.resume, "storm": messages.storm, "flood": messages.flood,
        "connections": footprint.connections, "classic": classic_door.classic}
PROGRAMS = ("countersign", "ticket_bench", "load_driver", "message_driver", "flood_driver", "sync_counter",
            "argon2_bench", "idle_bench")


def build():
    subprocess.run(["bash", str(ROOT / "tools/install_packages.sh"), "bench"], check=True)
    subprocess.run(["cmake", "--preset", "release", "-DCOUNTERSIGN_BENCH=ON"], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(TREE), "--target", *PROGRAMS], check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="default: all")
    parser.add_argument("--quick", action="store_true", help="shorter rounds and fewer clients, for a first look")
    parser.add_argument("--clients", type=int, metavar="N", help="so many instead of 10,000 in memory, storm and connections")
    parser.add_argument("--built", action="store_true", help="take the programs in build/release as they are")
    parser.parse_args(namespace=options)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]}; there are: {' '.join(ROWS)}")
    if not options.built:
        build()
    # A file for each connection; drivers and other people's servers take what they inherit.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True,
                            text=True).stdout.strip()
    say(f"Commit {commit}, {os.cpu_count()} cores.\n")
    say("| what | figure | yardstick, same run | ratio | first budget | where we are going |")
    say("| --- | --- | --- | --- | --- | --- |")
    for name in options.rows or ROWS:
        ROWS[name]()


if __name__ == "__main__":
    main()
