"""The rows of messages: latency at fixed rates and at the highest that is held, resume, storm, and a flood."""
import json
import statistics
import subprocess
import sys
import time

from report import BIN, clients, options, row
from rigs import Server, postgres_nodes, realtime, sqlite_node, ticket_file

OPEN_LIMITS = ("limits.max_connections=30000", "limits.max_connections_per_address=2000",
               "limits.commands_per_second=5000", "limits.messages_per_second=5000",
               "messages.unknown_users=keep", "messages.inbox_entries=1000000",
               "messages.inbox_entries_of_sender=1000000")

USERS = 500
PARTNERS = 8  # of each person, in the rows of fixed rates
STEP = 1000  # the highest rate is found to so many messages a second
LATE = 250  # ms end to end, p99: a rate that is later is not held


def drive(*arguments, begins=lambda: None):
    """What the driver says at its end; calls `begins` when the measurement of a rate does."""
    process = subprocess.Popen(realtime() + [str(BIN / "message_driver"), *map(str, arguments)], stdout=subprocess.PIPE,
                               text=True)
    for line in process.stdout:
        if line == "measuring\n":
            begins()
        else:
            result = line
    if process.wait() != 0:
        sys.exit(f"message_driver {arguments[0]} failed")
    return json.loads(result)


def at_rate(nodes, tickets, rate, seconds):
    """What the driver says, with `syncs` a message, whether all is `whole` and whether the rate was `held`."""
    before = []
    result = drive("rate", nodes.ports, tickets, rate, seconds, PARTNERS, begins=lambda: before.append(nodes.syncs()))
    accept, arrival = result["accept"], result["end_to_end"]
    result["syncs"] = (nodes.syncs() - before[0]) / max(1, accept["count"])
    result["whole"] = arrival["count"] == result["sent"] and not result["refused"] and not result["lost_connections"]
    result["held"] = result["whole"] and arrival["p99_ms"] <= LATE
    if not result["held"]:
        time.sleep(3)  # what was too much is worked off before the next run
    return result


def highest_rate(nodes, tickets, quick):
    """The highest rate that is held for some seconds: doubled until one is not, then halved in between. Looks no
    longer than a minute, or a third of it."""
    end = time.monotonic() + (20 if quick else 60)
    held, failed = 0, 32 * STEP
    while failed - held > STEP and time.monotonic() < end:
        middle = (held + failed) // 2 // STEP * STEP
        rate = min(2 * held or 2 * STEP, middle)
        if at_rate(nodes, tickets, rate, 2 if quick else 4)["held"]:
            held = rate
        else:
            failed = rate
    return max(held, STEP)


def latency_row(what, result, first="", goal="", good=True):
    accept, arrival = result["accept"], result["end_to_end"]
    figure = (f"accept {accept['p50_ms']:.1f} / {accept['p99_ms']:.1f} / {accept['p999_ms']:.1f} ms, "
              f"end to end {arrival['p50_ms']:.1f} / {arrival['p99_ms']:.1f} / {arrival['p999_ms']:.1f} ms; "
              f"{result['syncs']:.2f} syncs a message")
    if not result["whole"]:
        figure += (f"; {arrival['count']:,} of {result['sent']:,} arrived, refused {result['refused']}, "
                   f"{result['lost_connections']} connections lost")
    row(f"live messages {what}: p50 / p99 / p99.9", figure, "", "", first, goal, good and result["whole"])


def fixed_and_highest(nodes, budgets):
    """@param budgets  whether those for 5,000/s hold here"""
    seconds = 5 if options.quick else 20
    with ticket_file(nodes.application, USERS) as tickets:
        latency_row(f"at 1,000/s, {nodes.name}", at_rate(nodes, tickets, 1000, seconds))
        result = at_rate(nodes, tickets, 5000, seconds)
        good = result["accept"]["p99_ms"] <= 25 and result["end_to_end"]["p99_ms"] <= 60
        latency_row(f"at 5,000/s, {nodes.name}", result, *(("p99 25 and 60 ms", "20,000/s", good) if budgets else ()))
        rate = highest_rate(nodes, tickets, options.quick)
        result = at_rate(nodes, tickets, rate, seconds)
        for _ in range(3):  # what is held for seconds may not be for longer
            if result["held"] or rate == STEP:
                break
            rate -= STEP
            result = at_rate(nodes, tickets, rate, seconds)
        latency_row(f"at {rate:,}/s, the highest rate held on {nodes.name} (all arrive, p99 below {LATE} ms)", result,
                    *(("5,000/s", "20,000/s") if budgets else ("", "")),
                    good=result["held"] and (rate >= 5000 or not budgets))


