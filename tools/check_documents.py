#!/usr/bin/env python3
"""Checks the documents: links within the project lead somewhere, every page is reachable from the
README, every file that a document names in backticks with a folder exists, and every command that is
shown is run by a test.

A block of commands is marked ```console test, and tests/integration/documents.test.mjs runs it; or each
of its commands stands in RUN_ELSEWHERE below. Commands in backticks within a text (`countersign app list`,
`./test unit`) must exist, with their flags. --self-test shows that violations are caught."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("src/", "include/", "docs/", "tools/", "tests/", "api/", "migrations/", "bench/", "fuzz/",
         "web/", "sdk/", "cmake/", "examples/", "packaging/")

# Commands that documents.test.mjs cannot run, under what shows them instead.
RUN_ELSEWHERE = {
    "tests/fresh_machine.sh does these on a bare machine; ./run builds before it serves": [
        "git clone <this repository> countersign && cd countersign",
        "./run build",
        "./test",
    ],
    "parts of ./test itself, for .ci/run and for people; tools/run_tests.py names them all": [
        "./test unit 'Throttle*'",
        "./test checks",
        "./test clang asan tsan tidy fuzz",
        "COUNTERSIGN_FUZZ_SECONDS=600 ./test fuzz",
        "node --test tests/integration/chain.test.mjs",
    ],
    "tests/interop/installed_package_test.sh builds and installs so, into a folder of its own": [
        "cmake -S . -B build/library -G Ninja -DCMAKE_BUILD_TYPE=Release"
        " -DCOUNTERSIGN_LIBRARY_ONLY=ON -DCOUNTERSIGN_TESTS=OFF",
        "cmake --build build/library",
        "cmake --install build/library --prefix /usr/local",
    ],
    "tools/install_packages.sh installs these": [
        "apt-get install cmake ninja-build g++ libssl-dev libexpected-dev",
    ],
    "tools/run_tests.py and sdk/js/test/bundle.test.ts, the part `./test sdk`": [
        "/usr/bin/esbuild src/classic.ts --bundle --minify --format=iife --target=es2022"
        " --outfile=dist/countersign.js",
        "/usr/bin/esbuild src/index.ts --bundle --format=esm --target=es2022"
        " --outfile=dist/countersign.mjs",
        "npm ci",
        "npm run check",
        "npm test",
        "npm run build",
    ],
    "a measurement that takes a quiet machine half an hour; the table in bench/README.md is its"
    " output": [
        "bench/run.py",
        "bench/run.py http memory",
        "bench/run.py --quick",
    ],
    "half an hour each; `./test` runs each of them for seconds": [
        "tests/ledger/run.mjs single",
        "tests/ledger/run.mjs cluster",
        "COUNTERSIGN_SIMULATION_SCHEDULES=1000000 build/release/tests/gateway_tests --gtest_filter='MessageSim*Random*'",
    ],
}
LISTED = {command for commands in RUN_ELSEWHERE.values() for command in commands}
SHELLS = ("console", "sh", "bash", "shell")
LANGUAGES = ("text", "html", "js", "ts", "cpp", "cmake", "json", "ruby", "php", "python", "java", "csharp")


def blocks(text):
    """The code blocks of a page: (line, what follows the fence, lines). Indented ones: None."""
    found = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        fence = re.match(r" *(`{3,}|~{3,})(.*)", lines[at])
        begin = at
        if fence:
            at += 1
            while at < len(lines) and not lines[at].strip().startswith(fence[1]):
                at += 1
            found.append((begin + 1, fence[2].strip(), lines[begin + 1:at]))
        elif re.match(r"(    |\t)\s*\S", lines[at]) and (at == 0 or not lines[at - 1].strip()):
            found.append((begin + 1, None, [lines[at]]))
        at += 1
    return found


def commands(language, lines):
    """The commands of a block without their comments; a line that ends in \\ goes on in the next."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).split("\n")
    if language == "console":
        joined = [line[2:] for line in joined if line.startswith("$ ")]
    return [command for command in (re.sub(r"(^|\s+)# .*$", "", line).strip() for line in joined) if command]


def block_problems(name, text):
    """What is wrong with a page's blocks, and the listed commands that it shows."""
    problems, shown = [], set()
    for line, mark, lines in blocks(text):
        where = f"{name} line {line}"
        if mark is None:
            problems.append(f"{where}: an indented block; fence it and say what it is")
            continue
        language = mark.split(" ")[0]
        if mark == "console test" or re.fullmatch(r"toml file=[\w.-]+", mark):
            continue  # documents.test.mjs runs the one and writes the other
        if mark not in SHELLS + LANGUAGES:
            problems.append(f"{where}: ```{mark} is none of: console test, toml file=NAME, "
                            f"{', '.join(SHELLS + LANGUAGES)}")
        elif language in SHELLS:
            for command in commands(language, lines):
                shown.add(command)
                if command not in LISTED:
                    problems.append(f"{where}: no test runs `{command}`: mark the block ```console test, "
                                    "or list the command in tools/check_documents.py with what runs it")
            if not commands(language, lines):
                problems.append(f"{where}: a ```{mark} block without a command (`$ …`)")
        elif any(line.startswith("$ ") for line in lines):
            problems.append(f"{where}: commands in a ```{mark} block; it is a ```console test")
    return problems, shown


