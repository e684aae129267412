#!/usr/bin/env python3
"""Checks the documents: links within the project lead somewhere, every page is reachable from the
README, and every file that a document names in backticks with a folder exists."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("src/", "include/", "docs/", "tools/", "tests/", "api/", "migrations/", "bench/", "fuzz/",
         "web/", "sdk/", "cmake/", "examples/", "packaging/")


def anchors(text):
    """The anchors that a page's headings make, as GitHub forms them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def main():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                             check=True).stdout.split("\n")
    pages = [name for name in tracked if name.endswith(".md")]
    problems = []
    reached = {"README.md"}
    queue = ["README.md"]
    while queue:
        name = queue.pop()
        text = (ROOT / name).read_text()
        prose = re.sub(r"```.*?```", "", text, flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            full = (ROOT / name).parent / path if path else ROOT / name
            if not full.exists():
                problems.append(f"{name}: {target} leads nowhere")
                continue
            if anchor and full.suffix == ".md" and anchor not in anchors(full.read_text()):
                problems.append(f"{name}: {target} has no such heading")
            inner = str(full.resolve().relative_to(ROOT))
            if inner.endswith(".md") and inner not in reached:
                reached.add(inner)
                queue.append(inner)
    for name in pages:
        text = (ROOT / name).read_text()
        for path in re.findall(r"`([\w./-]+)`", text):
            if path.startswith(ROOMS) and "." in path.rsplit("/", 1)[-1] and not (ROOT / path).exists():
                problems.append(f"{name}: `{path}` does not exist")
        if name not in reached and name.startswith("docs/"):
            problems.append(f"{name}: not reachable from README.md")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
