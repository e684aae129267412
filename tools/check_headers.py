#!/usr/bin/env python3
"""Proves that each public header compiles alone, under every compiler at hand, warnings as errors."""
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    compilers = [c for c in ("g++", "clang++-14") if shutil.which(c)]
    headers = sorted((ROOT / "include").rglob("*.h"))
    jobs = [(c, h) for c in compilers for h in headers]

    def alone(job):
        compiler, header = job
        name = header.relative_to(ROOT / "include")
        done = subprocess.run(
            [compiler, "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
             "-I", str(ROOT / "include"), "-x", "c++", "-"],
            input=f'#include "{name}"\n#include "{name}"\n', text=True, capture_output=True)
        return f"{compiler} {name}:\n{done.stderr}" if done.returncode else ""

    with concurrent.futures.ThreadPoolExecutor() as pool:
        bad = [text for text in pool.map(alone, jobs) if text]
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    main()
