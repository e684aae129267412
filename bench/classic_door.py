"""The rows of the classic door, driven by bench/classic.mjs."""
import json
import os
import subprocess
import tempfile

from report import BIN, ROOT, options, row


def drive(what, amount):
    with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:
        subprocess.run(["node", "--experimental-websocket", "--no-warnings", ROOT / "bench/classic.mjs", answer.name, what,
                        str(amount)], check=True, stdout=subprocess.DEVNULL, env={**os.environ, "COUNTERSIGN_BIN": str(BIN / "countersign")})
        return json.load(answer)


def classic():
    if not (ROOT / "tests/classic/node_modules").is_dir():
        subprocess.run(["npm", "ci", "--silent"], cwd=ROOT / "tests/classic", check=True)
    times = drive("sdk", 10 if options.quick else 50)
    for what, name in (("start() to started", "start"), ("send to receipt", "receipt")):
        theirs, ours = times[f"classic {name}"]["p50_ms"], times[f"native {name}"]["p50_ms"]
        row(f"classic SDK, {what}, p50", f"{theirs:.0f} ms", f"our SDK: {ours:.0f} ms", f"{theirs / ours:.1f} x", "10 x", "", theirs < 10 * ours)
    count = 2_000 if options.quick else 10_000
    held = drive("polls", count)
    row(f"held classic poll with its connection, at {count:,}", f"{held['bytes']:,.0f} B", "", "", "4 kB", "2 kB", held["bytes"] <= 4096)
    row(f"processor time of {count:,} held polls", f"{held['taking_ms']:.2f} ms to take one, {held['holding_percent']:.1f} % of a core to hold all",
        "", "", "5 % of a core", "", held["holding_percent"] <= 5)
    sent = drive("rate", 5 if options.quick else 20)
    times = sent["end_to_end"]
    row("messages through the classic door, two publishes and a poll each, 16 senders", f"{sent['per_second']:.0f}/s, {sent['processor_ms']:.2f} ms of "
        f"the server's processor each; end to end {times['p50_ms']:.0f} / {times['p99_ms']:.0f} ms", "", "", "200/s", "", sent["per_second"] >= 200)
