#!/usr/bin/env python3
"""Builds and runs the parts of the test suite and adds up what they counted; see ./test."""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEFAULT_PARTS = ["checks", "unit", "sdk", "interop", "integration", "browser"]
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:die_after_fork=0:suppressions={ROOT}/tools/tsan.supp",
}


class Tally:
    """What passed, failed and was skipped, and how long each part took."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.failures = []

    def add(self, name, passed, failed, skipped, seconds, output=""):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        note = f", {skipped} skipped" if skipped else ""
        print(f"{'FAIL' if failed else 'ok  '} {name}: {passed} passed, {failed} failed{note} ({seconds:.1f} s)",
              flush=True)
        if failed:
            self.failures += [f"{name}: {case}" for case in failed_cases(output)] or [name]
            if output:
                print(output, flush=True)


def failed_cases(output):
    """The names of the failed tests in what GoogleTest, a TAP reporter or vitest's report below wrote, each once."""
    found = re.findall(r"^\[  FAILED  \] ([^\s,]+\.[^\s,]+)|^ *not ok \d+ - (.+)$|^failed case: (.+)$", output, re.M)
    return list(dict.fromkeys("".join(case) for case in found))


def run(command, env=None, cwd=ROOT, timeout=1800):
    merged = dict(os.environ, **(env or {}))
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=cwd, env=merged, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=timeout)
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        code, output = 124, (late.stdout or b"") + b"\n(timed out)\n"
    return code, output.decode(errors="replace"), time.monotonic() - started


def build(preset, targets, tests=True):
    """Configures and builds; a failure ends the run, with what the compiler said."""
    tree = ROOT / "build" / preset
    configure = ["cmake", "--preset", preset]
    if preset != "fuzz":
        configure.append(f"-DCOUNTERSIGN_TESTS={'ON' if tests else 'OFF'}")
    for command in (configure, ["cmake", "--build", str(tree), "--target", *targets]):
        code, output, seconds = run(command, timeout=3600)
        if code != 0:
            print(output)
            print(f"FAIL building {preset}")
            print("0 passed, 1 failed")
            sys.exit(1)
    print(f"ok   built {preset} ({seconds:.0f} s)", flush=True)
    return tree


def gtest_counts(program, env, label, tally):
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [str(program), f"--gtest_output=json:{report.name}", "--gtest_brief=1"]
        chosen = os.environ.get("COUNTERSIGN_GTEST_FILTER")
        if chosen:
            command.append(f"--gtest_filter={chosen}")
        code, output, seconds = run(command, env)
        try:
            data = json.loads(pathlib.Path(report.name).read_text())
        except (OSError, ValueError):
            data = None
    if data is None:
        return (f"{label} {program.name}", 0, 1, 0, seconds, output or f"exit status {code}")
    skipped = sum(1 for suite in data["testsuites"] for case in suite["testsuite"]
                  if case.get("result") == "SKIPPED")
    failed = data["failures"] + data.get("errors", 0)
    passed = data["tests"] - data["failures"] - data.get("disabled", 0) - skipped
    if code != 0 and failed == 0:
        failed = 1  # ended badly after its last test
    return (f"{label} {program.name}", passed, failed, skipped, seconds, output)


def unit(tally, preset="release", env=None):
    tree = build(preset, ["all"])
    programs = sorted((tree / "tests").glob("*_tests"))
    if not programs:
        tally.add(f"unit ({preset})", 0, 1, 0, 0, "no test programs were built")
        return
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        jobs = [pool.submit(gtest_counts, program, env, preset, tally) for program in programs]
        for job in concurrent.futures.as_completed(jobs):
            tally.add(*job.result())


def simple_check(tally, name, command, env=None):
    code, output, seconds = run(command, env)
    tally.add(name, int(code == 0), int(code != 0), 0, seconds, output)


