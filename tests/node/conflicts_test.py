#!/usr/bin/env python3
"""Conflicts, as an operator meets them: rules in a file, a queue, people who decide, a trail of it all.

usage: tests/node/conflicts_test.py PATH_TO_WEFT [unittest arguments]"""
import json
import subprocess
import threading
from urllib.parse import quote

from program import DATA, DONE, USAGE, WEFT, Case, Node, clean_environment, eventually, main, run

RULES = """
region = "eu"

[[rule]]
key = "place:*"
field = "name"
resolve = "priority(oslo) > last_writer_wins"

[[rule]]
key = "kept:*"
resolve = "manual"
keeps_removes = true

[[rule]]
key = "gone:*"
resolve = "priority(oslo)"
keeps_removes = true

[[rule]]
key = "stock"
type = "counter"
min = 0
"""


class Pair(Case):
    """Two nodes with the same rules, which write while they are apart."""

    def setUp(self):
        super().setUp()
        self.config = self.place / "weft.toml"
        self.config.write_text(RULES)
        self.a = Node(self, "berlin", "--config", self.config)
        self.b = Node(self, "oslo", "--config", self.config, "--region", "north", "--peer", self.a.url)
        self.linked()

    def linked(self):
        eventually("linked", lambda: (self.b.peer("berlin") or {}).get("state") == "active")

    def apart(self, at_a, at_b):
        self.b.do("link pause", "berlin")
        eventually("apart", lambda: self.b.peer("berlin")["state"] == "paused")
        at_a(self.a)
        at_b(self.b)
        self.b.do("link resume", "berlin")
        self.alike()

    def alike(self):
        def same():
            one, other = self.a.status(), self.b.status()
            return all(one[what] == other[what] for what in ("version_vector", "digest"))
        eventually("both have all", same)

    def write(self, key, type="mv_register"):
        self.apart(lambda a: a.do("set", key, "ours", "--type", type),
                   lambda b: b.do("set", key, "theirs", "--type", type))

    def queue(self, node, *words):
        return [json.loads(line) for line in node.do("conflicts list", "--json", *words).splitlines()]

    def trail(self, node, *words):
        return [json.loads(line) for line in node.do("audit", "--json", *words).splitlines()]


