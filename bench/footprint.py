"""The rows of size: memory of connections, the start, the build, and connections beside other servers."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import other_servers
import rigs
from messages import OPEN_LIMITS
from report import BIN, ROOT, clients, options, row
from rigs import Server, ticket_file


def memory():
    count = clients()
    with Server("limits.max_connections=20000", "limits.max_connections_per_address=1000") as server, \
            tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(rigs.mint_tickets(server.application, count)))
        file.flush()
        before = server.memory_bytes()
        driver = subprocess.Popen([BIN / "load_driver", "gateway", str(server.port), file.name, str(count)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = driver.stdout.readline()
        if not ready:
            sys.exit("the driver could not open its connections")
        time.sleep(2)  # what the connects left behind is gone, and nothing moves
        each = (server.memory_bytes() - before) / count
        driver.stdin.close()
        driver.wait()
    bare = json.loads(subprocess.run([BIN / "idle_bench", str(count)], capture_output=True, text=True,
                                     check=True).stdout)["bytes_per_connection"]
    row(f"idle gateway connection, all its state, at {count:,}", f"{each:,.0f} B",
        f"bare Asio coroutine: {bare:,} B", f"{each / bare:.1f} x", "8 kB", "2 kB", each <= 8192)


def start():
    times, memory = [], []
    for _ in range(3 if options.quick else 7):
        with Server() as server:
            times.append(server.start_seconds)
            time.sleep(0.5)  # at rest
            memory.append(server.memory_bytes() / 1e6)
    seconds, megabytes = statistics.median(times), statistics.median(memory)
    row("fresh start: to `ready`", f"{seconds:.2f} s", "", "", "0.3 s", "0.1 s", seconds <= 0.3)
    row("memory at rest", f"{megabytes:.1f} MB", "the tutorial's Rails app: 91 MB",
        f"{megabytes / 91:.2f}", "25 MB", "15 MB", megabytes <= 25)


def build():
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch) / "countersign"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(tree)], check=True)
        started = time.monotonic()
        subprocess.run([str(tree / "run"), "build"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=dict(os.environ, CCACHE_DISABLE="1"))
        seconds = time.monotonic() - started
    row(f"`./run build` from a clean tree, {os.cpu_count()} cores", f"{seconds / 60:.1f} min", "", "",
        "6 min", "3 min", seconds <= 360)


def connections():
    """Memory and processor time of idle and of chatting connections, ours and others'."""
    count = clients()
    rate = max(1, count // 20)  # everybody says something every 20 s
    with Server(*OPEN_LIMITS) as server, ticket_file(server.application, count) as tickets:
        ours = hold(server.process.pid, [BIN / "message_driver", "hold", server.port, tickets], count, rate)
    others = {}
    for name, (protocol, start) in other_servers.ALL.items():
        with start() as (process, port):
            others[name] = hold(process.pid, ["node", ROOT / "bench/others/clients.mjs", protocol, port, count], count, rate)

    def beside(what, key, shown, **budget):
        """A row: our figure, the others', and ours against the smallest of these."""
        least = min(others, key=lambda name: others[name][key])
        ratio = f"{ours[key] / others[least][key]:.1f} x {least}" if others[least][key] > 0 else ""
        row(what, shown(ours[key]), ", ".join(f"{name} {shown(value[key])}" for name, value in others.items()), ratio, **budget)

    def memory(value):
        return f"{value:,.0f} B"

    beside(f"idle connection with an inbox, at {count:,}: memory", "idle_bytes", memory,
           first="8 kB", goal="2 kB", good=ours["idle_bytes"] <= 8192)
    beside(f"{count:,} idle connections: processor", "idle_share", lambda share: f"{share * 100:.1f} % of a core")
    beside(f"chatting connection, at {count:,}, each a message every 20 s: memory", "chatting_bytes", memory)
    beside(f"message among {count:,} chatting connections: processor (ours is on disk and acknowledged by its reader; "
           "mosquitto's is acknowledged and in memory, the others' neither)", "message_seconds", lambda time: f"{time * 1e6:,.0f} us")


def hold(pid, command, count, rate):
    """What idle and chatting connections cost the server with this process id."""
    before = rigs.memory_bytes(pid)

    def measured(rate, seconds):
        """Bytes a connection, and processor seconds a second, of connections that say something at this rate."""
        clients = subprocess.Popen([*map(str, command), str(rate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not clients.stdout.readline():
            sys.exit(f"{' '.join(map(str, command))}: the connections could not be opened")
        time.sleep(2)  # what the connects left behind is gone
        spent = rigs.cpu_seconds(pid)
        time.sleep(seconds)
        spent = (rigs.cpu_seconds(pid) - spent) / seconds
        each = (rigs.memory_bytes(pid) - before) / count
        said = json.loads(clients.communicate()[0])
        if said["arrived"] < 0.9 * said["sent"]:  # the last ones are on their way
            sys.exit(f"{' '.join(map(str, command))}: {said['arrived']} of {said['sent']} arrived")
        return each, spent

    # A round of pings takes 25 s, with ours and with socket.io.
    idle_bytes, idle_share = measured(0, 5 if options.quick else 25)
    time.sleep(1)  # these have left
    chatting_bytes, chatting_share = measured(rate, 5 if options.quick else 15)
    return {"idle_bytes": idle_bytes, "idle_share": idle_share, "chatting_bytes": chatting_bytes,
            "message_seconds": chatting_share / rate}