def checks(tally):
    build("release", ["countersign"])
    files = subprocess.run(["git", "ls-files", "*.cc", "*.h"], cwd=ROOT, capture_output=True,
                           text=True, check=True).stdout.split()
    simple_check(tally, "format", ["clang-format", "--dry-run", "-Werror", *files])
    simple_check(tally, "layers", ["python3", "tools/check_layers.py"])
    simple_check(tally, "layers check catches violations", ["python3", "tools/check_layers.py", "--self-test"])
    simple_check(tally, "error codes drift", ["python3", "tools/generate_codes.py", "--check"])
    simple_check(tally, "reference pages drift", ["python3", "tools/generate_reference.py", "--check"])
    simple_check(tally, "documents", ["python3", "tools/check_documents.py"])
    simple_check(tally, "documents check catches violations", ["python3", "tools/check_documents.py", "--self-test"])
    simple_check(tally, "headers alone", ["python3", "tools/check_headers.py"])


def node_tests(tally, name, files, env=None):
    command = ["node", "--test", "--test-reporter=tap", *files]
    code, output, seconds = run(command, env, timeout=900)
    counts = {key: int(value) for key, value in re.findall(r"^# (pass|fail|skipped|todo|cancelled) (\d+)$", output, re.M)}
    failed = counts.get("fail", 0) + counts.get("cancelled", 0)
    if code != 0 and failed == 0:
        failed = 1
    tally.add(name, counts.get("pass", 0), failed, counts.get("skipped", 0) + counts.get("todo", 0),
              seconds, output)


def npm_install(folder):
    """Installs what the lock file names, once: again only when the lock file has changed."""
    lock = (folder / "package-lock.json").read_bytes()
    stamp = folder / "node_modules" / ".countersign-lock"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    code, output, _ = run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder)
    if code != 0:
        print(output)
        print("0 passed, 1 failed")
        sys.exit(1)
    stamp.write_bytes(lock)


def sdk(tally):
    folder = ROOT / "sdk/js"
    npm_install(folder)
    code, output, seconds = run(["npm", "run", "--silent", "check"], cwd=folder)
    tally.add("sdk types", int(code == 0), int(code != 0), 0, seconds, output)
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        code, output, seconds = run(["npx", "--no-install", "vitest", "run", "--reporter=json",
                                     f"--outputFile={report.name}"], cwd=folder)
        try:
            data = json.loads(pathlib.Path(report.name).read_text())
        except (OSError, ValueError):
            data = {"numPassedTests": 0, "numFailedTests": 1, "numPendingTests": 0}
        if data["numFailedTests"]:
            output += report_vitest_failures(data)
    failed = data["numFailedTests"] or int(code != 0)
    tally.add("sdk", data["numPassedTests"], failed, data["numPendingTests"], seconds, output)


def report_vitest_failures(data):
    lines = []
    for suite in data.get("testResults", []):
        for case in suite.get("assertionResults", []):
            if case["status"] == "failed":
                lines.append(f"failed case: {case['fullName']}")
                lines.extend(case.get("failureMessages", []))
    return "\n".join(lines)


def program_environment():
    return {"COUNTERSIGN_BIN": str(ROOT / "build/release/bin/countersign"),
            "COUNTERSIGN_ROOT": str(ROOT)}


def interop(tally):
    build("release", ["countersign"])
    env = program_environment()
    node_tests(tally, "interop", sorted(map(str, (ROOT / "tests/interop").glob("*.test.mjs"))), env)
    simple_check(tally, "installed package", ["bash", "tests/interop/installed_package_test.sh"], env)
    vectors = ROOT / "tests/interop/vectors/tickets.json"
    code, output, seconds = run([env["COUNTERSIGN_BIN"], "vectors", str(vectors)])
    counted = re.search(r"^(\d+) passed, (\d+) failed$", output, re.M)
    passed, failed = (int(counted[1]), int(counted[2])) if counted else (0, 1)
    tally.add("vectors", passed, failed or int(code != 0), 0, seconds, output)


def integration(tally):
    build("release", ["countersign"])
    npm_install(ROOT / "tests/classic")
    for path in sorted((ROOT / "tests/integration").glob("*.test.mjs")):
        node_tests(tally, f"integration {path.stem}", [str(path)], program_environment())


def browser(tally):
    build("release", ["countersign", "remove_old"])
    npm_install(ROOT / "tests/browser")
    npm_install(ROOT / "tests/classic")
    for path in sorted((ROOT / "tests/browser").glob("*.test.mjs")):
        node_tests(tally, f"browser {path.stem}", [str(path)], program_environment())


