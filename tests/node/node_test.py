#!/usr/bin/env python3
"""The program `weft`, driven as an operator drives it: real processes, sockets and files.

usage: tests/node/node_test.py PATH_TO_WEFT [unittest arguments]"""
import ctypes
import gzip
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import urllib.parse

from program import (DATA, DONE, NO_NODE, PATIENCE_S, USAGE, WEFT, Case, Node, UnixConnection,
                     clean_environment, eventually, main, run)


def zstd(data):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = library.ZSTD_compress.restype = ctypes.c_size_t
    size = library.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(size)
    size = library.ZSTD_compress(out, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:size]


class Commands(Case):
    def setUp(self):
        super().setUp()
        self.node = Node(self, "a", listen=None)

    def test_set_takes_json_scalars_and_else_text(self):
        for text, value in [("5", 5), ("-2.5", -2.5), ("2.0", 2.0), ("true", True), ("null", None),
                            ("hello", "hello"), ('"5"', "5"), ("[1]", "[1]"), ("", ""), ("ü", "ü"),
                            ("18446744073709551615", "18446744073709551615")]:
            self.node.do("set", "k", text)
            self.assertEqual(self.node.value("k"), value, text)
            self.assertIs(type(self.node.value("k")), type(value), text)
        self.node.do("set", "k", "01234", "--string")
        self.assertEqual(self.node.do("get", "k"), "01234")
        self.node.do("set", "k", "5", "--string")
        self.assertEqual(self.node.value("k"), "5")

    def test_set_writes_multi_value_registers_and_flags(self):
        self.node.do("set", "m", "1", "--type", "mv_register")
        self.node.do("set", "m", "2")
        self.assertEqual((self.node.value("m"), self.node.type("m")), ([2], "mv_register"))
        self.node.do("set", "f", "true", "--type", "flag")
        self.assertEqual(self.node.value("f"), True)
        self.node.do("set", "f", "false")
        self.assertEqual((self.node.value("f"), self.node.type("f")), (False, "flag"))
        self.refused(self.node.weft("set", "f", "5"), DATA, "wrong_type", "flag", "true or false")

    def test_incr_prints_the_new_value(self):
        self.assertEqual(self.node.do("incr", "n"), "1")
        self.assertEqual(self.node.do("incr", "n", "41"), "42")
        self.assertEqual(self.node.do("incr", "n", "-50"), "-8")
        self.assertEqual(self.node.do("get", "n"), "-8")

    def test_incr_uses_the_counter_that_is_there(self):
        self.node.do("incr", "g", "3", "--type", "grow_counter")
        self.assertEqual(self.node.do("incr", "g"), "4")
        self.assertEqual(self.node.type("g"), "grow_counter")
        self.refused(self.node.weft("incr", "g", "-1"), DATA, "cannot fall")

    def test_a_bounded_counter_keeps_its_bound(self):
        self.assertEqual(self.node.do("incr", "stock", "10", "--at-least", "0"), "10")
        self.assertEqual(self.node.do("incr", "stock", "-4"), "6")
        self.refused(self.node.weft("incr", "stock", "-7"), DATA, "bound_exceeded")
        self.assertEqual(self.node.do("get", "stock"), "6")
        whole = json.loads(self.node.do("get", "stock", "--json"))
        self.assertEqual((whole["type"], whole["at_least"], whole["rights"]), ("bounded_counter", 0, 6))
        self.assertEqual(self.node.do("incr", "seats", "3", "--at-most", "4"), "3")
        self.refused(self.node.weft("incr", "seats", "2"), DATA, "bound_exceeded")
        self.refused(self.node.weft("delete", "stock"), DATA, "wrong_type")

    def test_sets_take_the_kind_of_their_members(self):
        self.node.do("add", "words", "red", "green", "red")
        self.assertEqual(self.node.value("words"), ["green", "red"])
        self.assertEqual(self.node.type("words"), "set<string>")
        self.node.do("add", "numbers", "1", "2")
        self.assertEqual(self.node.type("numbers"), "set<int>")
        self.node.do("add", "mixed", "1", "x")
        self.assertEqual((self.node.value("mixed"), self.node.type("mixed")), ([1, "x"], "set"))
        self.node.do("add", "mixed", "2.5")
        self.refused(self.node.weft("add", "numbers", "x"), DATA, "wrong_type", "numbers", "set<int>", '"x"')
        self.refused(self.node.weft("add", "words", "5"), DATA, "wrong_type")
        self.node.do("add", "words", "5", "--string")
        self.node.do("remove", "words", "red", "5", "--string")
        self.assertEqual(self.node.do("get", "words"), "green")

    def test_members_may_look_like_anything(self):
        self.node.do("add", "s", "--string", "[a,b]", "-5", "x y")
        self.assertEqual(self.node.value("s"), ["-5", "[a,b]", "x y"])
        self.node.do("add", "s", "--", "--string", "-x", "--")
        self.assertEqual(self.node.value("s"), ["--string", "-5", "-x", "[a,b]", "x y"])
        self.refused(self.node.weft("add", "s", "x", "--sting"), USAGE, "--sting")

    def test_other_sets(self):
        self.node.do("add", "r", "a", "b", "--type", "remove_wins_set<string>")
        self.node.do("remove", "r", "a")
        self.assertEqual((self.node.value("r"), self.node.type("r")), (["b"], "remove_wins_set<string>"))
        self.node.do("add", "g", "1", "--type", "grow_set<int>")
        self.node.do("add", "g", "2")
        self.assertEqual(self.node.value("g"), [1, 2])
        self.refused(self.node.weft("remove", "g", "1"), DATA, "wrong_type")
        self.refused(self.node.weft("remove", "nothing", "1"), DATA, "not_found", "nothing")

    def test_put_writes_fields_of_a_map(self):
        self.node.do("put", "user:42", "name", "Ada")
        self.node.do("put", "user:42", "born", "1815")
        self.assertEqual(self.node.value("user:42"), {"born": 1815, "name": "Ada"})
        self.assertEqual(self.node.do("get", "user:42"), "born  1815\nname  Ada")

    def test_a_write_does_not_silently_make_a_second_object(self):
        self.node.do("incr", "k")
        self.refused(self.node.weft("set", "k", "x"), DATA, "wrong_type", "counter", "beside")
        self.refused(self.node.weft("put", "k", "f", "x"), DATA, "wrong_type")
        self.refused(self.node.weft("add", "k", "x"), DATA, "wrong_type")
        self.node.do("set", "k", "x", "--type", "register")
        first = self.node.weft("get", "k")
        self.assertEqual(first.out, "x\n")
        self.assertIn("counter", first.err)
        self.assertIn("--type", first.err)
        self.assertEqual(self.node.do("get", "k", "--type", "counter"), "1")
        self.node.do("delete", "k", "--type", "register")
        self.assertEqual(self.node.type("k"), "counter")

    def test_keys_and_delete(self):
        for key in ("b", "a/1", "a/2", "a 3"):
            self.node.do("set", key, "1")
        self.assertEqual(self.node.do("keys").split("\n"), ["a 3", "a/1", "a/2", "b"])
        self.assertEqual(self.node.do("keys", "a/").split("\n"), ["a/1", "a/2"])
        self.assertEqual(self.node.do("keys", "--count"), "4")
        self.assertEqual(self.node.do("keys", "a/", "--count"), "2")
        self.node.do("delete", "a/1")
        self.assertEqual(self.node.do("keys", "a/"), "a/2")
        self.refused(self.node.weft("delete", "a/1"), DATA, "not_found", "a/1")
        self.refused(self.node.weft("get", "a/1"), DATA, "not_found", "a/1")
        self.assertEqual(self.node.do("keys", "none"), "")

    def test_limits_are_errors_of_the_data(self):
        self.refused(self.node.weft("set", "k" * 1025, "1"), DATA, "over_limit", "1025", "1024")
        self.refused(self.node.weft("set", "", "1"), DATA, "empty key")
        self.refused(self.node.weft("incr", "k", "1", "--ack", "replicated=3"), DATA, "never be reached")
        self.refused(self.node.weft("get", "k"), DATA, "not_found")  # refused before it was made

    def test_a_snapshot_on_demand(self):
        self.node.do("incr", "n", "5")
        self.assertRegex(self.node.do("snapshot"), r"^snapshot at log run 1, \d+ bytes$")
        status = self.node.status()
        self.assertEqual([(one["log_run"], one["why"]) for one in status["snapshots"]], [(1, "what a start reads")])
        [held] = status["log_held"]
        self.assertEqual((held["first_run"], held["end_run"], held["bytes"]), (0, 1, status["log_bytes"]))
        self.assertIn(f"log runs 0 to 1, {held['bytes']} B: until there are two snapshots", self.node.do("status"))
        self.assertRegex(self.node.do("status"), r"snapshot at log run 1, \d+ B: what a start reads")
        self.assertFalse(status["snapshot_under_way"])
        self.assertEqual(status["snapshot_bytes_written"], 0)
        self.node.do("incr", "n")
        self.node.kill()
        self.node.start()
        self.assertEqual(self.node.do("get", "n"), "6")
        files = [path.name for path in self.node.dir.iterdir() if path.name.startswith("snapshot-")]
        self.assertEqual(files, ["snapshot-0000000000000001.weft"])

    def test_status_for_people_and_programs(self):
        self.node.do("incr", "n")
        status = self.node.status()
        for name in ("name", "replica_id", "cluster", "objects", "version_vector", "digest", "log_bytes",
                     "sync", "peers"):
            self.assertIn(name, status)
        self.assertEqual((status["name"], status["objects"], status["sync"]), ("a", 1, "commit"))
        self.assertEqual(status["version_vector"], {status["replica_id"]: 1})
        self.assertRegex(status["digest"], "^[0-9a-f]{32}$")
        shown = self.node.do("status")
        for word in ("replica", "a (" + status["replica_id"] + ")", "cluster", "weft", status["digest"]):
            self.assertIn(word, shown)

    def test_usage_errors(self):
        for words in ("", "frobnicate", "set", "set k", "set k v w", "incr k many", "set k v --type blob",
                      "set k v --ack soon", "incr k --at-least x", "link", "link pause",
                      "serve --sync maybe", "import", "import f --batch 0", "completion fish"):
            outcome = run(*words.split(), environment=clean_environment(WEFT_DIR=str(self.node.dir)))
            self.refused(outcome, USAGE, "--help")
        self.refused(run("frobnicate"), USAGE, "no command 'frobnicate'")
        self.refused(run("--dir", "x", "get", "k"), USAGE, "options go after the command")

    def test_without_a_directory(self):
        self.refused(run("get", "k"), USAGE, "--dir", "--help")
        outcome = run("incr", "n", environment=clean_environment(WEFT_DIR=str(self.node.dir)))
        self.assertEqual((outcome.returncode, outcome.out), (DONE, "1\n"))

    def test_without_a_node(self):
        for words in ("get k", "set k v", "status", "watch", "keys", "link pause b", "import -", "verify"):
            outcome = run(*words.split(), "--dir", self.place / "nobody")
            self.refused(outcome, NO_NODE, "nobody/control.sock", "weft serve")

    def test_help_has_examples(self):
        for command in ("serve", "link", "status", "set", "incr", "add", "remove", "put", "get", "keys",
                        "delete", "watch", "import", "completion", "verify"):
            outcome = run(command, "--help")
            self.assertEqual((outcome.returncode, outcome.err), (DONE, ""))
            self.assertIn(f"weft {command}", outcome.out.split("Example:")[1])
        self.assertIn("Exit status", run("--help").out)

    def test_bash_completion(self):
        script = run("completion", "bash").out
        ask = "\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _weft; printf '%s\\n' \"${COMPREPLY[@]}\""
        for words, offered in [("weft st", ["status"]), ("weft serve --sy", ["--sync"]),
                               ("weft serve --sync i", ["interval"]), ("weft link p", ["pause"]),
                               ("weft verify --p", ["--peer"])]:
            whole = f"{script}\nCOMP_WORDS=({words}){ask}"
            out = subprocess.run(["bash", "-c", whole], capture_output=True, text=True, check=True)
            self.assertEqual(out.stdout.split(), offered, words)

    def test_watch_tells_changes_as_they_come(self):
        with subprocess.Popen([WEFT, "watch", "w", "--dir", self.node.dir], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as watching:
            try:
                # There is no sign that it listens but a change that it tells.
                lines = []
                reader = threading.Thread(target=lambda: lines.extend(iter(watching.stdout.readline, b"")))
                reader.start()
                eventually("a first change", lambda: self.node.do("incr", "w/first") and lines)
                self.node.do("set", "other", "x")
                self.node.do("put", "w/map", "name", "Ada")
                self.node.do("add", "w/set", "1", "2")
                eventually("all of them", lambda: any(b"w/set" in line for line in lines))
                told = [json.loads(line) for line in lines]
                self.assertEqual({t["key"] for t in told}, {"w/first", "w/map", "w/set"})
                field = next(t for t in told if t["key"] == "w/map")
                self.assertEqual((field["type"], field["origin"], field["local"]), ("map", "a", True))
                self.assertEqual(field["changes"],
                                 [{"type": "register", "what": "write", "field": ["name"], "value": "Ada"}])
                self.assertRegex(field["hlc"], r"^\d{4}-\d\d-\d\dT[\d:.]+Z\+\d+$")
                members = next(t for t in told if t["key"] == "w/set")
                self.assertEqual([(c["what"], c["value"]) for c in members["changes"]],
                                 [("add", 1), ("add", 2)])
                self.assertEqual(self.node.stop(), DONE)
                reader.join(PATIENCE_S)
                self.assertEqual(watching.wait(PATIENCE_S), NO_NODE)
            finally:
                watching.kill()


class Http(Case):
    def setUp(self):
        super().setUp()
        self.node = Node(self, "a", "--http", "127.0.0.1:0", listen=None)

    def test_a_transaction_is_all_or_nothing(self):
        status, answer = self.node.ops(
            {"op": "set", "key": "a/b?c", "value": 1.5}, {"op": "incr", "key": "n", "by": 2},
            {"op": "add", "key": "s", "members": ["x"]},
            {"op": "put", "key": "m", "field": ["deep", "er"], "value": {"time": 1000}})
        self.assertEqual((status, answer["results"]), (200, [None, 2, None, None]))
        self.assertRegex(answer["change"], "^[0-9a-f]{16}:1$")
        self.assertEqual(self.node.value("m"), {"deep": {"er": {"time": 1000}}})
        before = self.node.status()["digest"]
        status, answer = self.node.ops({"op": "incr", "key": "n"}, {"op": "set", "key": "n", "value": 1})
        self.assertEqual((status, answer["error"]["code"]), (409, "wrong_type"))
        self.assertEqual(self.node.status()["digest"], before)

    def test_objects_by_their_encoded_key(self):
        key = "a/b?c=%ü +&#"
        self.node.ops({"op": "set", "key": key, "value": "x"})
        target = "/v1/objects/" + urllib.parse.quote(key, safe="")
        status, answer = self.node.http("GET", target)
        self.assertEqual((status, answer["key"], answer["value"]), (200, key, "x"))
        self.assertEqual(answer["types"], ["register"])
        self.assertEqual(self.node.do("get", key), "x")
        self.assertEqual(self.node.http("GET", target + "?type=counter")[0], 404)
        self.assertEqual(self.node.http("GET", target + "?type=nonsense")[0], 400)
        self.assertEqual(self.node.http("DELETE", target)[0], 200)
        self.assertEqual(self.node.http("GET", target)[0], 404)
        self.assertEqual(self.node.http("DELETE", target)[0], 404)

    def test_keys_come_in_pages(self):
        self.node.ops(*({"op": "set", "key": f"k{n}", "value": n} for n in range(5)))
        status, page = self.node.http("GET", "/v1/keys?prefix=k&limit=3")
        self.assertEqual((status, page), (200, {"keys": ["k0", "k1", "k2"], "next": "k2"}))
        status, page = self.node.http("GET", "/v1/keys?prefix=k&limit=3&after=k2")
        self.assertEqual((status, page), (200, {"keys": ["k3", "k4"], "next": None}))
        self.assertEqual(self.node.http("GET", "/v1/keys?count=true")[1], {"count": 5})

    def test_bad_requests(self):
        for method, target, body, status in [
                ("GET", "/", None, 404), ("GET", "/v1/nothing", None, 404), ("POST", "/v1/status", "", 405),
                ("POST", "/v1/ops", "{", 400), ("POST", "/v1/ops", "{}", 400),
                ("POST", "/v1/ops", "[] x", 400),
                ("POST", "/v1/ops", '[{"op":"fly","key":"k"}]', 400), ("POST", "/v1/ops", '["x"]', 400),
                ("POST", "/v1/ops", '[{"op":"set","key":"k"}]', 400),
                ("POST", "/v1/ops", '[{"op":"set","key":"k","value":[1]}]', 400),
                ("POST", "/v1/ops", '[{"op":"set","key":"k","value":18446744073709551615}]', 400),
                ("POST", "/v1/ops", '[{"op":"add","key":"k","members":"x"}]', 400),
                ("POST", "/v1/ops", '[{"op":"put","key":"k","value":1}]', 400),
                ("POST", "/v1/ops", '[{"op":"incr","key":"k","by":1.5}]', 400),
                ("POST", "/v1/ops", b'[{"op":"set","key":"\xff","value":1}]', 400),
                ("POST", "/v1/ops?ack=soon", "[]", 400), ("POST", "/v1/ops?timeout_ms=-1", "[]", 400),
                ("POST", "/v1/link/nobody/pause", "", 404), ("POST", "/v1/link/nobody/stop", "", 404),
                ("GET", "/v1/keys?limit=many", None, 400), ("GET", "/v1/objects/%zz", None, 400),
                ("POST", "/v1/ops", "[" * 1000, 400)]:
            got, answer = self.node.http(method, target, body)
            self.assertEqual(got, status, f"{method} {target} {body}: {answer}")
            self.assertTrue(answer["error"]["code"] and answer["error"]["detail"])
        self.assertEqual(self.node.do("keys"), "")

    def test_bodies_and_headers_are_bounded(self):
        connection = UnixConnection(self.node.dir / "control.sock")
        connection.putrequest("POST", "/v1/ops")
        connection.putheader("Content-Length", str(9 << 20))
        connection.endheaders()
        answer = connection.getresponse()
        self.assertEqual((answer.status, json.loads(answer.read())["error"]["code"]), (413, "over_limit"))
        connection.close()
        self.assertEqual(self.node.http("GET", "/v1/status", headers={"X-Long": "x" * 20_000})[0], 431)
        self.assertEqual(self.node.http("GET", "/v1/status")[0], 200)

    def test_garbage_gets_an_answer_and_ends_only_its_connection(self):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(PATIENCE_S)
            raw.connect(str(self.node.dir / "control.sock"))
            raw.sendall(b"\x00\xff garbage\r\n\r\n")
            self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 400"))
        self.assertEqual(self.node.http("GET", "/v1/status")[0], 200)

    def test_connections_are_bounded(self):
        held = []
        for _ in range(80):
            raw = socket.socket(socket.AF_UNIX)
            raw.settimeout(PATIENCE_S)
            raw.connect(str(self.node.dir / "control.sock"))
            held.append(raw)
        self.assertTrue(held[-1].recv(4096).startswith(b"HTTP/1.1 503"))
        for raw in held:
            raw.close()
        eventually("room again", lambda: self.node.weft("status").returncode == DONE)

    def test_curl_sends_large_bodies_with_expect(self):
        lines = "".join(json.dumps({"id": n, "text": "x" * 1000}) + "\n" for n in range(1500))
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(PATIENCE_S)
            raw.connect(str(self.node.dir / "control.sock"))
            raw.sendall(b"POST /v1/import?prefix=c: HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(lines))
            self.assertTrue(raw.recv(4096).startswith(b"HTTP/1.1 100"))
            raw.sendall(lines.encode())
            self.assertIn(b'{"applied":1500,"errors":[]}', raw.recv(65536))

    def test_import_reports_lines_and_keeps_the_good_ones(self):
        status, answer = self.node.http("POST", "/v1/import?prefix=p:&key=name&line=10",
                                        '{"name":"x","n":1}\n{"n":2}\n\n{"name":"y","n":{"deep":[1,2]}}\n')
        self.assertEqual((status, answer["applied"]), (200, 2))
        self.assertEqual([e["line"] for e in answer["errors"]], [11])
        self.assertEqual(self.node.value("p:y"), {"n": {"deep": [1, 2]}, "name": "y"})

    def test_watch_is_a_stream_of_lines(self):
        connection = UnixConnection(self.node.dir / "control.sock")
        connection.request("GET", "/v1/watch?prefix=w")
        answer = connection.getresponse()  # the subscription stands from here on
        self.assertEqual(answer.status, 200)
        self.node.ops({"op": "set", "key": "x", "value": 1}, {"op": "set", "key": "w1", "value": 1},
                      {"op": "incr", "key": "w2", "by": 3})
        first, second = (json.loads(answer.readline()) for _ in range(2))
        self.assertEqual((first["key"], first["changes"][0]["value"]), ("w1", 1))
        self.assertEqual((second["key"], second["changes"][0]["amount"]), ("w2", 3))
        self.assertEqual(first["change"], second["change"])
        connection.close()

    def test_a_slow_watcher_is_told_and_dropped(self):
        connection = UnixConnection(self.node.dir / "control.sock")
        connection.request("GET", "/v1/watch")
        answer = connection.getresponse()
        for n in range(24):
            self.assertEqual(self.node.ops({"op": "set", "key": "k", "value": "x" * 1_000_000})[0], 200)
        lines = list(iter(answer.readline, b""))
        self.assertLess(len(lines), 24)
        self.assertEqual(json.loads(lines[-1])["error"]["code"], "over_limit")
        self.assertEqual(json.loads(lines[0])["key"], "k")
        connection.close()

    def test_tcp_answers_this_machine_only(self):
        host = self.node.http_url.removeprefix("http://")
        for headers, status in [({}, 200), ({"Host": "localhost:1"}, 200), ({"Host": "evil.example"}, 403),
                                ({"Host": "127.evil.example"}, 403), ({"Host": "127.0.0.1.evil"}, 403),
                                ({"Host": "127.1.2.3:80"}, 200), ({"Host": "[::1]:80"}, 200),
                                ({"Origin": "http://evil.example"}, 403)]:
            connection = http.client.HTTPConnection(host, timeout=PATIENCE_S)
            connection.request("GET", "/v1/status", headers=headers)
            answer = connection.getresponse()
            self.assertEqual(answer.status, status, headers)
            answer.read()
            connection.close()

    def test_many_requests_over_one_connection(self):
        connection = UnixConnection(self.node.dir / "control.sock")
        for n in range(1, 50):
            connection.request("POST", "/v1/ops?ack=memory", json.dumps([{"op": "incr", "key": "n"}]))
            self.assertEqual(json.loads(connection.getresponse().read())["results"], [n])
        connection.close()

    def test_an_empty_transaction_waits_for_those_before(self):
        self.node.ops({"op": "incr", "key": "n"}, query="?ack=memory")
        status, answer = self.node.ops(query="?ack=disk")
        self.assertEqual((status, answer), (200, {"change": None, "results": []}))
        durable = self.node.status()
        self.assertEqual(durable["durable_vector"], durable["version_vector"])


class Import(Case):
    LINES = [{"id": 1, "name": "Oslo", "population": 700_000, "lat": 59.9, "tags": ["north", "sea"],
              "capital": True, "alias": None, "area": {"code": "NO", "zones": [1, 2]}},
             {"id": "two", "name": "Rome", "mixed": [1, "x", 2.5], "none": []}]

    def setUp(self):
        super().setUp()
        self.node = Node(self, "a", listen=None)
        self.text = "".join(json.dumps(line) + "\n" for line in self.LINES).encode()

    def file(self, name, data):
        path = self.place / name
        path.write_bytes(data)
        return path

    def check_content(self):
        self.assertEqual(self.node.do("keys").split("\n"), ["p:1", "p:two"])
        first = self.node.value("p:1")
        self.assertEqual(first, self.LINES[0])
        self.assertEqual((type(first["population"]), type(first["lat"])), (int, float))
        self.assertEqual(self.node.value("p:two"), {"id": "two", "name": "Rome", "mixed": [1, 2.5, "x"]})

    def test_plain(self):
        out = self.node.do("import", self.file("f", self.text), "--prefix", "p:")
        self.assertEqual(out, "2 lines imported, 0 skipped")
        self.check_content()

    def test_gzip_of_two_members(self):
        half = self.text.index(b"\n") + 1
        packed = gzip.compress(self.text[:half]) + gzip.compress(self.text[half:])
        self.node.do("import", self.file("f", packed), "--prefix", "p:")
        self.check_content()

    def test_zstd(self):
        self.node.do("import", self.file("f", zstd(self.text)), "--prefix", "p:")
        self.check_content()

    def test_standard_input(self):
        for data in (self.text, gzip.compress(self.text), zstd(self.text), self.text.rstrip(b"\n")):
            self.node.do("import", "-", "--prefix", "p:", stdin=data)
            self.check_content()
        self.assertEqual(self.node.do("import", "-", stdin=b""), "0 lines imported, 0 skipped")

    def test_bad_lines_are_reported_and_skipped(self):
        bad = [b'{"id":', b"[1]", b"7", b'{"name":"no key"}', b'{"id":[1]}', b'{"id":"o","x":[[1]]}',
               b'{"id":"o","n":18446744073709551615}', b'{"id":"o","":1}', b'{"id":""}',
               b'{"id":"o","n":"\xff"}', b'{"id":"' + b"k" * 1100 + b'"}',
               b'{"id":"o","v":"' + b"x" * 1_100_000 + b'"}', b'{"id":"o","v":"' + b"x" * 5_000_000 + b'"}',
               b'{"id":"o","m":' + b'{"m":' * 17 + b"1" + b"}" * 18, b'{"id":"o"} {"id":"o"}']
        good = [b'{"id":"g%d","n":%d}' % (n, n) for n in range(len(bad))]
        lines = [line for pair in zip(bad, good) for line in pair]
        for batch in ("1000", "3", "1"):
            outcome = self.node.weft("import", self.file("f", b"\n".join(lines)), "--batch", batch)
            self.assertEqual(outcome.returncode, DATA)
            self.assertEqual(outcome.out, f"{len(good)} lines imported, {len(bad)} skipped\n")
            named = [int(n) for n in re.findall(r"^weft: .* line (\d+): ", outcome.err, re.M)]
            self.assertEqual(named, list(range(1, 2 * len(bad), 2)), outcome.err)
            self.assertEqual(self.node.do("keys", "--count"), str(len(good)))

    def test_the_same_again_changes_only_timestamps(self):
        file = self.file("f", self.text)
        self.node.do("import", file, "--prefix", "p:")
        before = self.node.status()
        self.node.do("import", file, "--prefix", "p:")
        self.check_content()
        self.assertEqual(self.node.status()["objects"], before["objects"])

    def test_a_key_field_of_ones_own(self):
        self.node.do("import", "-", "--key", "name", stdin=self.text)
        self.assertEqual(self.node.do("keys").split("\n"), ["Oslo", "Rome"])

    def test_many_lines_in_small_and_large_batches(self):
        text = b"".join(b'{"id":%d,"a":%d,"b":"%s"}\n' % (n, n * n, b"x" * 50) for n in range(30_000))
        file = self.file("f", gzip.compress(text))
        outcome = self.node.weft("import", file, "--batch", "100000", "--progress")
        self.assertEqual((outcome.returncode, outcome.out), (DONE, "30000 lines imported, 0 skipped\n"))
        self.assertEqual(self.node.do("keys", "--count"), "30000")
        self.assertIn("/s", outcome.err)
        status = self.node.status()
        self.assertEqual(status["durable_vector"], status["version_vector"])

    def test_a_file_that_is_damaged_or_missing(self):
        packed = gzip.compress(self.text * 1000)
        outcome = self.node.weft("import", self.file("f", packed[:-20]), "--prefix", "p:")
        self.assertEqual(outcome.returncode, DATA)
        self.assertIn("ends in the middle", outcome.err)
        outcome = self.node.weft("import", self.file("f", packed[:30] + b"\0" * 30 + packed[60:]))
        self.assertEqual(outcome.returncode, DATA)
        self.assertIn("damaged", outcome.err)
        outcome = self.node.weft("import", self.file("f", zstd(self.text * 1000)[:-20]), "--prefix", "p:")
        self.assertEqual(outcome.returncode, DATA)
        self.refused(self.node.weft("import", self.place / "missing"), DATA, "not_found", "missing")


class Serving(Case):
    def test_sigterm_and_sigint_are_clean_stops(self):
        node = Node(self, "a")
        self.assertRegex(node.ready, r"^ready: a \([0-9a-f]{16}\) of cluster weft, listening on "
                                     r"tcp://127.0.0.1:\d+, control socket .*/a/control.sock\n$")
        identity = node.status()["replica_id"]
        self.assertEqual((node.dir / "control.sock").stat().st_mode & 0o777, 0o600)
        node.do("incr", "n")
        self.assertEqual(node.stop(), DONE)
        self.assertFalse((node.dir / "control.sock").exists())
        node.start()
        self.assertEqual((node.status()["replica_id"], node.do("get", "n")), (identity, "1"))
        node.process.send_signal(signal.SIGINT)
        self.assertEqual(node.reap(), DONE)
        self.assertRegex(node.events(), r"(?m)^\d{4}-\d\d-\d\dT[\d:.]+Z info [a-z_]+\.[a-z_]+ ")

    def test_what_was_acknowledged_survives_kill_9(self):
        node = Node(self, "a")
        for n in range(20):
            node.do("add", "s", str(n))
        node.kill()
        self.refused(node.weft("get", "s"), NO_NODE, "control.sock")  # a stale socket file
        node.start()
        self.assertEqual(node.value("s"), list(range(20)))

    def test_one_process_per_directory(self):
        node = Node(self, "a")
        second = run("serve", "--dir", node.dir, "--name", "a")
        self.refused(second, DATA, "locked", str(node.dir))
        self.assertEqual(node.do("incr", "n"), "1")

    def test_a_directory_stays_in_its_cluster(self):
        node = Node(self, "a", cluster="north")
        node.stop()
        self.refused(run("serve", "--dir", node.dir, "--name", "a", "--cluster", "south"), DATA,
                     "wrong_cluster", "north", "south")

    def test_listening_in_public_must_be_asked_for_by_name(self):
        for url in ("tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://192.0.2.1:7411", "tcp://localhost.evil:1",
                    "tcp://127.evil.example:1", "tcp:0.0.0.0:0"):
            outcome = run("serve", "--dir", self.place / "a", "--listen", url)
            self.refused(outcome, USAGE, url, "--insecure-listen")
        Node(self, "a", "--insecure-listen", listen="tcp://0.0.0.0:0")
        for where in ("0.0.0.0:0", "192.0.2.1:80", "nonsense", "127.0.0.1:", "127.0.0.1:99999"):
            self.refused(run("serve", "--dir", self.place / "b", "--http", where), USAGE, where)

    def test_bad_settings(self):
        outcome = run("serve", "--dir", self.place / "a", "--listen", "gopher://x")
        self.refused(outcome, USAGE, "gopher", "tcp")
        self.refused(run("serve", "--dir", self.place / "a", "--name", "x" * 65), USAGE, "64")
        self.refused(run("serve", "--dir", self.place / ("d" * 120)), USAGE, "107", "--dir", "symbolic link")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            outcome = run("serve", "--dir", self.place / "a", "--http", f"127.0.0.1:{port}")
            self.refused(outcome, DATA, str(port))
            outcome = run("serve", "--dir", self.place / "a", "--listen", f"tcp://127.0.0.1:{port}")
            self.refused(outcome, DATA, str(port))

    def test_the_default_name_is_made_of_host_and_directory(self):
        node = Node(self, "a")
        node.stop()
        node.words = [WEFT, "serve", "--dir", str(self.place / "fresh") + "/"]
        node.start()
        node.dir = self.place / "fresh"
        self.assertEqual(node.status()["name"], f"{socket.gethostname()}-fresh"[:64])


class Damage(Case):
    def flip(self, path, at):
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))

    def names(self, node):
        return {path.name for path in node.dir.iterdir()} - {"control.sock", "lock"}

    def test_a_damaged_log_is_repaired_and_a_peer_brings_the_rest(self):
        a = Node(self, "a")
        b = Node(self, "b", "--peer", a.url)
        for n in range(20):
            b.do("add", "shared", str(n))
        self.converged(a, b)
        b.do("link pause", "a")
        for n in range(5):
            b.do("add", "own", str(n))
        before = b.status()["replica_id"]
        b.kill()
        log = b.dir / "log-0000000000000000.weft"
        whole = log.read_bytes()
        self.flip(log, len(whole) // 2)
        damaged, there = log.read_bytes(), self.names(b)
        self.refused(run(*b.words[1:]), DATA, "log_damaged", str(log), "damaged at byte", "weft repair")

        repair = ("repair", "--dir", b.dir)
        plan = run(*repair, "--dry-run")
        self.assertEqual(plan.returncode, DATA, plan.err)
        self.assertRegex(plan.out, rf"{log}: damaged at byte \d+: ")
        lost = re.search(rf"operations {before}:(\d+) to 25 of this replica are lost but for what a peer has",
                         plan.out)
        self.assertTrue(lost, plan.out)
        self.assertEqual((log.read_bytes(), self.names(b)), (damaged, there))
        done = run(*repair)
        self.assertEqual(done.returncode, DONE, done.err)
        self.assertIn(f"put aside: {log.name}.damaged", done.out)
        self.assertEqual((b.dir / f"{log.name}.damaged").read_bytes(), damaged)
        self.assertIn("nothing to repair", run(*repair).out)

        b.start()
        self.refused(run(*repair), DATA, "locked")
        self.assertNotEqual(b.status()["replica_id"], before)
        self.converged(a, b)
        self.assertEqual(b.value("shared"), list(range(20)))
        self.assertEqual(b.status()["version_vector"][before], 20)
        b.do("add", "own", "5")
        self.converged(a, b)
        self.assertEqual(a.value("own"), [5])
        # What was intact behind the damage continues what came back.
        self.assertEqual(b.stop(), DONE)
        self.assertIn(f"operations {before}:21 to 25 are taken back", run(*repair).out)
        self.assertIn("nothing to repair", run(*repair).out)
        b.start()
        self.converged(a, b)
        self.assertEqual(a.value("own"), list(range(6)))

    def test_a_start_repairs_when_asked(self):
        a = Node(self, "a")
        b = Node(self, "b", "--peer", a.url)
        b.do("add", "s", "1")
        b.do("snapshot")
        b.do("add", "s", "2")
        b.do("add", "s", "3")
        self.converged(a, b)
        b.stop()
        for name in self.names(b):
            if name.startswith("log-"):
                (b.dir / name).unlink()
        self.refused(run(*b.words[1:]), DATA, "log_damaged", "weft repair")
        b.start("--repair")
        self.assertRegex(b.events(), r"warning repair.done .*")
        self.converged(a, b)
        self.assertEqual(b.value("s"), [1, 2, 3])
        identity = b.status()["replica_id"]
        b.stop()
        b.start("--repair")  # nothing is wrong any more
        self.assertEqual(b.status()["replica_id"], identity)
        self.assertEqual(b.value("s"), [1, 2, 3])

    def test_what_cannot_be_repaired_is_said(self):
        nobody = self.place / "nobody"
        self.refused(run("repair", "--dir", nobody), DATA, "not_found", str(nobody))
        self.assertFalse(nobody.exists())
        node = Node(self, "a", cluster="north")
        node.stop()
        self.refused(run("repair", "--dir", node.dir), DATA, "wrong_cluster", "north")


class FullDisk(Case):
    def test_writes_are_refused_until_there_is_space(self):
        small = self.place / "a"
        small.mkdir()
        own_mount = ("unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"', str(small))
        if subprocess.run([*own_mount, "true"], capture_output=True).returncode != 0:
            self.skipTest("no file system of its own can be mounted here")
        a = Node(self, "a", under=own_mount)
        log = pathlib.Path(f"{a.dir}.log")
        a.dir = pathlib.Path(f"/proc/{a.process.pid}/root{small}")
        a.do("add", "s", "before")
        filler = a.dir / "filler"
        with open(filler, "wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(b"x" * 4096)

        def refused():
            outcome = a.weft("set", "k", "x" * 5000, "--timeout", "0.2")
            return outcome.returncode == DATA and "disk_full" in outcome.err and outcome
        outcome = eventually("refused", refused)
        self.assertIn("free some", outcome.err)
        self.assertTrue(a.status()["disk_full"])
        self.assertIn("the disk is full", a.do("status"))
        self.assertEqual(a.value("s"), ["before"])  # reads go on
        b = Node(self, "b", "--peer", a.url)
        eventually("sent", lambda: b.weft("get", "s").out == "before\n")  # and so does sending
        filler.unlink()
        eventually("space", lambda: not a.status()["disk_full"])
        a.do("add", "s", "after")
        self.converged(a, b)
        self.assertEqual(b.value("s"), ["after", "before"])
        self.assertRegex(log.read_text(), r"disk.space the disk is full[^\n]*\n(.*\n)*.*disk.space the disk has space")


class Replication(Case):
    def pair(self, listen_a, listen_b):
        a = Node(self, "a", listen=listen_a)
        b = Node(self, "b", "--peer", a.url, listen=listen_b)
        eventually("a session", lambda: a.peer("b") and a.peer("b")["state"] == "active")
        return a, b

    def test_over_tcp(self):
        self.check_pair(*self.pair("tcp://127.0.0.1:0", "tcp://127.0.0.1:0"))

    def test_over_unix(self):
        self.check_pair(*self.pair(f"unix:{self.place}/a.link", None))

    def check_pair(self, a, b):
        a.do("add", "tags", "from-a")
        b.do("add", "tags", "from-b")
        self.converged(a, b)
        self.assertEqual(a.value("tags"), ["from-a", "from-b"])
        self.assertEqual(b.do("incr", "n", "--ack", "majority"), "1")
        self.assertEqual(b.do("incr", "n", "--ack", "replicated=2"), "2")
        peer = b.peer("a")
        for name in ("name", "replica_id", "url", "state", "lag_ms", "lag_ops", "rtt_us", "bytes_in",
                     "bytes_out", "changes_in", "changes_out"):
            self.assertIn(name, peer)
        self.assertEqual((peer["state"], peer["replica_id"]), ("active", a.status()["replica_id"]))
        self.assertGreater(peer["changes_in"] + peer["bytes_out"], 0)
        self.assertRegex(b.do("status"), r"(?m)^a +active ")

    def test_rights_of_a_bounded_counter_move(self):
        a, b = self.pair("tcp://127.0.0.1:0", None)
        a.do("incr", "stock", "10", "--at-least", "0")
        self.converged(a, b)
        self.refused(b.weft("incr", "stock", "-1"), DATA, "bound_exceeded", "transferred")
        a.do("transfer", "stock", "4", "b")
        self.converged(a, b)
        self.assertEqual(b.do("incr", "stock", "-4"), "6")
        self.refused(b.weft("incr", "stock", "-1"), DATA, "bound_exceeded")
        self.refused(a.weft("transfer", "stock", "7", "b"), DATA, "bound_exceeded")
        self.refused(a.weft("transfer", "stock", "1", "nobody"), DATA, "replica id")
        self.refused(a.weft("transfer", "stock", "0", "b"), USAGE, "--help")

    def test_one_disk_is_one_member(self):
        b = Node(self, "b", listen=f"unix:{self.place}/b.link")
        a = Node(self, "a", "--peer", b.url, "--peer", f"unix:{self.place}/nobody.link", listen=None)
        eventually("a session", lambda: a.peer("b") and a.peer("b")["state"] == "active")
        a.do("incr", "n", "--ack", "majority")
        again = ("incr", "n", "--ack", "replicated=3", "--timeout", "0.3")
        self.refused(a.weft(*again), DATA, "timed_out")
        b.stop()
        b.words = ["b2" if word == "b" else word for word in b.words]
        b.start()
        eventually("a session", lambda: a.peer("b2") and a.peer("b2")["state"] == "active")
        a.do("incr", "n", "--ack", "majority")
        self.refused(a.weft(*again), DATA, "timed_out")
        self.refused(a.weft("link pause", ""), DATA, "not_found")

    def test_a_watcher_sees_remote_changes(self):
        a, b = self.pair("tcp://127.0.0.1:0", None)
        connection = UnixConnection(a.dir / "control.sock")
        connection.request("GET", "/v1/watch")
        answer = connection.getresponse()
        b.do("set", "k", "v")
        told = json.loads(answer.readline())
        self.assertEqual((told["key"], told["origin"], told["local"]), ("k", "b", False))
        connection.close()

    def test_a_paused_link_and_its_return(self):
        a, b = self.pair("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
        b.do("incr", "n")
        self.converged(a, b)
        self.assertEqual(b.do("link pause", "a"), "paused a")
        eventually("paused", lambda: b.peer("a")["state"] == "paused")
        a.do("incr", "n")
        b.do("incr", "n")
        self.assertEqual((a.do("get", "n"), b.do("get", "n")), ("2", "2"))
        unknown = b.weft("incr", "n", "--ack", "majority", "--timeout", "0.2")
        self.refused(unknown, DATA, "timed_out", "not rolled back")
        b.do("link resume", a.status()["replica_id"])
        self.converged(a, b)
        self.assertEqual(a.do("get", "n"), "4")
        self.refused(b.weft("link pause", "nobody"), DATA, "not_found", "nobody", "a")

    def test_verify_while_both_write(self):
        a, b = self.pair("tcp://127.0.0.1:0", None)
        stop = threading.Event()

        def write(node):
            while not stop.is_set():
                node.do("add", "s", node.ready)
                node.do("incr", "n")

        writers = [threading.Thread(target=write, args=(node,)) for node in (a, b)]
        for each in writers:
            each.start()
        try:
            self.assertEqual(a.do("verify"), "b: equal")
            self.assertEqual(b.do("verify", "--peer", "a"), "a: equal")
            answer = json.loads(a.do("verify", "--json"))
        finally:
            stop.set()
            for each in writers:
                each.join()
        self.assertEqual(answer, {"peers": [{"peer": "b", "replica_id": b.status()["replica_id"], "outcome": "equal",
                                             "keys": None, "error": None}]})
        self.assertLess(a.peer("b")["digest_compared_ms"], PATIENCE_S * 1000)
        status, answer = b.http("POST", "/v1/verify?peer=a")
        self.assertEqual((status, answer["peers"][0]["outcome"]), (200, "equal"))
        self.assertEqual(b.http("GET", "/v1/verify")[0], 405)
        self.refused(b.weft("verify", "--peer", "nobody"), DATA, "not_found", "nobody", "a")

    def test_verify_says_who_was_not_reached(self):
        a, b = self.pair("tcp://127.0.0.1:0", None)
        c = Node(self, "c", "--peer", a.url, "--peer", f"unix:{self.place}/nobody.link", listen=None)
        eventually("a session", lambda: c.peer("a") and c.peer("a")["state"] == "active")
        some = c.weft("verify")
        self.assertEqual(some.returncode, NO_NODE)
        self.assertIn("a: equal\n", some.out)
        self.assertIn("nobody.link: not compared: unreachable: not linked", some.out)
        b.do("link pause", "a")
        eventually("paused", lambda: b.peer("a")["state"] == "paused")
        none = b.weft("verify")
        self.assertEqual(none.returncode, NO_NODE)
        self.assertIn("a: not compared: unreachable: not linked: paused here", none.out)
        eventually("gone", lambda: a.peer("b")["state"] == "failed")
        self.assertEqual(a.do("verify"), "c: equal")  # who came by itself and went is none of its own
        c.stop()
        alone = Node(self, "alone", listen=None).weft("verify")
        self.assertEqual((alone.returncode, alone.out), (NO_NODE, ""))
        self.assertIn("no peer", alone.err)

    def test_verify_fails_where_one_differs(self):
        place = self.place / "canned"
        place.mkdir()
        peer = {"replica_id": "0" * 16, "keys": None, "error": None}
        gone = {**peer, "peer": "c", "outcome": "not_compared", "error": {"code": "timed_out", "detail": "why"}}
        answer = {"peers": [{**peer, "peer": "b", "outcome": "differs", "keys": "keys from 'k' on"}, gone]}

        def serve(listening):
            connection = listening.accept()[0]
            connection.recv(65536)
            body = json.dumps(answer).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            connection.close()

        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place / "control.sock"))
            listening.listen()
            canned = threading.Thread(target=serve, args=(listening,))
            canned.start()
            outcome = run("verify", "--dir", place)
            canned.join(PATIENCE_S)
        self.assertEqual(outcome.returncode, DATA)
        self.assertEqual(outcome.out, "b: differs in: keys from 'k' on\nc: not compared: timed_out: why\n")

    def test_a_replica_killed_in_between_catches_up(self):
        a, b = self.pair("tcp://127.0.0.1:0", "tcp://127.0.0.1:0")
        b.do("add", "s", "before")
        self.converged(a, b)
        a.words[a.words.index("--listen") + 1] = a.url  # where b looks for it
        a.kill()
        b.do("add", "s", "while-away")
        self.assertEqual(b.do("get", "s").split(), ["before", "while-away"])
        a.start()
        a.do("add", "s", "after")
        self.converged(a, b)
        self.assertEqual(b.value("s"), ["after", "before", "while-away"])

    def test_a_replica_whose_disk_was_lost_gets_the_state(self):
        little = ("--snapshot-log-bytes", "20KB", "--log-bytes-max", "40KB")
        b = Node(self, "b", *little)
        a = Node(self, "a", "--peer", b.url, *little)
        a.do("add", "s", "gone", "kept")
        self.converged(a, b)
        b.words[b.words.index("--listen") + 1] = b.url  # where a looks for it
        b.kill()
        a.do("remove", "s", "gone")
        lines = self.place / "lines"
        for start in range(0, 8000, 1000):  # a snapshot at a time
            lines.write_text("".join(json.dumps({"id": f"k{n}", "text": f"{n * 7919 % 8000:040}"}) + "\n"
                                     for n in range(start, start + 1000)))
            a.do("import", str(lines), "--key", "id")
            a.do("snapshot")
        eventually("dropped", lambda: a.status()["log_first_run"] > 0)
        self.assertRegex(a.events(), "log.limit .* though 'b' did not confirm them")
        shutil.rmtree(b.dir)
        b.start()
        b.do("incr", "n", "5")
        self.converged(a, b)
        self.assertEqual((b.value("s"), a.value("n")), (["kept"], 5))
        self.assertTrue(b.status()["floor"])
        self.assertIsNone(b.status()["transfer"])
        self.assertIn("transfer.done", b.events())
        b.stop()
        b.start()
        self.converged(a, b)
        self.assertEqual(b.do("keys --count"), a.do("keys --count"))

    def test_replicas_of_two_clusters_stay_apart(self):
        a = Node(self, "a", cluster="north")
        b = Node(self, "b", "--peer", a.url, cluster="south")
        a.do("incr", "n")
        found = eventually("refused", lambda: next((p for p in b.status()["peers"] if p["error"]), None))
        self.assertNotEqual(found["state"], "active")
        self.assertIn("cluster", found["error"])
        self.assertEqual(b.do("keys"), "")


if __name__ == "__main__":
    main()
