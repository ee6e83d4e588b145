#!/usr/bin/env python3
"""Counts what `meson test` ran in a build directory: Boost.Test cases where a program has them, else
the program as one. Prints how to replay each failure and leaves "passed failed" in build/tally, then
what failed, a line each."""
import json
import os
import pathlib
import re
import sys


def tally(build):
    passed, failures = 0, []
    log = build / "meson-logs" / "testlog.json"
    for line in log.read_text().splitlines() if log.exists() else []:
        test = json.loads(line)
        name = test["name"].split("/")[-1].split(" ")[-1]
        output = test.get("stdout") or ""
        program = " ".join(arg for arg in test["command"] if not arg.startswith("--"))
        cases = len(re.findall(r'Entering test case "', output))
        failed = sorted(set(re.findall(r'error: in "([^"]+)"', output)))
        passed += cases - min(cases, len(failed))
        failures += [f"{program} --run_test={case}" for case in failed]
        if test["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
            passed += 0 if cases else 1
        elif not failed:
            failures.append(f"{program}    ({name}: {test['result']})")
    return passed, failures


def main():
    passed, failures = tally(pathlib.Path(sys.argv[1]))
    for command in failures:
        print(f"replay: RC_PARAMS='{os.environ.get('RC_PARAMS', '')}' {command}")
    print(f"{passed} cases passed, {len(failures)} failed")
    lines = [f"{passed} {len(failures)}"] + failures
    pathlib.Path("build/tally").write_text("\n".join(lines) + "\n")
    return 1 if failures else 0


sys.exit(main())