def sqlite():
    with sqlite_node(*OPEN_LIMITS) as nodes:
        fixed_and_highest(nodes, budgets=True)


def postgres():
    with postgres_nodes(*OPEN_LIMITS) as nodes:
        fixed_and_highest(nodes, budgets=False)


def two_nodes():
    with postgres_nodes(*OPEN_LIMITS, count=2) as nodes:
        fixed_and_highest(nodes, budgets=False)


def resume():
    with Server(*OPEN_LIMITS) as server, ticket_file(server.application, 50) as tickets:
        result = drive("resume", server.port, tickets, 1000, 5 if options.quick else 20)["resume"]
    row("resume of 1,000 missed messages, p50 / max", f"{result['p50_ms']:.0f} / {result['max_ms']:.0f} ms",
        "", "", "100 ms", "30 ms", result["p50_ms"] <= 100)


def storm():
    count = clients()
    with Server(*OPEN_LIMITS) as server, ticket_file(server.application, count) as tickets:
        result = drive("storm", server.port, tickets)
    good = result["live"] == count and not result["not_recovered"] and not result["refused"] and not result["lost_connections"]
    row(f"reconnect storm of {count:,} clients: all resumed after",
        f"{result['seconds']:.1f} s; {result['not_recovered']} not recovered, {result['lost_connections']} turned away, "
        f"refused {result['refused']}", "", "", "none refused", "", good)


def flood():
    """A quiet pair, a message each 50 ms between them, alone and beside ten who flood; the limits are the defaults."""
    seconds = 6 if options.quick else 20
    with Server("messages.unknown_users=keep") as server, ticket_file(server.application, 2, "quiet") as quiet, \
            ticket_file(server.application, 10, "hostile") as hostile:
        alone, beside = [], []
        for _ in range(1 if options.quick else 3):
            alone.append(drive("rate", server.port, quiet, 20, seconds, 1))
            flooder = subprocess.Popen([BIN / "flood_driver", str(server.port), hostile], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)
            beside.append(drive("rate", server.port, quiet, 20, seconds, 1))
            memory = server.memory_bytes()
            said, _ = flooder.communicate()
            if flooder.returncode != 0:
                sys.exit("the flood failed")
    done = json.loads(said)
    p99 = {name: (statistics.median(run[name]["p99_ms"] for run in alone), statistics.median(run[name]["p99_ms"] for run in beside))
           for name in ("accept", "end_to_end")}
    trouble = [run for run in alone + beside
               if run["refused"] or run["lost_connections"] or run["end_to_end"]["count"] != run["sent"]]
    each = {name: count / done["seconds"] for name, count in done.items()}
    row(f"p99 of a quiet user while ten connections flood ({each['commands']:,.0f} commands/s written, {each['connects']:,.0f} connects/s, "
        f"{each['long_frames']:,.0f} too long frames/s; {each['refused']:,.0f} refusals/s, {each['cut']:,.0f} cut/s)",
        f"accept {p99['accept'][1]:.1f} ms, end to end {p99['end_to_end'][1]:.1f} ms; "
        f"{'all arrived' if not trouble else 'NOT all arrived'}; server at {memory / 1e6:.0f} MB",
        f"without the flood: {p99['accept'][0]:.1f} ms, {p99['end_to_end'][0]:.1f} ms",
        f"{p99['accept'][1] / p99['accept'][0]:.1f} x, {p99['end_to_end'][1] / p99['end_to_end'][0]:.1f} x", "", "", not trouble)
