"""What the tests of the program share: nodes as processes, commands, HTTP over the control socket."""
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

# The first argument of the test program is the program to test.
WEFT = pathlib.Path(sys.argv.pop(1)).resolve()
PATIENCE_S = 60  # a bound for what should take milliseconds, on a loaded machine under sanitizers

DONE, USAGE, DATA, NO_NODE = 0, 1, 2, 3


def eventually(claim, check):
    """Polls until `check` gives something true, and gives that."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE_S} s: {claim}")


def run(*words, stdin=None, environment=None):
    outcome = subprocess.run([WEFT, *map(str, words)], input=stdin, capture_output=True, timeout=PATIENCE_S,
                             env=environment or clean_environment())
    outcome.out = outcome.stdout.decode()
    outcome.err = outcome.stderr.decode()
    return outcome


def clean_environment(**more):
    kept = {name: text for name, text in os.environ.items() if name != "WEFT_DIR"}
    return {**kept, **more}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(str(self.path))


class Node:
    """One `weft serve` in a directory of its own."""

    def __init__(self, test, name, *options, listen="tcp://127.0.0.1:0", cluster=None,
                 under=()):
        self.dir = test.place / name
        self.words = [*under, WEFT, "serve", "--dir", self.dir, "--name", name, *options]
        self.words += ["--listen", listen] if listen else []
        self.words += ["--cluster", cluster] if cluster else []
        self.process = None
        test.addCleanup(self.kill)
        self.start()

    def start(self, *more):
        self.log = open(f"{self.dir}.log", "ab")
        self.process = subprocess.Popen([str(w) for w in [*self.words, *more]], stdout=subprocess.PIPE,
                                        stderr=self.log, env=clean_environment(), text=True)
        self.ready = self.process.stdout.readline()
        if not self.ready.startswith("ready: "):
            raise AssertionError(f"not ready: {self.ready!r} {self.events()}")
        found = re.search(r"listening on ([^,]+)", self.ready).group(1)
        self.url = found if found != "nothing" else None
        found = re.search(r"http://\S+", self.ready)
        self.http_url = found.group(0) if found else None
        return self

    def events(self):
        return pathlib.Path(f"{self.dir}.log").read_text()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        self.reap()

    def stop(self):
        self.process.terminate()
        return self.reap()

    def reap(self):
        status = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.log.close()
        return status

    def weft(self, command, *words, stdin=None):
        return run(*command.split(), "--dir", self.dir, *words, stdin=stdin)

    def do(self, command, *words, stdin=None):
        outcome = self.weft(command, *words, stdin=stdin)
        if outcome.returncode != DONE:
            raise AssertionError(f"{command} {words}: {outcome.returncode} {outcome.err}")
        return outcome.out.rstrip("\n")

    def value(self, key, *words):
        return json.loads(self.do("get", key, "--json", *words))["value"]

    def type(self, key, *words):
        return json.loads(self.do("get", key, "--json", *words))["type"]

    def status(self):
        return json.loads(self.do("status", "--json"))

    def peer(self, name):
        return next((p for p in self.status()["peers"] if p["name"] == name), None)

    def http(self, method, target, body=None, headers={}):
        connection = UnixConnection(self.dir / "control.sock")
        try:
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or "null")
        finally:
            connection.close()

    def ops(self, *operations, query=""):
        return self.http("POST", f"/v1/ops{query}", json.dumps(operations))


class Case(unittest.TestCase):
    def setUp(self):
        # Short, because the path of a socket may have 107 bytes.
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="weft-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.place, True)

    def converged(self, *nodes):
        def same():
            states = [n.status() for n in nodes]
            return len({(s["digest"], json.dumps(s["version_vector"], sort_keys=True)) for s in states}) == 1
        eventually("equal vectors and digests", same)

    def refused(self, outcome, status, *words):
        self.assertEqual(outcome.returncode, status, outcome.err)
        self.assertEqual(outcome.out, "")
        for word in words:
            self.assertIn(word, outcome.err)


def main():
    """Runs the tests of the file that calls it; ends with the counts and the exit status."""
    program = unittest.main(exit=False, testRunner=unittest.TextTestRunner(sys.stdout, verbosity=2))
    failed = {test.id() for test, _ in program.result.failures + program.result.errors}
    print(f"{program.result.testsRun - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)
