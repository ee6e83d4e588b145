#!/usr/bin/env python3
"""Runs the example programs and reads what they print. usage: examples_test.py BUILD-FOLDER"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = sys.argv[1]


def program(name):
    return os.path.join(BUILD, "example_" + name)


def run(name, *arguments):
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=120,
                          check=False)
    return done.returncode, done.stdout.splitlines()


class Examples(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.mkdtemp(prefix="weft-examples-")
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)

    def test_counter_adds_both_and_keeps_it(self):
        self.assertEqual(run("counter"), (0, ["berlin has 7", "after a restart: 7"]))

    def test_inventory_never_sells_an_eleventh_seat(self):
        status, lines = run("inventory")
        self.assertEqual(status, 0)
        self.assertIn("north again: bound_exceeded", lines)
        self.assertEqual(lines[-1], "10 seats sold, 0 left")

    def test_places_keep_both_edits(self):
        self.assertEqual(run("places"), (0, ["a: Berlin (DE), 3426354 people",
                                             "a: Berlin an der Spree (DE), 3685265 people"]))

    def test_conflicts_under_each_strategy(self):
        status, lines = run("conflicts")
        self.assertEqual(status, 0)
        ours, theirs = '"Spreeathen"', '"Berlin an der Spree"'

        def siblings(one, other):
            return [f"  sibling  {one} of berlin (eu)", f"  sibling  {other} of oslo (north)"]

        def resolved(rule, reads, strategy, written=(ours, theirs)):
            return [rule, *siblings(*written), f"  reads    {reads}",
                    f"  audit    write_write resolved by {strategy}: {reads}"]

        self.assertEqual(lines, [
            *resolved("last_writer_wins", theirs, "last_writer_wins"),
            *resolved("priority(eu) > last_writer_wins", ours, "priority(eu)"),
            *resolved("dominance > last_writer_wins", theirs, "last_writer_wins"),
            *resolved("min", theirs, "min"),
            *resolved("max", ours, "max"),
            *resolved("union", f"{theirs} and {ours}", "union"),
            *resolved("longest", theirs, "longest"),
            "manual", *siblings(ours, theirs), f"  reads    {ours}",
            "  audit    write_write waits by manual: nothing",
            f"  audit    write_write settled by manual of Ada: {ours}",
            *resolved("max", "120", "max", (120, 45)),
            *resolved("sum", "165", "sum", (120, 45)),
            *resolved("average > manual", "82.5", "average", (120, 45)),
            *resolved("dominance > min", "45", "min", (120, 45)),
        ])

    def test_chat_between_two_processes(self):
        urls = {name: f"unix:{self.place}/{name}.sock" for name in ("ann", "bob")}
        people = {
            name: subprocess.Popen([program("chat"), f"{self.place}/{name}", name, urls[name], urls[other]],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name, other in (("ann", "bob"), ("bob", "ann"))
        }
        for name, process in people.items():
            process.stdin.write(f"hello from {name}\n")
            process.stdin.close()
        for name, other in (("ann", "bob"), ("bob", "ann")):
            heard = people[name].stdout.read().splitlines()
            people[name].stdout.close()
            self.assertEqual(heard, [f"{other}: hello from {other}", f"{other}: bye"])
            self.assertEqual(people[name].wait(timeout=60), 0)

    def test_readme(self):
        for name in ("berlin", "oslo"):
            shutil.rmtree(f"/tmp/weft-{name}", ignore_errors=True)
        self.assertEqual(run("readme"), (0, ["berlin counts 7, first tag red"]))
        for name in ("berlin", "oslo"):
            shutil.rmtree(f"/tmp/weft-{name}", ignore_errors=True)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