def producers(tally):
    """Ticket producers that need a compiler of their own: Java, and C# on Mono."""
    build("release", ["countersign"])
    npm_install(ROOT / "tests/classic")
    for path in sorted((ROOT / "tests/producers").glob("*.test.mjs")):
        node_tests(tally, f"producers {path.stem}", [str(path)], program_environment())


def clang(tally):
    unit(tally, "clang")


def asan(tally):
    unit(tally, "asan", SANITIZER_ENVIRONMENT)


def tsan(tally):
    unit(tally, "tsan", SANITIZER_ENVIRONMENT)


def tidy(tally):
    code, output, _ = run(["cmake", "--preset", "tidy"])
    if code != 0:
        print(output)
    files = subprocess.run(["git", "ls-files", "src/*.cc"], cwd=ROOT, capture_output=True,
                           text=True, check=True).stdout.split()
    support = ("_test.cc", "_support.cc", "_reference.cc", "_reading.cc", "simulation.cc",
               "simulation_checks.cc")
    files = [name for name in files
             if not name.endswith(support) and "conformance" not in name and "testing" not in name
             and "dropping_vfs" not in name]
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        jobs = {pool.submit(run, ["clang-tidy", "-p", "build/tidy", "--quiet", name]): name
                for name in files}
        bad = []
        for job in concurrent.futures.as_completed(jobs):
            code, output, _ = job.result()
            if code != 0:
                bad.append(f"{jobs[job]}\n{output}")
    tally.add("tidy", len(files) - len(bad), len(bad), 0, time.monotonic() - started, "\n".join(bad))


def fuzz(tally):
    """Each target for COUNTERSIGN_FUZZ_SECONDS (default 30), from its corpus."""
    tree = build("fuzz", ["fuzzers"], tests=False)
    seconds_each = os.environ.get("COUNTERSIGN_FUZZ_SECONDS", "30")
    programs = sorted((tree / "bin").glob("fuzz_*"))
    programs = [p for p in programs if p.is_file() and os.access(p, os.X_OK)]

    found = tree / "found"  # inputs that broke a target stay here
    found.mkdir(exist_ok=True)

    def one(program):
        corpus = ROOT / "fuzz/corpus" / program.name.removeprefix("fuzz_")
        with tempfile.TemporaryDirectory() as scratch:
            return program.name, run(
                [str(program), f"-max_total_time={seconds_each}", "-rss_limit_mb=1024",
                 f"-artifact_prefix={found}/{program.name}-", "-print_final_stats=1", scratch,
                 str(corpus)],
                SANITIZER_ENVIRONMENT, timeout=int(seconds_each) + 300)

    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for name, (code, output, seconds) in pool.map(one, programs):
            tally.add(f"fuzz {name}", int(code == 0), int(code != 0), 0, seconds, output[-4000:])
    if not programs:
        tally.add("fuzz", 0, 1, 0, 0, "no fuzz targets were built")


def fresh(tally):
    """A bare Debian 12 root: ./run serves there and ./test passes. Wants root and debootstrap."""
    code, output, seconds = run(["bash", "tests/fresh_machine.sh"], timeout=7200)
    tally.add("fresh machine", int(code == 0), int(code != 0), 0, seconds, output)


def main():
    parts = sys.argv[1:] or DEFAULT_PARTS
    known = {f.__name__: f for f in (checks, unit, sdk, interop, integration, browser, producers, clang, asan,
                                     tsan, tidy, fuzz, fresh)}
    if len(parts) > 1 and parts[0] == "unit" and parts[1] not in known:
        os.environ["COUNTERSIGN_GTEST_FILTER"] = parts.pop(1)
    unknown = [part for part in parts if part not in known]
    if unknown:
        print(f"unknown part {unknown[0]}; there are: {' '.join(known)}", file=sys.stderr)
        sys.exit(2)
    tally = Tally()
    for part in parts:
        known[part](tally)
    for failure in tally.failures:
        print(f"failed: {failure}")
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {tally.failed} failed{skipped}")
    sys.exit(1 if tally.failed or not tally.passed else 0)


if __name__ == "__main__":
    main()
