#!/usr/bin/env python3
"""What a node costs those who say nothing, do not read, or send too much: real sockets against a real `weft`.

usage: tests/node/bounds_test.py PATH_TO_WEFT [unittest arguments]"""
import concurrent.futures
import json
import pathlib
import re
import resource
import select
import socket
import threading
import time

from program import DATA, PATIENCE_S, USAGE, WEFT, Case, Node, UnixConnection, eventually, main, run

SILENT = 1_000
KIB_EACH_MAX = 16
SILENCE_S = 5


def sanitized():
    return any(mark in pathlib.Path(WEFT).read_bytes() for mark in (b"__asan_init", b"__tsan_init"))


def rss_kib(process):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text()).group(1))


def address_of(url):
    if url.startswith("unix:"):
        return socket.AF_UNIX, url.removeprefix("unix:")
    host, port = url.split("//")[1].rsplit(":", 1)
    return socket.AF_INET, (host, int(port))


def connected(url):
    family, where = address_of(url)
    one = socket.socket(family)
    one.settimeout(PATIENCE_S)
    one.connect(where)
    return one


def ended(one):
    """Reads until the other side closes."""
    while one.recv(65536):
        pass
    return True


def received(one, enough):
    """What comes until that is enough."""
    out = b""
    while not enough(out):
        more = one.recv(1 << 20)
        if not more:
            raise AssertionError(f"closed after {out[-200:]}")
        out += more
    return out


def whole(text):
    return text.endswith(b"\r\n0\r\n\r\n")


