#!/usr/bin/env python3
"""How well does the simulator find bugs? Builds it once from a copy of the sources with every bug of bugs.py
behind a switch, and runs seeds with one after the other switched on.

usage: tests/sim/planted/plant.py [--check] [--seeds N] [NAME...]
  --check    only looks whether every bug still fits the sources
  --seeds N  how many seeds a bug may take (default 2000)
  NAME       only these bugs"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

from bugs import BUGS

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLACE = ROOT / "build" / "planted"
SWITCH = """#pragma once
#include <cstdlib>
// Which bug is switched on: 1 for the first, 0 for none.
inline const int weft_planted = [] {
    const char* which = std::getenv("WEFT_PLANTED");
    return which == nullptr ? 0 : std::atoi(which);
}();
"""


NAMES = list(dict.fromkeys(name for name, *_ in BUGS))  # one bug may stand at several places


def planted_sources():
    """The text of each file that has bugs, with all of them in it."""
    texts = {}
    for name, path, text, planted in BUGS:
        source = (ROOT / path).read_text()
        if source.count(text) != 1:
            raise SystemExit(f"bug {name} does not fit {path} any more: its text stands there "
                             f"{source.count(text)} times. Change tests/sim/planted/bugs.py")
        fresh = texts.get(path, source)
        if fresh.count(text) != 1:
            raise SystemExit(f"bug {name} overlaps another one in {path}")
        texts[path] = fresh.replace(text, planted.replace("PLANTED", f"(weft_planted == {NAMES.index(name) + 1})"))
    return texts


def write_if_other(path, text):
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def build():
    """Only what changed is written, so that a second time little is compiled."""
    source, out = PLACE / "source", PLACE / "out"
    planted = planted_sources()
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], check=True,
                            capture_output=True, text=True).stdout.split("\n")
    names = {name for name in listed if (ROOT / name).is_file()}
    for name in names:
        path, target = ROOT / name, source / name
        if name in planted:
            write_if_other(target, planted[name])
        elif not target.exists() or target.read_bytes() != path.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    for target in source.rglob("*"):
        if target.is_file() and str(target.relative_to(source)) not in names | {"planted.hpp"}:
            target.unlink()
    write_if_other(source / "planted.hpp", SWITCH)
    if not (out / "build.ninja").exists():
        subprocess.run(["meson", "setup", "--buildtype", "release", "-Dexamples=false", "-Dwerror=false",
                        f"-Dcpp_args=-include {source}/planted.hpp", out, source], check=True)
    subprocess.run(["ninja", "-C", out, "tests/sim_main"], check=True)
    return out / "tests" / "sim_main"


def hunt(program, number, seeds):
    """The first seed that shows the bug, and how; None if none does."""
    outcome = subprocess.run([program, "--seeds", str(seeds), "--until-failure"], text=True,
                             capture_output=True, env={**os.environ, "WEFT_PLANTED": str(number)})
    if outcome.returncode == 0:
        return None
    text = outcome.stdout + outcome.stderr
    seed = re.findall(r"^seed (\d+)", text, re.M)[-1]
    wrong = re.search(r"WRONG: (.*)", text) or re.search(r"(check failed.*|Assertion.*|.*aborted)", text, re.I)
    return int(seed), wrong.group(1)[:110] if wrong else f"ended with status {outcome.returncode}"


def main():
    words = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    words.add_argument("--check", action="store_true")
    words.add_argument("--seeds", type=int, default=2000)
    words.add_argument("names", nargs="*")
    given = words.parse_args()
    unknown = set(given.names) - set(NAMES)
    if unknown:
        raise SystemExit(f"no such bug: {', '.join(sorted(unknown))}")
    if given.check:
        print(f"{len(NAMES)} bugs fit {len(planted_sources())} files")
        return 0
    program = build()
    if hunt(program, 0, given.seeds):
        raise SystemExit("without any bug a seed fails: mend that first")
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        hunts = [(name, pool.submit(hunt, program, number, given.seeds))
                 for number, name in enumerate(NAMES, 1) if not given.names or name in given.names]
        for name, found in hunts:
            found = found.result()
            missed += found is None
            print(f"{name:40} " + (f"seed {found[0]:5}  {found[1]}" if found else "NOT FOUND"), flush=True)
    print(f"{len(hunts) - missed} of {len(hunts)} found within {given.seeds} seeds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
