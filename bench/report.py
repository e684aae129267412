"""What all rows share: where things are, what was asked for, and how a row is printed."""
import pathlib
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent
TREE = ROOT / "build/release"
BIN = TREE / "bin"

options = types.SimpleNamespace(quick=False, clients=None)  # of the command line


def clients():
    """How many clients stand for many: 10,000, but for a first look."""
    return options.clients or (2000 if options.quick else 10000)


def say(text):
    print(text, flush=True)


def row(what, figure, yardstick="", ratio="", first="", goal="", good=True):
    """@param first  the first budget, and `good` whether it is met; a row without one may be bad too."""
    verdict = "met" if good else "MISSED"
    budget = f"{first} ({verdict})" if first else ("" if good else verdict)
    say(f"| {what} | {figure} | {yardstick} | {ratio} | {budget} | {goal} |")
