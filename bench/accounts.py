"""The rows of tickets, pages and sign-ins."""
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

from report import BIN, options, row
from rigs import Server, cpu_seconds, form, realtime


def load(*arguments):
    done = subprocess.run([BIN / "load_driver", *map(str, arguments)], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def at_fixed_rate(port, request, seconds):
    """p99 in ms at 2,000/s."""
    command = [BIN / "load_driver", "fixed-rate", str(port), request.name, "2000", str(seconds), "32"]
    done = subprocess.run(realtime() + command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)["p99_ms"]


def ticket_request(port, cookie):
    return (f"POST /v1/tickets HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
            "Sec-Fetch-Site: same-origin\r\nContent-Type: application/json\r\n"
            "Content-Length: 0\r\n\r\n")


def sign_in_request(port, name):
    body = form(name)
    return (f"POST /users/sign_in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}")


def wrk(url, seconds, cookie=None):
    script = tempfile.NamedTemporaryFile("w", suffix=".lua")
    script.write('wrk.method = "POST"\nwrk.headers["Sec-Fetch-Site"] = "same-origin"\n'
                 'wrk.headers["Content-Type"] = "application/json"\n')
    if cookie:
        script.write(f'wrk.headers["Cookie"] = "{cookie}"\n')
    script.flush()
    done = subprocess.run(["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", script.name, url],
                          capture_output=True, text=True, check=True)
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    if bad:
        sys.exit(f"{url}: {bad[1]} answers were errors")
    return requests


def start_nginx(directory, body):
    (directory / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {directory}/b; proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;
  uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{ listen 127.0.0.1:18099; location / {{ default_type application/json; return 200 '{body}'; }} }}
}}
""")
    process = subprocess.Popen(["nginx", "-c", str(directory / "nginx.conf")], stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            http.client.HTTPConnection("127.0.0.1", 18099, timeout=1).connect()
            break
        except OSError:
            time.sleep(0.02)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    return process, int(workers[0])


def tickets():
    ratios, times = {"mint": [], "verify": []}, {"mint": [], "verify": []}
    for _ in range(3 if options.quick else 15):
        done = subprocess.run([BIN / "ticket_bench"], capture_output=True, text=True, check=True)
        for name, ratio, nanoseconds in re.findall(r"^(mint|verify) ratio (\S+) .*? (\d+) ns$", done.stdout, re.M):
            ratios[name].append(float(ratio))
            times[name].append(int(nanoseconds))
        # A run takes a second, and a busy neighbour halves all but SHA-256 for longer than that.
        time.sleep(3)
    for name, first, goal in (("mint", 0.50, 0.60), ("verify", 0.35, 0.45)):
        ratio = statistics.median(ratios[name])
        row(f"{name} a user ticket, one core", f"{statistics.median(times[name])} ns",
            "SHA-256 block rate, 4 blocks a ticket",
            f"{ratio:.2f} ({min(ratios[name]):.2f} to {max(ratios[name]):.2f})", f"{first:.2f}", f"{goal:.2f}",
            ratio >= first)


def http_request():
    rounds, seconds = (2, 1) if options.quick else (5, 2)
    with Server("server.shards=1", people=["ada"]) as server, tempfile.TemporaryDirectory() as scratch:
        os.chmod(scratch, 0o755)
        cookie = server.sign_in("ada")
        nginx, worker = start_nginx(pathlib.Path(scratch), "x" * 302)
        ours, theirs = [], []
        try:
            for _ in range(rounds):
                before = cpu_seconds(worker)
                count = wrk("http://127.0.0.1:18099/", seconds)
                theirs.append((cpu_seconds(worker) - before) / count * 1e6)
                before = server.cpu_seconds()
                count = wrk(f"http://127.0.0.1:{server.port}/v1/tickets", seconds, cookie)
                ours.append((server.cpu_seconds() - before) / count * 1e6)
        finally:
            nginx.terminate()
            nginx.wait()
    mine, yardstick = statistics.median(ours), statistics.median(theirs)
    row("`POST /v1/tickets`, keep-alive, session looked up", f"{mine:.2f} us CPU",
        f"nginx `return 200`: {yardstick:.2f} us", f"{mine / yardstick:.2f} x", "1.5 x", "1.15 x",
        mine / yardstick <= 1.5)


def sign_in():
    seconds = 4 if options.quick else 10
    people = [f"person{i}" for i in range(40)]
    cores = os.cpu_count()
    with Server("limits.max_connections_per_address=1000", people=people) as server, \
            tempfile.NamedTemporaryFile("w", suffix=".txt") as requests:
        requests.write("%%\n".join(sign_in_request(server.port, name) for name in people))
        requests.flush()
        bare, ours = [], []
        for _ in range(1 if options.quick else 3):
            done = subprocess.run([BIN / "argon2_bench", str(cores), str(seconds / 2)],
                                  capture_output=True, text=True, check=True)
            bare.append(json.loads(done.stdout)["hashes_per_second"])
            # As many clients as the floor of 250 to 335 ms makes wait; a 503 makes one rest a second.
            answers = load("closed", server.port, requests.name, seconds, 24 * cores, 303)
            ours.append(answers["per_second"])
    ratio = statistics.median(ours) / statistics.median(bare)
    row("sign-in on all cores", f"{statistics.median(ours):.1f}/s",
        f"bare argon2id: {statistics.median(bare):.1f}/s", f"{ratio:.2f}", "0.85", "0.95", ratio >= 0.85)


def latency():
    seconds = 3 if options.quick else 8
    people = [f"person{i}" for i in range(20)]
    with Server("limits.max_connections_per_address=1000", people=people) as server, \
            tempfile.NamedTemporaryFile("w") as request, tempfile.NamedTemporaryFile("w") as flood:
        request.write(ticket_request(server.port, server.sign_in("person0")))
        request.flush()
        flood.write("%%\n".join(sign_in_request(server.port, name) for name in people[1:]))
        flood.flush()
        alone, flooded = [], []
        for _ in range(1 if options.quick else 3):
            alone.append(at_fixed_rate(server.port, request, seconds))
            other = subprocess.Popen([BIN / "load_driver", "closed", str(server.port), flood.name,
                                      str(seconds + 1), "64", "303"], stdout=subprocess.PIPE, text=True)
            time.sleep(0.5)  # the flood is on before the measurement begins
            flooded.append(at_fixed_rate(server.port, request, seconds))
            other.wait()
    base, loaded = statistics.median(alone), statistics.median(flooded)
    row("`POST /v1/tickets` p99 at 2,000/s while sign-ins saturate the pool", f"{loaded:.2f} ms",
        f"without sign-ins: {base:.2f} ms", f"{loaded / base:.1f} x", "3 x", "1.5 x", loaded / base <= 3)
