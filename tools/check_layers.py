#!/usr/bin/env python3
"""Proves that no room of src/ includes a room it may not see (the floors of ARCHITECTURE.md)."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

FLOORS = {
    "countersign": 0, "ticket": 0,
    "base": 1, "config": 1, "protocol": 1,
    "storage": 2, "bus": 2,
    "accounts": 3, "sessions": 3, "issuing": 3, "gateway": 3,
    "gateway/classic": 3,
    "net": 4, "web": 4, "web/classic": 4, "storage/sqlite": 4, "storage/postgres": 4, "storage/conformance": 4,
    "bus/local": 4, "bus/nats": 4, "bus/conformance": 4,
    "app": 5,
    "cli": 6,
}
# On one floor a room sees no other, but for these.
SAME_FLOOR = {
    ("config", "base"), ("protocol", "base"), ("issuing", "accounts"), ("issuing", "sessions"),
    ("accounts", "sessions"), ("web", "net"), ("ticket", "countersign"), ("countersign", "ticket"),
    ("storage/conformance", "storage/sqlite"), ("gateway/classic", "gateway"),
    ("web/classic", "web"), ("web/classic", "net"),
}
# Whole libraries that one room hides from all others.
HIDDEN = {
    r"boost/beast": {"net"},
    r"boost/": {"net", "web", "web/classic", "app", "protocol", "cli"},
    r"sqlite3\.h": {"storage/sqlite"},
    r"libpq|postgres_ext\.h": {"storage/postgres"},
    r"nats(/|\.h)": {"bus/nats"},
    r"curl/": {"net"},
    r"spdlog/|prometheus/|fmt/": {"base"},
    r"toml\+\+/": {"config"},
    r"CLI/": {"cli"},
}
# The public surface installs without anything but the standard library, OpenSSL and tl::expected.
LIBRARY_ONLY = re.compile(r"^(openssl/|tl/expected\.hpp$|[a-z_0-9]+$|c[a-z]+$|[a-z]+intrin\.h$)")


def room_of(path):
    """The room of a path relative to src/ or include/."""
    parts = path.split("/")
    if len(parts) > 2 and "/".join(parts[:2]) in FLOORS:
        return "/".join(parts[:2])
    return parts[0] if parts[0] in FLOORS else None


def violations(name, text):
    """Lines of one file that break a rule. `name` is relative to the project."""
    inner = name.split("/", 1)[1]
    here = room_of(inner)
    if here is None:
        return [f"{name}: lies in no room"]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        kind, target = match.groups()
        if kind == '"':
            there = room_of(target)
            if there is None:
                found.append(f"{name}:{number}: {target} lies in no room")
            elif there != here and not (FLOORS[there] < FLOORS[here] or (here, there) in SAME_FLOOR):
                found.append(f"{name}:{number}: {here} may not include {there} ({target})")
        else:
            for pattern, rooms in HIDDEN.items():
                if re.match(pattern, target) and here not in rooms:
                    found.append(f"{name}:{number}: <{target}> belongs to {', '.join(sorted(rooms))} alone")
                    break
            if here in ("ticket", "countersign") and not LIBRARY_ONLY.match(target):
                found.append(f"{name}:{number}: the ticket library may not include <{target}>")
    return found


def is_test(path):
    return path.name.endswith(("_test.cc", "_test_support.cc", "_test_support.h", "_fixture.h")) or "testing" in path.parts or "conformance" in path.parts


def self_test():
    cases = [
        ("src/gateway/a.cc", '#include "net/server.h"', True),
        ("src/gateway/a.cc", '#include "storage/store.h"', False),
        ("src/accounts/a.cc", "#include <boost/asio.hpp>", True),
        ("src/web/a.cc", "#include <boost/beast.hpp>", True),
        ("src/net/a.cc", "#include <boost/beast.hpp>", False),
        ("src/ticket/a.cc", "#include <sodium.h>", True),
        ("src/ticket/a.cc", "#include <openssl/sha.h>", False),
        ("src/web/a.cc", '#include "storage/sqlite/sqlite_store.h"', True),
        ("src/app/a.cc", '#include "storage/sqlite/sqlite_store.h"', False),
        ("src/storage/sqlite/a.cc", "#include <libpq-fe.h>", True),
        ("src/storage/postgres/a.cc", '#include "storage/sqlite/connection.h"', True),
        ("include/countersign/a.h", '#include "base/clock.h"', True),
    ]
    for name, line, bad in cases:
        if bool(violations(name, line)) != bad:
            sys.exit(f"wrong verdict on {line} in {name}")


def main():
    if "--self-test" in sys.argv:
        return self_test()
    found = []
    for folder in ("src", "include"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".cc", ".h") and not is_test(path.relative_to(ROOT)):
                found += violations(str(path.relative_to(ROOT)), path.read_text())
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
