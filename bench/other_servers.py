"""Other people's servers of messages, each with a WebSocket port; bench/others/clients.mjs speaks to them."""
import contextlib
import subprocess

from report import ROOT
from rigs import folder_for_all, free_port, running

FOLDER = ROOT / "bench/others"


@contextlib.contextmanager
def mosquitto():
    """(process, port)"""
    port = free_port()
    with folder_for_all() as folder:
        (folder / "mosquitto.conf").write_text(
            # It does not start with a WebSocket listener alone.
            f"listener {port} 127.0.0.1\nprotocol websockets\nlistener {free_port()} 127.0.0.1\nallow_anonymous true\nlog_type error\nmax_queued_messages 1000\n")
        with running(["mosquitto", "-c", folder / "mosquitto.conf"], port) as process:
            yield process, port


@contextlib.contextmanager
def nats_server():
    port = free_port()
    with folder_for_all() as folder:
        (folder / "nats.conf").write_text(
            f'listen: "127.0.0.1:{free_port()}"\nwebsocket {{ listen: "127.0.0.1:{port}", no_tls: true }}\n')
        with running(["nats-server", "-c", folder / "nats.conf"], port) as process:
            yield process, port


@contextlib.contextmanager
def socket_io():
    port = free_port()
    if not (FOLDER / "node_modules").exists():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, stdout=subprocess.DEVNULL)
    with running(["node", FOLDER / "socketio_server.mjs", port], port) as process:
        yield process, port


ALL = {"mosquitto": ("mosquitto", mosquitto), "nats-server": ("nats", nats_server), "socket.io": ("socketio", socket_io)}
