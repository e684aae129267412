"""What is measured: servers of ours, alone on SQLite or on PostgreSQL, two nodes, and what they need; other
people's servers. All on free ports of the loopback, with their data in folders that go with them."""
import base64
import contextlib
import glob
import hashlib
import hmac
import http.client
import json
import mmap
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid

from report import BIN

PASSWORD = "a bench password, long enough"


def realtime():
    """Words before a driver's command, where they are allowed (root): people wait for the server, not for a
    driver that waits for a processor."""
    allowed = subprocess.run(["chrt", "-f", "1", "true"], capture_output=True, check=False).returncode == 0
    return ["chrt", "-f", "1"] if allowed else []


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid):
    """Proportional set size: what is ours alone, and our share of what is shared."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) * 1024


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process):
    for _ in range(1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    sys.exit(f"{process.args[0]} does not listen on {port}")


@contextlib.contextmanager
def folder_for_all():
    """A folder that servers of other users may enter."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@contextlib.contextmanager
def running(command, port, how=signal.SIGTERM, **more):
    """A process that listens on a port, until the end of the block."""
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        wait_for_port(port, process)
        yield process
    finally:
        process.send_signal(how)
        process.wait()


class SyncCounter:
    """Counts fsync and fdatasync of the processes that get its environment (sync_counter.cc)."""

    def __init__(self, folder):
        library = shutil.copy(BIN / "sync_counter.so", folder)  # where everybody may read it
        path = folder / "syncs"
        path.write_bytes(bytes(8))
        path.chmod(0o666)  # PostgreSQL is another user
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "SYNC_COUNTER": str(path)}
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)

    def count(self):
        return struct.unpack("=Q", self.map[:])[0]


class Server:
    """A server of ours in a directory of its own, and what the kernel says of it."""

    def __init__(self, *settings, people=(), environment=None, application=None):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        self.data = self.directory / "data"
        for name in people:
            subprocess.run([BIN / "countersign", "user", "add", "--data-dir", self.data, name],
                           input=PASSWORD + "\n", text=True, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started = time.monotonic()
        command = [BIN / "countersign", "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0",
                   "--set", "metrics.listen="]
        for setting in settings:
            command += ["--set", setting]
        self.log = open(self.directory / "log", "wb")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)
        line = self.process.stdout.readline()
        self.start_seconds = time.monotonic() - started
        if not line.startswith("ready "):
            sys.exit((self.directory / "log").read_text())
        self.port = int(line.rsplit(":", 1)[1])
        self.application = application or ((self.data / "app.key").read_text().strip(),
                                           (self.data / "app.secret").read_text().strip())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def memory_bytes(self):
        return memory_bytes(self.process.pid)

    def sign_in(self, name):
        """The session cookie of a person."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("POST", "/users/sign_in", form(name),
                           {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"})
        answer = connection.getresponse()
        answer.read()
        cookies = [value for key, value in answer.getheaders() if key.lower() == "set-cookie"]
        if answer.status != 303:
            sys.exit(f"sign-in of {name} answered {answer.status}")
        session = next(c for c in cookies if "_session=" in c)
        return session.split(";", 1)[0]


def form(name):
    return "username=" + name + "&password=" + PASSWORD.replace(" ", "+").replace(",", "%2C")


def mint_tickets(application, count, prefix="user"):
    key, secret = application[0], base64.b64decode(application[1])
    tickets = []
    for i in range(count):
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        payload = json.dumps({"identity": {"type": "username", "endpoint": f"{prefix}{i}"},
                              "expiresIn": 3600, "applicationKey": key, "created": created},
                             separators=(",", ":")).encode()
        mac = hmac.new(secret, payload, hashlib.sha256).digest()
        tickets.append(base64.b64encode(payload).decode() + ":" + base64.b64encode(mac).decode())
    return tickets


@contextlib.contextmanager
def ticket_file(application, count, prefix="user"):
    """A file for the drivers, `USER TICKET` a line; its name."""
    with tempfile.NamedTemporaryFile("w", suffix=".tickets") as file:
        for number, ticket in enumerate(mint_tickets(application, count, prefix)):
            file.write(f"{prefix}{number} {ticket}\n")
        file.flush()
        yield file.name


class Nodes:
    """One node of ours or several: what drivers have to know, and the syncs of everything below."""

    def __init__(self, name, servers, counter):
        self.name = name
        self.servers = servers
        self.ports = ",".join(str(server.port) for server in servers)
        self.application = servers[0].application
        self.syncs = counter.count


@contextlib.contextmanager
def sqlite_node(*settings):
    with folder_for_all() as folder:
        counter = SyncCounter(folder)
        with Server(*settings, environment=counter.environment) as server:
            yield Nodes("SQLite", [server], counter)


@contextlib.contextmanager
def postgres_nodes(*settings, count=1):
    """Nodes on a PostgreSQL with the settings it comes with; several hear of each other through one NATS server."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(folder_for_all())
        counter = SyncCounter(folder)
        application = (str(uuid.uuid4()), base64.b64encode(secrets.token_bytes(32)).decode())
        write_secret(folder / "app.secret", application[1])
        write_secret(folder / "master.key", secrets.token_urlsafe(32))
        ours = [f"storage.url={stack.enter_context(postgres(folder, counter.environment))}",
                f"application.key={application[0]}", f"application.secret_file={folder / 'app.secret'}",
                f"master_key_file={folder / 'master.key'}"]
        if count > 1:
            ours.append(f"bus.url={stack.enter_context(nats(folder))}")
        servers = [stack.enter_context(Server(*settings, *ours, environment=counter.environment, application=application))
                   for _ in range(count)]
        name = "PostgreSQL" if count == 1 else f"{count} nodes, PostgreSQL and NATS"
        yield Nodes(name, servers, counter)


def write_secret(path, text):
    path.write_text(text)
    path.chmod(0o600)


@contextlib.contextmanager
def postgres(folder, environment):
    """The URL of a new database. PostgreSQL refuses root, who runs it as the user postgres."""
    programs = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
    wrap = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"] if os.getuid() == 0 else []
    data = folder / "postgres"
    data.mkdir(0o700)
    if wrap:
        shutil.chown(data, "postgres", "postgres")
    subprocess.run([*wrap, f"{programs}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"],
                   check=True, stdout=subprocess.DEVNULL, cwd="/")
    port = free_port()
    command = [*wrap, f"{programs}/postgres", "-D", data, "-p", port, "-k", data, "-c", "listen_addresses=127.0.0.1"]
    with running(command, port, signal.SIGINT, env=environment, cwd="/"):
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        for _ in range(500):  # it listens before it takes anybody
            if subprocess.run([f"{programs}/pg_isready", "-q", "-d", url], check=False).returncode == 0:
                break
            time.sleep(0.02)
        yield url


@contextlib.contextmanager
def nats(folder):
    """The URL of a NATS server for the bus."""
    port = free_port()
    (folder / "bus.conf").write_text(f'server_name: bench\nlisten: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/js", max_mem: 64MB }}\n')
    with running(["nats-server", "-c", folder / "bus.conf"], port):
        yield f"nats://127.0.0.1:{port}"