def inline_problems(name, text, help_page, parts):
    """Commands within a text that do not exist, by the generated page of commands and ./test's parts."""
    help_of = dict(re.findall(r"^## `countersign ?([^`]*)`\n+```text\n(.*?)^```", help_page, re.M | re.S))
    problems = []
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for span in re.findall(r"`((?:countersign|\./run|\./test)(?: [^`]*)?)`", prose):
        words = re.split(r"\s+", span)[1:]
        if span.startswith("./test"):
            wrong = [word for word in words[:1] if word.isalpha() and word.islower() and word not in parts]
        elif span.startswith("./run") and words[:1] in ([], ["--tls"], ["--help"], ["build"]):
            continue
        else:
            path = []
            while words and " ".join([*path, words[0]]) in help_of:
                path.append(words.pop(0))
            text_of_help = help_of[" ".join(path)]
            wrong = [word for word in words if word.startswith("--") and word.split("=")[0] not in text_of_help]
            if " SUBCOMMAND\n" in text_of_help and words and not words[0].startswith("-"):
                wrong += [word for word in words[0].split("|") if f"\n  {word} " not in text_of_help and word != "…"]
        problems += [f"{name}: `{span}`: there is no {word}" for word in wrong]
    return problems


def self_test():
    """Every kind of mistake is caught, and what is right passes."""
    cases = [
        ("```console\n$ countersign app list\n```", False),
        ("```console\n$ ./test\n```", True),
        ("```console\n$ ./test              # all of it\n$ ./test checks\n```", True),
        ("```console\n$ ./test\n$ rm -r var\n```", False),
        ("```console\n./test\n```", False),
        ("```sh\ncountersign app list\n```", False),
        ("```bash\n# a comment\n./test\n```", True),
        ("```shell\ncmake --build build/library && ./test\n```", False),
        ("```console test\n$ countersign app list\n```", True),
        ("```console tests\n$ countersign app list\n```", False),
        ("1. a list\n\n   ```sh\n   make\n   ```", False),
        ("```\nmake\n```", False),
        ("```text\n$ make\n```", False),
        ("```toml\n[server]\n```", False),
        ("```toml file=countersign.toml\n[server]\n```", True),
        ("So:\n\n    make install\n", False),
        ("```text\na\n\n    b\n```", True),
        ("Use `countersign app list --json`, `./run --tls` or `./test unit`.", True),
        ("Use `countersign app lists`.", False),
        ("Use `countersign config check|doc`.", True),
        ("Use `countersign config check|docs`.", False),
        ("Use `countersign serve --lisen localhost:1`.", False),
        ("Use `./run user add --mail a@b`.", False),
        ("Use `./test units`.", False),
    ]
    failed = []
    for text, good in cases:
        problems = block_problems("page", text)[0] + inline_problems("page", text, *inline_facts())
        if (not problems) != good:
            failed.append(f"{text!r}: {problems or 'no problem was found'}")
    if failed:
        sys.exit("\n".join(failed))
    print(f"{len(cases)} cases are judged right")


def inline_facts():
    """The page of commands, and the names of ./test's parts."""
    runner = (ROOT / "tools/run_tests.py").read_text()
    parts = re.search(r"known = \{.*? for f in \((.*?)\)\}", runner, re.S)[1]
    return (ROOT / "docs/reference/commands.md").read_text(), re.findall(r"\w+", parts)


def anchors(text):
    """The anchors that a page's headings make, as GitHub forms them."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


def main():
    if sys.argv[1:] == ["--self-test"]:
        self_test()
        return
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
    shown = set()
    facts = inline_facts()
    for name in pages:
        text = (ROOT / name).read_text()
        wrong, listed = block_problems(name, text)
        problems += wrong + inline_problems(name, text, *facts)
        shown |= listed
        for path in re.findall(r"`([\w./-]+)`", text):
            if path.startswith(ROOMS) and "." in path.rsplit("/", 1)[-1] and not (ROOT / path).exists():
                problems.append(f"{name}: `{path}` does not exist")
        if name not in reached and name.startswith("docs/"):
            problems.append(f"{name}: not reachable from README.md")
    for name in tracked:
        if name.endswith((".cc", ".h", ".ts", ".mjs", ".toml", ".service")):
            problems += [f"{name}: {path} does not exist" for path in
                         re.findall(r"\bdocs/[\w./-]+\.(?:md|svg)", (ROOT / name).read_text())
                         if not (ROOT / path).exists()]
    problems += [f"tools/check_documents.py lists `{command}`, which no page shows"
                 for command in sorted(LISTED - shown)]
    problems += [f"tools/check_documents.py: {path} does not exist" for reason in RUN_ELSEWHERE
                 for path in re.findall(r"[\w/.]+/[\w.]+\.\w+", reason) if not (ROOT / path).exists()]
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