class Proxy:
    """Stands between two nodes. When it turns deaf it reads nothing more of the one that was dialed, and goes on
    to tell it what the other said last, every second, as one who lives."""

    def __init__(self, test, url):
        self.target = url
        self.deaf = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        test.addCleanup(self.listener.close)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                dialer, _ = self.listener.accept()
            except OSError:
                return
            if self.deaf.is_set():
                dialer.close()
            else:
                threading.Thread(target=self.carry, args=(dialer, connected(self.target)), daemon=True).start()

    def carry(self, dialer, dialed):
        said, last = b"", b""
        try:
            while said or not self.deaf.is_set():
                for ready in select.select([dialer, dialed], [], [], 0.05)[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    (dialed if ready is dialer else dialer).sendall(data)
                    said += data if ready is dialer else b""
                while len(said) >= 8 and len(said) >= 8 + int.from_bytes(said[:4], "little"):
                    size = 8 + int.from_bytes(said[:4], "little")
                    last, said = said[:size], said[size:]
            dialer.close()
            while self.deaf.is_set():
                dialed.sendall(last)
                time.sleep(1)
        except OSError:
            return
        finally:
            dialer.close()
            dialed.close()


class Silent(Case):
    def setUp(self):
        super().setUp()
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2 * SILENT + 100:
            self.skipTest(f"only {hard} open files are allowed here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def check(self, node, url, greets):
        for one in [connected(url) for _ in range(50)]:  # what is allocated once is not theirs
            one.close()
        node.status()
        before = rss_kib(node.process)
        begun = time.monotonic()
        held = [connected(url) for _ in range(SILENT)]
        for one in held if greets else []:  # it has taken all of them
            self.assertTrue(one.recv(1, socket.MSG_PEEK))
        node.status()
        each = (rss_kib(node.process) - before) / SILENT
        print(f"{each:.1f} KiB of RSS for each of {SILENT} silent connections at {url}")
        if not sanitized():
            self.assertLess(each, KIB_EACH_MAX)
        self.assertTrue(all(ended(one) for one in held))  # the bound is that of the sockets
        self.assertGreaterEqual(time.monotonic() - begun, SILENCE_S)
        for one in held:
            one.close()

    def test_replication_over_tcp(self):
        node = Node(self, "a")
        self.check(node, node.url, True)
        node.do("incr", "n")
        b = Node(self, "b", "--peer", node.url)
        self.converged(node, b)

    def test_replication_over_unix(self):
        node = Node(self, "a", listen=f"unix:{self.place}/a.link")
        self.check(node, node.url, True)

    def test_http(self):
        node = Node(self, "a", "--http", "127.0.0.1:0", listen=None)
        self.check(node, node.http_url, False)
        self.assertEqual(node.http("GET", "/v1/status")[0], 200)

    def test_a_request_that_does_not_end(self):
        node = Node(self, "a", "--http", "127.0.0.1:0", listen=None)
        slow = connected(node.http_url)
        slow.sendall(b"GET /v1/status HTTP/1.1\r\nHost: ")
        self.assertTrue(ended(slow))

    def test_who_asked_once_may_be_idle_for_longer(self):
        node = Node(self, "a", "--http", "127.0.0.1:0", listen=None)
        idle = connected(node.http_url)
        idle.sendall(b"GET /v1/keys HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertIn(b"200 OK", idle.recv(65536))
        begun = time.monotonic()
        self.assertTrue(ended(connected(node.http_url)))
        self.assertGreaterEqual(time.monotonic() - begun, SILENCE_S)
        idle.sendall(b"GET /v1/keys HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.assertIn(b"200 OK", idle.recv(65536))


class Stalled(Case):
    def test_a_peer_that_does_not_read_is_dropped_and_comes_back(self):
        a = Node(self, "a")
        proxy = Proxy(self, a.url)
        b = Node(self, "b", "--peer", proxy.url)
        a.do("incr", "n")
        self.converged(a, b)
        proxy.deaf.set()
        lines = self.place / "lines"
        lines.write_text("".join(json.dumps({"id": n, "text": f"{n:01000}"}) + "\n" for n in range(20_000)))
        a.do("import", str(lines))  # far more than one link may have on its way
        self.assertLess(a.status()["sending_bytes"], 2 << 20)
        eventually("dropped", lambda: "nothing of what was sent was taken for 30 s" in a.events())
        proxy.deaf.clear()
        self.converged(a, b)

    def test_a_watcher_that_takes_nothing_is_dropped(self):
        a = Node(self, "a", listen=None)
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(PATIENCE_S)
            raw.connect(str(a.dir / "control.sock"))
            raw.sendall(b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
            raw.recv(1, socket.MSG_PEEK)
            for _ in range(4):  # more than the socket holds, less than may wait for a watcher
                self.assertEqual(a.ops({"op": "set", "key": "k", "value": "x" * 1_000_000})[0], 200)
            self.assertGreater(a.status()["http_bytes"], 1_000_000)
            eventually("dropped", lambda: a.status()["http_bytes"] < 1_000_000)
            # What was on its way is whole, and then it is told.
            told = received(raw, whole)
            error = json.loads(told.split(b"\r\n")[-4])["error"]
            self.assertEqual(error["code"], "over_limit")
            self.assertIn("it took nothing for 10 s", error["detail"])

    def watching(self, node, prefix=""):
        """A watcher that has seen that it is subscribed."""
        raw = socket.socket(socket.AF_UNIX)
        self.addCleanup(raw.close)
        raw.settimeout(PATIENCE_S)
        raw.connect(str(node.dir / "control.sock"))
        raw.sendall(f"GET /v1/watch?prefix={prefix} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        raw.recv(1, socket.MSG_PEEK)
        return raw

    def test_watchers_share_what_waits_for_them(self):
        a = Node(self, "a", listen=None)
        watchers = [self.watching(a) for _ in range(8)]
        for _ in range(6):
            self.assertEqual(a.ops({"op": "set", "key": "k", "value": "x" * 1_000_000})[0], 200)
        self.assertLess(a.status()["http_bytes"], (6 + len(watchers) * 1.5) * 1_000_000)  # a slice of one value each
        with concurrent.futures.ThreadPoolExecutor(len(watchers)) as readers:  # none of them waits for another
            read = readers.map(lambda raw: received(raw, lambda text: text.count(b'"hlc"') == 6), watchers)
            self.assertFalse(any(b'"error"' in lines for lines in read))
        eventually("given back", lambda: a.status()["http_bytes"] == 0)

    def test_what_is_more_than_all_watchers_may_have_is_told(self):
        a = Node(self, "a", "--buffer-bytes-max", "160MB", listen=None)
        other, raw = self.watching(a, "a"), self.watching(a, "b")
        for key in "aaaaabbbbbbb":  # their third of the share is 8 MiB, and so much each may have; nothing is taken
            self.assertEqual(a.ops({"op": "set", "key": key, "value": "x" * 1_000_000})[0], 200)
        self.assertLess(a.status()["http_bytes"], 11 << 20)
        lines = received(raw, whole)
        self.assertIn(b"--buffer-bytes-max", lines.split(b"\r\n")[-4])
        self.assertGreaterEqual(lines.count(b'"hlc"'), 3)
        received(other, lambda text: text.count(b'"hlc"') == 5)

    def test_a_large_transaction_is_told_whole(self):
        a = Node(self, "a", listen=None)
        raw = self.watching(a)
        ops = [{"op": "put", "key": "m", "field": f"f{n}", "value": n} for n in range(50_000)]
        self.assertEqual(a.ops(*ops)[0], 200)
        lines = received(raw, lambda text: text.count(b'"write"') == len(ops))
        self.assertGreater(lines.count(b'"hlc"'), 10)  # no line is long


class Budget(Case):
    def test_it_is_shown_and_has_a_least(self):
        a = Node(self, "a", "--buffer-bytes-max", "160MB")
        status = a.status()
        self.assertEqual(status["buffer_bytes_max"], 160 << 20)
        self.assertEqual((status["known_ids"], status["known_ids_max"]), (1, 65_536))
        self.assertRegex(a.do("status"), r"(?m)^buffers +.* of 160.0 MiB: log .*, HTTP ")
        outcome = run("serve", "--dir", self.place / "b", "--buffer-bytes-max", "1MB")
        self.refused(outcome, USAGE, "167772160")

    def test_frames_that_are_not_whole_wait_for_each_other(self):
        a = Node(self, "a", "--buffer-bytes-max", "160MB")
        share = ((160 << 20) - (32 << 20)) // 4
        body = 16 << 20
        opened = [connected(a.url) for _ in range(6)]
        for one in opened:
            one.setblocking(False)
        left = [(one, bytes([0, 0, 0, 1, 0, 0, 0, 0])) for one in opened]  # a length of 16 MiB
        most = 0
        sent = 0
        while left and sent < body * len(opened):  # as much as they take; none of these frames is ever whole
            takers = []
            for one, head in left:
                try:
                    sent += one.send(head or bytes(1 << 20))
                except BlockingIOError:
                    pass
                except ConnectionError:  # closed: it did not say Hello in time
                    continue
                takers.append((one, b""))
            left = takers
            most = max(most, a.status()["arriving_bytes"])
            if not select.select([], [one for one, _ in left], [], 0.05)[1]:
                break
        self.assertGreater(most, 0)
        self.assertLess(most, share + body + (1 << 20))
        for one in opened:
            one.close()
        eventually("given back", lambda: a.status()["arriving_bytes"] == 0)

    def test_an_object_that_no_answer_holds_is_refused(self):
        a = Node(self, "a", listen=None)
        for n in range(9):
            self.assertEqual(a.ops({"op": "put", "key": "m", "field": f"f{n}", "value": "x" * 1_000_000})[0], 200)
        status, body = a.http("GET", "/v1/objects/m")
        self.assertEqual((status, body["error"]["code"]), (413, "over_limit"))
        for words in ("the map 'm', of 9 parts,", str(8 << 20), "through the library"):
            self.assertIn(words, body["error"]["detail"])
        outcome = a.weft("get", "m")
        self.refused(outcome, DATA, "of 9 parts")
        self.assertEqual(a.ops({"op": "set", "key": "one", "value": "\x01" * 1_000_000})[0], 200)
        self.assertEqual(a.value("one"), "\x01" * 1_000_000)  # the largest of one value is no problem

    def test_large_answers_that_are_not_read_have_a_budget(self):
        a = Node(self, "a", "--buffer-bytes-max", "160MB", listen=None)
        for n in range(5):
            self.assertEqual(a.ops({"op": "put", "key": "m", "field": f"f{n}", "value": "x" * 1_000_000})[0], 200)

        def asked():
            raw = socket.socket(socket.AF_UNIX)
            self.addCleanup(raw.close)
            raw.settimeout(PATIENCE_S)
            raw.connect(str(a.dir / "control.sock"))
            raw.sendall(b"GET /v1/objects/m HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return raw
        first, second = asked(), asked()
        self.assertIn(b"503", b"".join(sorted((one.recv(12) for one in (first, second)))))
        self.assertGreater(a.status()["http_bytes"], 5_000_000)
        first.close()
        second.close()
        eventually("given back", lambda: a.http("GET", "/v1/objects/m")[0] == 200)
        eventually("and counted so", lambda: a.status()["http_bytes"] == 0)

    def test_large_bodies_wait_for_each_other(self):
        a = Node(self, "a", "--buffer-bytes-max", "160MB", listen=None)
        begun = []
        for _ in range(12):
            connection = UnixConnection(a.dir / "control.sock")
            connection.putrequest("POST", "/v1/import?ack=memory")
            connection.putheader("Content-Length", str(7 << 20))
            connection.endheaders()
            begun.append(connection)
        a.status()
        self.assertLessEqual(a.status()["http_bytes"], 12 << 20)
        line = json.dumps({"id": "k", "text": "x" * 1000}).encode() + b"\n"
        body = (line * (1 + (7 << 20) // len(line)))[:(7 << 20) - 1] + b"\n"

        def finish(connection):
            connection.send(body)
            answers.append(connection.getresponse().status)
        answers = []
        threads = [threading.Thread(target=finish, args=(one,)) for one in begun]
        for one in threads:
            one.start()
        for one in threads:
            one.join(PATIENCE_S)
        self.assertEqual(answers, [200] * len(begun))
        eventually("given back", lambda: a.status()["http_bytes"] == 0)


if __name__ == "__main__":
    main()