class Settling(Pair):
    def test_a_rule_of_the_file_decides_on_both(self):
        self.apart(lambda a: a.do("put", "place:1", "name", "Wien"),
                   lambda b: b.do("put", "place:1", "name", "Vienna"))
        for node in (self.a, self.b):
            self.assertEqual(node.value("place:1"), {"name": "Vienna"})
            self.assertEqual(self.queue(node), [])
            [found] = self.queue(node, "--all")
            self.assertEqual((found["kind"], found["strategy"], found["result"]),
                             ("write_write", "priority(oslo)", ["Vienna"]))
            [entry] = self.trail(node, "--prefix", "place:")
            self.assertEqual((entry["outcome"], entry["field"], entry["result"]),
                             ("resolved", ["name"], ["Vienna"]))
        self.assertIn("priority(oslo) gives \"Vienna\"", self.a.do("conflicts show", "place:1"))
        self.assertIn("priority(oslo) gives \"Vienna\"", self.b.do("audit"))

    def test_what_waits_is_settled_by_a_person(self):
        self.write("k")
        for node in (self.a, self.b):
            self.assertEqual(sorted(node.value("k")), ["ours", "theirs"])
            self.assertEqual(node.status()["conflicts_waiting"], 1)
        [found] = self.queue(self.a)
        mine = next(s for s in found["siblings"] if s["value"] == "ours")
        self.assertEqual((mine["member"], mine["region"]), ("berlin", "eu"))
        self.assertIn("wait for a person", self.a.do("status"))
        self.b.do("conflicts resolve", "k", "--take", mine["n"], "--who", "Ada", "--seen", found["id"])
        self.alike()
        for node in (self.a, self.b):
            self.assertEqual(node.value("k"), ["ours"])
            self.assertEqual(self.queue(node, "--all"), [])
            [waits, settled] = self.trail(node, "--key", "k")
            self.assertEqual((waits["outcome"], settled["outcome"], settled["who"], settled["strategy"]),
                             ("waits", "settled", "Ada", "manual"))
        self.refused(self.a.weft("conflicts resolve", "k", "--take", "1"), DATA, "not_found")
        self.refused(self.a.weft("conflicts resolve", "k", "--take", "1", "--seen", found["id"]), DATA,
                     "outdated", "look again")

    def test_the_ways_to_settle(self):
        for words, expected, stdin in [(("--value", "both"), ["both"], None), (("--value", "7"), [7], None),
                                       (("--value", "7", "--string"), ["7"], None),
                                       (("--value", ""), [""], None),
                                       (("--merge", "-"), ["merged by hand"], b"merged by hand\n")]:
            self.write("k")
            self.a.do("conflicts resolve", "k", *words, stdin=stdin)
            self.assertEqual(self.a.value("k"), expected)
            self.alike()
        self.write("k")
        merged = self.place / "merged"
        merged.write_text("5")
        self.a.do("conflicts resolve", "k", "--merge", merged)
        self.assertEqual(self.a.value("k"), [5])
        self.alike()
        self.write("k")
        self.a.do("conflicts resolve", "k", "--remove")
        self.refused(self.a.weft("get", "k"), DATA, "not_found")
        self.refused(self.a.weft("conflicts resolve", "k"), USAGE, "--take")
        self.refused(self.a.weft("conflicts resolve", "k", "--take", "1", "--remove"), USAGE, "excludes")
        who = {entry["who"] for entry in self.trail(self.a, "--strategy", "manual") if entry["who"]}
        self.assertEqual(len(who), 1)  # the user's name

    def test_a_remove_is_kept_where_the_rule_says(self):
        self.a.do("set", "kept:1", "old")
        self.alike()
        self.apart(lambda a: a.do("delete", "kept:1"), lambda b: b.do("set", "kept:1", "new"))
        [found] = self.queue(self.b)
        self.assertEqual(found["kind"], "delete_write")
        self.assertEqual(self.b.value("kept:1"), "new")
        siblings = json.loads(self.b.do("get", "kept:1", "--siblings", "--json"))["siblings"]
        self.assertEqual(sorted(s.get("value", "removed") for s in siblings), ["new", "removed"])
        self.assertIn("removed  berlin (eu)", self.b.do("get", "kept:1", "--siblings"))
        removal = next(s["n"] for s in found["siblings"] if s.get("removed"))
        self.b.do("conflicts resolve", "kept:1", "--take", removal)
        self.alike()
        for node in (self.a, self.b):
            self.assertEqual(node.do("keys"), "")

    def test_types_and_bounds(self):
        self.apart(lambda a: a.do("incr", "x"), lambda b: b.do("set", "x", "text"))
        [clash] = self.queue(self.a)
        self.assertEqual([s["value"] for s in clash["siblings"]], ["register", "counter"])
        lines = self.a.do("conflicts list", "x").splitlines()
        self.assertTrue(lines[0].startswith("x  type_clash, waits for "), lines)
        self.assertEqual(lines[1:], ["   1 register", "   2 counter"])
        self.a.do("incr", "x", "--type", "counter")
        self.refused(self.a.weft("conflicts resolve", "x", "--take", "2", "--seen", clash["id"]), DATA, "outdated")
        self.a.do("conflicts resolve", "x", "--take", "2", "--who", "Ada", "--seen", self.queue(self.a)[0]["id"])
        self.alike()
        self.assertEqual(self.b.value("x"), 2)
        self.assertIn("x  type_clash: register, counter; settled by Ada: counter", self.b.do("audit", "--key", "x"))
        self.a.do("incr", "stock", "3")
        self.alike()
        self.apart(lambda a: a.do("incr", "stock", "-2"), lambda b: b.do("incr", "stock", "-2"))
        [over] = self.queue(self.b)
        self.assertEqual((over["kind"], over["failed"]), ("bound", ["bound_exceeded: -1 is below 0"]))
        self.assertEqual([self.a.status()[f"conflicts_{what}"] for what in ("out_of_bounds", "failing")], [1, 0])
        self.assertIn("1 values lie outside of what a rule allows", self.a.do("status"))
        self.assertIn("conflict.bound_crossed", self.a.events())
        self.assertNotIn("strategy_failed", self.a.events())
        self.refused(self.b.weft("conflicts resolve", "stock", "--value", "-5"), DATA, "-5 is below 0")
        self.b.do("conflicts resolve", "stock", "--value", "0")
        self.alike()
        self.assertEqual((self.a.value("stock"), self.queue(self.a)), (0, []))

    def test_a_trail_and_a_queue_survive_kill_9(self):
        self.write("k")
        before = self.trail(self.b)
        self.b.kill()
        self.b.start()
        self.linked()
        self.assertEqual(self.trail(self.b), before)
        self.assertEqual(len(self.queue(self.b)), 1)

    def test_other_rules_decide_anew_what_is_open_and_nothing_else(self):
        self.write("over")
        self.b.do("conflicts resolve", "over", "--take", "1", "--who", "Ada")
        self.alike()
        self.write("open")
        before = self.trail(self.b)
        self.assertEqual([e["outcome"] for e in before], ["waits", "settled", "waits"])
        self.config.write_text(RULES + '[[rule]]\nkey = "o*"\nresolve = "max"\n')
        self.b.kill()
        self.b.start()
        eventually("decided anew", lambda: len(self.trail(self.b)) == 4)
        after = self.trail(self.b)
        self.assertEqual(after[:3], before)
        self.assertEqual((after[3]["key"], after[3]["strategy"], after[3]["result"]), ("open", "max", ["theirs"]))
        for _ in range(2):  # under the same rules nothing comes of a start, and nothing of a log that is replayed
            self.b.kill()
            self.b.start()
            self.linked()
            self.assertEqual(self.trail(self.b), after)

    def test_who_watches_sees_it_open_and_close(self):
        watch = subprocess.Popen([WEFT, "conflicts", "watch", "--dir", self.a.dir], stdout=subprocess.PIPE,
                                 env=clean_environment(), text=True)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.kill)
        lines = []
        threading.Thread(target=lambda: lines.extend(iter(watch.stdout.readline, "")), daemon=True).start()

        def opened():
            self.write("w")
            self.a.do("conflicts resolve", "w", "--value", "one", "--who", "Ada")
            self.alike()
            return len(lines) >= 2
        eventually("a conflict was told", opened)
        events = [json.loads(line) for line in list(lines)]
        self.assertEqual([e["event"] for e in events[-2:]], ["opened", "closed"])
        self.assertEqual((events[-1]["who"], events[-1]["key"]), ("Ada", "w"))

    def test_a_long_queue_comes_in_pages(self):
        def write(node, text):
            lines = [json.dumps({"key": f"q:{n:04}", "type": "mv_register", "value": text}) for n in range(30)]
            lines += [json.dumps({"key": "large", "field": [f"f{n}"], "type": "mv_register",
                                  "value": text + "x" * 900_000}) for n in range(12)]
            for line in lines:
                entry = json.loads(line)
                words = {"key": entry["key"], "type": entry["type"], "op": "set", "value": entry["value"]}
                if "field" in entry:
                    words["field"] = entry["field"]
                status, answer = node.http("POST", "/v1/ops", json.dumps([words]))
                self.assertEqual(status, 200, answer)
        self.apart(lambda a: write(a, "ours"), lambda b: write(b, "theirs"))
        self.assertEqual(len(self.queue(self.a, "q:")), 30)
        pages, after, sizes = [], "", []
        while after is not None:
            status, page = self.a.http("GET", f"/v1/conflicts?prefix=q:&limit=7&after={quote(after)}")
            self.assertEqual(status, 200)
            pages += [one["key"] for one in page["conflicts"]]
            sizes.append(len(page["conflicts"]))
            after = page["next"]
        self.assertEqual((pages, sizes), ([f"q:{n:04}" for n in range(30)], [7, 7, 7, 7, 2]))
        status, page = self.a.http("GET", "/v1/conflicts/large")  # 22 MB of them
        self.assertEqual(status, 200)
        self.assertLess(len(json.dumps(page)), 7 << 20)
        self.assertEqual(json.loads(page["next"])[0], "large")
        self.assertEqual(len(self.a.do("conflicts show", "large", "--json").splitlines()), 12)
        outcome = self.a.weft("conflicts list", "q:", "--limit", "3", "--json")
        self.assertEqual(len(outcome.out.splitlines()), 3)
        self.assertIn("there are more", outcome.err)
        for bad in ("x", "[]", '["k"]', '["k","coin"]', "[1,null]"):
            self.assertEqual(self.a.http("GET", f"/v1/conflicts?after={quote(bad)}")[0], 400, bad)
        self.refused(self.a.weft("conflicts list", "--limit", "0"), USAGE, "--limit")

    def test_a_rule_that_takes_the_remove_reads_as_absent(self):
        self.a.do("set", "gone:1", "old", "--type", "mv_register")
        self.alike()
        self.apart(lambda a: a.do("set", "gone:1", "new", "--type", "mv_register"),
                   lambda b: b.do("delete", "gone:1"))
        for node in (self.a, self.b):
            [found] = self.queue(node, "--all")
            self.assertEqual((found["strategy"], found["result"]), ("priority(oslo)", []))
            self.refused(node.weft("get", "gone:1"), DATA, "not_found")
            self.assertIn("removed", node.do("get", "gone:1", "--siblings"))

    def test_over_http(self):
        self.write("k")
        status, found = self.a.http("GET", "/v1/conflicts?prefix=k")
        self.assertEqual((status, len(found["conflicts"]), found["next"]), (200, 1, None))
        one = found["conflicts"][0]
        for body in ("[]", "{}", '{"id": 5}', json.dumps({"id": one["id"]}),
                     json.dumps({"id": one["id"], "take": 3}),
                     json.dumps({"id": one["id"], "take": 1, "value": 2}),
                     json.dumps({"id": one["id"], "value": [1]}),
                     json.dumps({"id": one["id"], "take": 1, "who": "x" * 300})):
            status, answer = self.a.http("POST", "/v1/conflicts/k", body)
            self.assertEqual((status, answer["error"]["code"]), (400, "invalid_argument"), body)
        stale = json.dumps({"id": "0" * 16, "take": 1})
        status, answer = self.a.http("POST", "/v1/conflicts/k", stale)
        self.assertEqual((status, answer["error"]["code"]), (409, "outdated"))
        good = json.dumps({"id": one["id"], "value": "x", "who": "Ada"})
        status, answer = self.a.http("POST", "/v1/conflicts/k?ack=majority", good)
        self.assertEqual(status, 200)
        self.assertEqual(self.a.http("GET", "/v1/conflicts/k")[0], 404)
        pages, start = [], ""
        while start is not None:
            status, page = self.a.http("GET", f"/v1/audit?limit=1&from={start}")
            pages += page["entries"]
            start = page["next"]
        self.assertEqual([e["outcome"] for e in pages], ["waits", "settled"])
        self.assertEqual(self.a.http("GET", "/v1/audit?since=x")[0], 400)

    def test_siblings_of_the_fields_of_a_map_are_given(self):
        self.apart(lambda a: a.do("put", "place:1", "name", "Wien"),
                   lambda b: b.do("put", "place:1", "name", "Vienna"))
        self.a.do("put", "place:1", "size", "2")
        fields = self.a.http("GET", "/v1/objects/place:1?siblings=true")[1]["field_siblings"]
        self.assertEqual([(f["field"], f["type"]) for f in fields], [(["name"], "register")])
        self.assertEqual(sorted(s["value"] for s in fields[0]["siblings"]), ["Vienna", "Wien"])
        text = self.a.do("get", "place:1", "--siblings")
        self.assertIn("name  register\n", text)
        self.assertIn('"Vienna"  oslo (north)', text)
        self.a.do("incr", "n")
        outcome = self.a.weft("get", "n", "--siblings")
        self.assertNotEqual(outcome.returncode, DONE)
        self.assertIn("a counter has no siblings", outcome.err)

    def test_the_trail_is_asked_by_time_strategy_and_replica(self):
        self.write("k")
        self.a.do("set", "k", "over")
        self.alike()
        self.assertEqual(len(self.trail(self.a, "--since", "1h")), 2)
        self.assertEqual(self.trail(self.a, "--until", "1h"), [])
        self.assertEqual(self.trail(self.a, "--since", "2999-01-01T00:00:00Z"), [])
        self.assertEqual(len(self.trail(self.a, "--since", "2001-01-01T00:00:00.500Z")), 2)
        self.assertEqual([e["outcome"] for e in self.trail(self.a, "--strategy", "overwritten")], ["settled"])
        for writer in ("berlin", "oslo", self.b.status()["replica_id"]):
            self.assertEqual(len(self.trail(self.a, "--replica", writer)), 2, writer)
        self.assertEqual(self.trail(self.a, "--replica", "rome"), [])
        for time in ("yesterday", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z"):
            self.refused(self.a.weft("audit", "--since", time), USAGE, "is no time")

    def test_what_others_wrote_makes_no_line_of_its_own(self):
        key = "k\x1b[2J\u009b1m\u202e\0"
        self.apart(lambda a: a.ops({"op": "set", "key": key, "type": "mv_register", "value": "ours"}),
                   lambda b: b.ops({"op": "set", "key": key, "type": "mv_register", "value": "theirs"}))
        forged = 'Bob: "b"\n2026-11-22T22:40:13.871Z  pay  write_write: "a" of berlin; settled by Eve'
        listed = self.b.do("conflicts list")
        [found] = self.queue(self.b)
        status, _ = self.b.http("POST", f"/v1/conflicts/{quote(key)}",
                                json.dumps({"id": found["id"], "take": 1, "who": forged + "\0"}))
        self.assertEqual(status, 200)
        self.alike()
        told = self.a.do("audit")
        self.assertEqual(len(told.splitlines()), 2)
        self.assertIn("settled by Bob: \"b\"\\n2026-", told)
        for text in (told, listed, self.a.do("keys")):
            self.assertIn("k\\u001b[2J\\u009b1m\\u202e\\u0000", text)
            for steers in "\x1b\u009b\u202e\0":
                self.assertNotIn(steers, text)
        self.assertEqual({entry["key"] for entry in self.trail(self.a)}, {key})

    def test_text_says_why_something_waits(self):
        self.a.do("incr", "stock", "-3")
        self.assertIn("waits for a person (bound_exceeded: -3 is below 0)", self.a.do("audit"))

    def test_a_merge_that_is_no_text_says_so(self):
        self.write("k")
        merged = self.place / "merged"
        merged.write_bytes(b"caf\xe9")
        self.refused(self.a.weft("conflicts resolve", "k", "--merge", merged), DATA, "merged: it is no UTF-8")
        refused = self.a.weft("conflicts list", "--limit", "0")
        self.refused(refused, USAGE, "--limit", "not in range 1 to 4294967296")

    def test_a_page_goes_on_where_an_entry_begins(self):
        for key in ("k1", "k2"):
            self.write(key)
        first = self.a.http("GET", "/v1/audit?limit=1")[1]
        self.assertEqual((len(first["entries"]), first["damaged"]), (1, []))
        rest = self.a.http("GET", f"/v1/audit?from={first['next']}")[1]
        self.assertEqual((len(rest["entries"]), rest["damaged"]), (1, []))
        for inside in (31, first["next"] + 3):
            status, answer = self.a.http("GET", f"/v1/audit?from={inside}")
            self.assertEqual((status, answer["error"]["code"]), (400, "invalid_argument"))


class Configuration(Case):
    def config(self, text):
        path = self.place / "weft.toml"
        path.write_text(text)
        return path

    def test_the_command_line_has_the_last_word(self):
        path = self.config('name = "file"\nregion = "eu"\nsync = "interval"\n'
                           'listen = ["tcp://127.0.0.1:0"]\naudit_days = 1\n')
        node = Node(self, "a", "--config", path, "--region", "north", listen=None)
        status = node.status()
        self.assertEqual((status["name"], status["region"], status["sync"]), ("a", "north", "interval"))
        self.assertEqual(len(status["listen"]), 1)

    def test_what_is_wrong_is_said_with_its_line(self):
        for text, line, why in [("nmae = 1", 1, "no option 'nmae'; there are audit_bytes_max"),
                                ("\nname = 5", 2, "text in quotes"),
                                ('\n\n[[rule]]\nresolve = "coin"', 4, "no strategy 'coin'; there are"),
                                ('[[rule]]\nkey = "a*b"', 1, "a star stands at the end"),
                                ("[[rule]]\nsize = 1", 2, "no part of a rule 'size'"),
                                ('[[rule]]\nkey="a"\n[[rule]]\nkey="b"\n[[rule]]\nkey="a"', 5, "to the same"),
                                ('[[rule]]\nfield="na*"', 1, "name each field in a rule of its own"),
                                ("[rule]\n", 1, "two brackets"), ("sync = 'often'", 1, "commit"),
                                ("audit_days = 0", 1, "a whole number from 1 to 36500"),
                                ("audit_bytes_max = 10", 1, "a whole number from 2097152 to"),
                                ('[[rule]]\ntype = "set"', 1, "rules are for register and mv_register"),
                                ("log_bytes_max = -1", 1, "a whole number"), ("name =", 1, "no TOML")]:
            outcome = run("serve", "--dir", self.place / "a", "--config", self.config(text))
            self.assertEqual(outcome.returncode, USAGE, text)
            self.assertIn(f"weft.toml:{line}: ", outcome.err, text)
            self.assertIn(why, outcome.err, text)
        outcome = run("serve", "--dir", self.place / "a", "--config", self.place / "missing")
        self.assertEqual(outcome.returncode, USAGE)
        self.assertIn("cannot be read", outcome.err)
        outcome = run("serve", "--dir", self.place / "a", "--config", self.place)
        self.assertEqual(outcome.returncode, USAGE)
        self.assertIn("cannot be read: it is a directory", outcome.err)

    def test_who_has_other_rules_is_named(self):
        a = Node(self, "a", "--config", self.config('[[rule]]\nresolve = "max"'))
        b = Node(self, "b", "--config", self.config('[[rule]]\nresolve = "min"'), "--peer", a.url)
        eventually("linked", lambda: (b.peer("a") or {}).get("state") == "active")
        self.assertTrue(b.peer("a")["other_rules"])
        self.assertIn("a settles conflicts by other rules", b.do("status"))
        eventually("said", lambda: "conflict.other_rules" in a.events())
        self.assertEqual(b.stop(), DONE)


if __name__ == "__main__":
    main()
