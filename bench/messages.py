"""The rows of messages: latency at a fixed rate, resume, storm, memory and processor time of connections."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

OPEN_LIMITS = ("limits.max_connections=30000", "limits.max_connections_per_address=2000",
               "limits.commands_per_second=5000", "limits.messages_per_second=5000",
               "messages.unknown_users=keep", "messages.inbox_entries=1000000",
               "messages.inbox_entries_of_sender=1000000")

PARTNERS = 8  # of each person, in the rows of fixed rates


def realtime():
    """People wait for the server, not for a driver that waits for a processor."""
    allowed = subprocess.run(["chrt", "-f", "1", "true"], capture_output=True, check=False).returncode == 0
    return ["chrt", "-f", "1"] if allowed else []


class Messages:
    """The rows; `bench` is the program that prints them (run.py)."""

    def __init__(self, bench):
        self.bench = bench
        self.driver = bench.BIN / "message_driver"

    def tickets(self, server, count):
        file = tempfile.NamedTemporaryFile("w", suffix=".tickets")
        for number, ticket in enumerate(self.bench.mint_tickets(server, count)):
            file.write(f"user{number} {ticket}\n")
        file.flush()
        return file

    def drive(self, *arguments):
        done = subprocess.run(realtime() + [str(self.driver), *map(str, arguments)], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            sys.exit(done.stderr)
        return json.loads(done.stdout)

    def at_rate(self, name, server, ports, file, rates, seconds):
        for rate, first in rates:
            commits = server.store_commits() if hasattr(server, "store_commits") else None
            result = self.drive("rate", ports, file.name, rate, seconds, PARTNERS)
            accept, arrival = result["accept"], result["end_to_end"]
            whole = arrival["count"] >= result["sent"] and not result["refused"]
            figure = (f"accept {accept['p50_ms']:.1f} / {accept['p99_ms']:.1f} / {accept['p999_ms']:.1f} ms, "
                      f"end to end {arrival['p50_ms']:.1f} / {arrival['p99_ms']:.1f} / {arrival['p999_ms']:.1f} ms")
            if not whole:
                figure += f"; {arrival['count']} of {result['sent']} arrived, refused {result['refused']}"
            if commits is not None:
                figure += f"; {(server.store_commits() - commits) / max(1, accept['count']):.2f} syncs a message"
            good = whole and (not first or (accept["p99_ms"] <= 25 and arrival["p99_ms"] <= 60))
            self.bench.row(f"live messages at {rate:,}/s, {name}: p50 / p99 / p99.9", figure, "", "",
                           "p99 25 and 60 ms" if first else "", "20,000/s" if first else "", good)

    def sqlite(self):
        seconds = 5 if self.bench.QUICK else 20
        with self.bench.Server(*OPEN_LIMITS) as server, self.tickets(server, 500) as file:
            self.at_rate("SQLite", server, server.port, file,
                         [(1000, False), (5000, True), (8000, False), (12000, False)], seconds)

    def resume(self):
        with self.bench.Server(*OPEN_LIMITS) as server, self.tickets(server, 50) as file:
            result = self.drive("resume", server.port, file.name, 1000, 5 if self.bench.QUICK else 20)["resume"]
        self.bench.row("resume of 1,000 missed messages, p50 / max", f"{result['p50_ms']:.0f} / {result['max_ms']:.0f} ms",
                       "", "", "100 ms", "30 ms", result["p50_ms"] <= 100)

    def storm(self):
        count = 2000 if self.bench.QUICK else 10000
        with self.bench.Server(*OPEN_LIMITS) as server, self.tickets(server, count) as file:
            result = self.drive("storm", server.port, file.name)
        self.bench.row(f"reconnect storm of {count:,} clients: all resumed after",
                       f"{result['seconds']:.1f} s, {result['not_recovered']} not recovered, refused {result['refused']}",
                       "", "", "none refused", "", result["live"] == count and not result["refused"])

    def connections(self):
        """Memory and processor time of idle and of chatting connections, ours and others'."""
        count = 2000 if self.bench.QUICK else 10000
        rate = count // 20  # everybody says something every 20 s
        with self.bench.Server(*OPEN_LIMITS) as server, self.tickets(server, count) as file:
            ours = self.hold(server.process.pid, [str(self.driver), "hold", str(server.port), file.name], count, rate)
        others = {}
        for name, start in (("mosquitto", self.start_mosquitto), ("nats", self.start_nats), ("socketio", self.start_socketio)):
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o755)
                port = free_port()
                process = start(pathlib.Path(folder), port)
                try:
                    wait_for_port(port)
                    clients = ["node", str(self.bench.ROOT / "bench/others/clients.mjs"), name, str(port), str(count)]
                    others[name] = self.hold(process.pid, clients, count, rate)
                finally:
                    process.send_signal(signal.SIGTERM)
                    process.wait()
        shown = {"mosquitto": "mosquitto", "nats": "nats-server", "socketio": "socket.io"}
        memory = ", ".join(f"{shown[name]} {idle:,.0f} B" for name, (idle, _, _) in others.items())
        cpu = ", ".join(f"{shown[name]} {message * 1e6:.0f} us" for name, (_, message, _) in others.items())
        self.bench.row(f"connection with an inbox, at {count:,}, idle", f"{ours[0]:,.0f} B", memory,
                       f"{ours[0] / others['mosquitto'][0]:.1f} x mosquitto", "8 kB", "2 kB", ours[0] <= 8192)
        self.bench.row(f"processor time for a message among {count:,} chatting connections (ours is committed to disk and "
                       "acknowledged by its reader; mosquitto's has QoS 1 in memory, the others' nothing)",
                       f"{ours[1] * 1e6:.0f} us", cpu, f"{ours[1] / others['mosquitto'][1]:.1f} x mosquitto", "", "", True)

    def hold(self, pid, command, count, rate):
        """Bytes a connection, processor seconds a message, and idle processor share."""
        bench = self.bench
        before = bench.memory_bytes(pid)
        idle = subprocess.Popen([*command, "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not idle.stdout.readline():
            sys.exit(f"{command[0]}: the connections could not be opened")
        time.sleep(2)  # what the connects left behind is gone, and nothing moves
        each = (bench.memory_bytes(pid) - before) / count
        spent = bench.cpu_seconds(pid)
        time.sleep(5)
        share = (bench.cpu_seconds(pid) - spent) / 5
        idle.stdin.close()
        idle.wait()
        time.sleep(1)
        chatting = subprocess.Popen([*command, str(rate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        chatting.stdout.readline()
        time.sleep(2)
        spent = bench.cpu_seconds(pid)
        seconds = 5 if bench.QUICK else 15
        time.sleep(seconds)
        message = (bench.cpu_seconds(pid) - spent) / (seconds * rate)
        chatting.stdin.close()
        chatting.wait()
        return each, message, share

    def start_mosquitto(self, folder, port):
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\nlog_type error\nmax_queued_messages 1000\n")
        return subprocess.Popen(["mosquitto", "-c", str(folder / "mosquitto.conf")], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def start_nats(self, folder, port):
        (folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{free_port()}"\nwebsocket {{ listen: "127.0.0.1:{port}", no_tls: true }}\n')
        return subprocess.Popen(["nats-server", "-c", str(folder / "nats.conf")], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def start_socketio(self, _, port):
        folder = self.bench.ROOT / "bench/others"
        if not (folder / "node_modules").exists():
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return subprocess.Popen(["node", str(folder / "socketio_server.mjs"), str(port)], stdout=subprocess.DEVNULL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port):
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nobody listens on {port}")
