#!/usr/bin/env python3
"""Who a replica is after its directory was copied, restored, cut, wiped or cloned: real `weft` processes.

usage: tests/node/identity_test.py PATH_TO_WEFT [unittest arguments]"""
import shutil
import struct

from program import DATA, DONE, Case, Node, eventually, main, run

IDENTITY = "identity.weft"
VOLATILE = ("control.sock", "lock")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sealed(magic, version, body):
    """An identity file (docs/formats.md) of those contents."""
    counted = struct.pack("<II", version, len(body))
    return magic + counted + struct.pack("<I", crc32c(counted + body)) + body


def files_of(node):
    return {path.name: path.read_bytes() for path in node.dir.iterdir() if path.name not in VOLATILE}


def write_in_place(path, content):
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.truncate(0)
        file.write(content)


def restore_in_place(node, old):
    """As a file system does that rolls back: old contents in the same files, and nothing tells that they are old."""
    for path in node.dir.iterdir():
        if path.name not in VOLATILE and path.name not in old:
            path.unlink()
    for name, content in old.items():
        if name == IDENTITY:  # it names its own inode and birth; those of today
            today = (node.dir / name).read_bytes()
            content = sealed(content[:8], struct.unpack("<I", content[8:12])[0], today[20:36] + content[36:])
        write_in_place(node.dir / name, content)


class Identity(Case):
    def pair(self):
        b = Node(self, "b")
        a = Node(self, "a", "--peer", b.url)
        a.do("add", "s", "1")
        self.converged(a, b)
        return a, b

    def id_of(self, node):
        return node.status()["replica_id"]

    def copied(self, node, name, *options):
        """A node of that name in a copy of the directory, not started yet."""
        shutil.copytree(node.dir, self.place / name, ignore=shutil.ignore_patterns(*VOLATILE))
        copy = Node.__new__(Node)
        copy.dir = self.place / name
        copy.words = [*node.words]
        for option, word in (("--dir", copy.dir), ("--name", name), *options):
            copy.words[copy.words.index(option) + 1] = word
        copy.process = None
        self.addCleanup(copy.kill)
        return copy

    def test_a_directory_is_locked_by_its_process(self):
        a = Node(self, "a")
        for _ in range(2):
            second = run("serve", "--dir", a.dir, "--name", "a")
            self.refused(second, DATA, "locked", str(a.dir), f"process {a.process.pid}")
        before = self.id_of(a)
        a.kill()  # and by nothing that outlives it
        a.start()
        self.assertEqual(self.id_of(a), before)

    def test_a_copy_takes_an_id_of_its_own_before_it_writes(self):
        a, b = self.pair()
        before = self.id_of(a)
        for state in ("running", "stopped"):
            if state == "stopped":
                self.assertEqual(a.stop(), DONE)
            copy = self.copied(a, f"copy-of-{state}").start()
            self.assertNotEqual(self.id_of(copy), before)
            self.assertRegex(copy.events(), r"identity\.new .* is a copy: ")
            copy.do("add", "t", f"of the copy of one {state}")
            self.assertEqual(copy.status()["version_vector"][before], 1)
            self.converged(copy, b)
            copy.stop()
        a.start()
        self.assertEqual(self.id_of(a), before)  # the original is not touched by it
        a.do("add", "s", "2")
        self.converged(a, b)
        self.assertEqual(b.value("s"), [1, 2])
        self.assertEqual(b.value("t"), ["of the copy of one running", "of the copy of one stopped"])
        self.assertEqual(b.status()["known_ids"], 4)  # of a, b and the two copies: none is retired
        self.assertRegex(b.do("status"), r"(?m)^ids +4 of 65536$")

    def test_a_restored_directory_takes_a_new_id_and_gets_back_what_it_lacks(self):
        a, b = self.pair()
        before = self.id_of(a)
        a.stop()
        backup = self.place / "backup"
        shutil.copytree(a.dir, backup)
        a.start()
        a.do("add", "s", "2")
        self.converged(a, b)
        a.kill()
        shutil.rmtree(a.dir)
        shutil.copytree(backup, a.dir)
        a.start()
        self.assertNotEqual(self.id_of(a), before)
        a.do("add", "s", "3")
        self.converged(a, b)
        self.assertEqual(a.value("s"), [1, 2, 3])
        self.assertEqual(a.status()["version_vector"][before], 2)

    def test_a_cut_log_is_told_and_the_id_changes(self):
        a, b = self.pair()
        before = self.id_of(a)
        a.do("add", "s", "2")
        self.converged(a, b)
        a.kill()
        log = a.dir / "log-0000000000000000.weft"
        whole = log.read_bytes()
        write_in_place(log, whole[:len(whole) // 4])  # far before what is known to have been durable
        self.refused(run(*a.words[1:]), DATA, "log_damaged", str(log), "weft repair")
        write_in_place(log, whole.rstrip(b"\0")[:-3])  # in what was written last
        # Alone it has lost it; what its peer has of it comes back.
        url = a.words[a.words.index("--peer") + 1]
        a.words[a.words.index("--peer") + 1] = "tcp://127.0.0.1:1"
        a.start()
        self.assertEqual((a.value("s"), a.status()["version_vector"][before]), ([1], 1))
        a.stop()
        a.words[a.words.index("--peer") + 1] = url
        a.start()
        self.assertRegex(a.events(), rf"log\.tail_cut .*{log}")
        self.assertNotEqual(self.id_of(a), before)
        a.do("add", "s", "3")
        self.converged(a, b)
        self.assertEqual(a.value("s"), [1, 2, 3])
        self.assertEqual(a.status()["version_vector"][before], 2)

    def test_a_wiped_directory_under_the_same_name(self):
        a, b = self.pair()
        before = self.id_of(a)
        a.kill()
        shutil.rmtree(a.dir)
        a.start()
        self.assertNotEqual(self.id_of(a), before)
        a.do("add", "s", "2")
        self.converged(a, b)
        self.assertEqual(a.value("s"), [1, 2])
        self.assertEqual(b.peer("a")["replica_id"], self.id_of(a))

    def test_a_peer_that_knows_more_of_our_dots_than_we_do(self):
        a, b = self.pair()
        before = self.id_of(a)
        a.stop()
        old = files_of(a)
        a.start()
        a.do("add", "s", "2")
        a.do("add", "s", "3")
        self.converged(a, b)
        a.kill()
        restore_in_place(a, old)
        a.start()
        self.assertNotIn("identity.new", a.events().split("node.stopping")[-1])
        eventually("a new id", lambda: self.id_of(a) != before)
        self.assertRegex(a.events(), r"identity\.changed .*'b' knows operation 3 .*comes back from there")
        self.converged(a, b)
        self.assertEqual(a.value("s"), [1, 2, 3])
        a.do("add", "s", "4")
        self.converged(a, b)
        self.assertEqual(b.value("s"), [1, 2, 3, 4])
        self.assertEqual(b.status()["version_vector"][before], 3)

    def test_a_forked_origin_is_stopped_at_the_fork(self):
        a, b = self.pair()
        before = self.id_of(a)
        a.stop()
        old = files_of(a)
        a.start()
        a.do("add", "t", "seen by b")
        self.converged(a, b)
        a.kill()
        b.words[b.words.index("--listen") + 1] = b.url
        b.kill()
        restore_in_place(a, old)
        a.start()
        self.assertEqual(self.id_of(a), before)
        a.do("add", "t", "not seen by b")  # the same dot
        b.start()
        eventually("said", lambda: "dot_reused" in a.events() and "dot_reused" in b.events())
        self.assertIn("Remedy", b.events())
        # Both keep what they have, and neither takes the other's. What the one with the fork in its past writes,
        # under its new id, stays there: it would take what b has under the dots of what a has.
        self.assertNotEqual(self.id_of(a), before)
        a.do("add", "later", "1")
        a.do("delete", "t")
        b.do("add", "at b", "1")
        eventually("what is new at b", lambda: a.weft("get", "at b").out == "1\n")
        self.assertEqual(b.value("t"), ["seen by b"])
        self.assertEqual(b.weft("get", "later").returncode, DATA)
        # The remedy.
        a.stop()
        shutil.rmtree(a.dir)
        a.start()
        self.converged(a, b)
        self.assertEqual(a.value("t"), ["seen by b"])
        eventually("active", lambda: a.peer("b")["state"] == b.peer("a")["state"] == "active")

    def cloned(self, node, name):
        """As a cloned virtual machine: nothing tells the directory from the original."""
        clone = self.copied(node, name)
        clone.start()
        clone.stop()
        taken = files_of(clone)[IDENTITY]
        original = files_of(node)[IDENTITY]
        body = taken[20:36] + original[36:44] + taken[44:]
        write_in_place(clone.dir / IDENTITY, sealed(taken[:8], struct.unpack("<I", taken[8:12])[0], body))
        return clone

    def test_two_live_nodes_with_one_id_fence_each_other_off(self):
        a, b = self.pair()
        before = self.id_of(a)
        b.words += ["--peer", a.url]
        a.stop()
        clone = self.cloned(a, "clone")
        a.words[a.words.index("--listen") + 1] = a.url
        clone.words[clone.words.index("--peer") + 1] = a.url
        a.start()
        clone.start()
        self.assertEqual(self.id_of(clone), before)

        def refused(one):
            return next((p for p in one.status()["peers"] if "duplicate_replica" in (p["error"] or "")), None)
        told = eventually("the clone is refused", lambda: refused(clone))
        for text in (told["error"], a.events(), clone.events()):
            self.assertIn("duplicate_replica" if text is told["error"] else "two live replicas have the id " + before,
                          text)
            self.assertIn("identity.weft", text)
        self.assertNotEqual(told["state"], "active")
        self.assertIn("identity.weft", clone.do("status"))
        # The remedy, as it says.
        clone.stop()
        (clone.dir / IDENTITY).unlink()
        clone.start()
        self.assertNotEqual(self.id_of(clone), before)
        clone.do("add", "s", "2")
        a.do("add", "s", "3")
        self.converged(a, b, clone)
        self.assertEqual(b.value("s"), [1, 2, 3])

    def test_two_live_nodes_with_one_id_that_both_wrote(self):
        a, hub = self.pair()
        before = self.id_of(a)
        a.stop()
        clone = self.cloned(a, "clone")
        url = clone.words[clone.words.index("--peer") + 1]
        clone.words[clone.words.index("--peer") + 1] = "tcp://127.0.0.1:1"  # nobody is there
        clone.start()
        clone.do("add", "t", "of the clone")
        clone.do("add", "t", "of the clone, too")
        clone.stop()
        self.assertEqual(self.id_of(a.start()), before)
        a.do("add", "t", "of the original")  # the same dot
        self.converged(a, hub)
        clone.words[clone.words.index("--peer") + 1] = url
        self.assertEqual(self.id_of(clone.start()), before)
        eventually("the fork is told", lambda: "session.blocked" in hub.events() and "dot_reused" in hub.events())
        self.assertIn("Remedy: stop the copy, remove its directory, start it again empty", hub.events())
        eventually("and shown", lambda: (hub.peer("a") or {}).get("error"))
        eventually("and at the copy", lambda: "dot_reused" in str((clone.peer("b") or {}).get("error")))
        # Both go on, and nobody takes what they write under that id.
        a.do("add", "t", "more of the original", "--ack", "memory")
        clone.do("add", "t", "more of the clone", "--ack", "memory")
        self.assertEqual(hub.value("t"), ["of the original"])
        self.assertNotIn("of the original", clone.value("t"))
        self.assertNotIn("of the clone", a.value("t"))
        # The remedy.
        clone.stop()
        shutil.rmtree(clone.dir)
        clone.words[clone.words.index("--name") + 1] = "clone"
        clone.start()
        hub.do("link pause", "a")
        hub.do("link resume", "a")
        self.converged(a, hub, clone)
        self.assertEqual(clone.value("t"), ["more of the original", "of the original"])
        eventually("active", lambda: a.peer("b")["state"] == hub.peer("a")["state"] == "active")

    def test_a_third_keeps_both_off(self):
        a, b = self.pair()
        before = self.id_of(a)
        a.stop()
        clone = self.cloned(a, "clone")
        a.start()
        clone.start()
        eventually("kept off", lambda: "duplicate_replica" in a.events() and "duplicate_replica" in clone.events())
        self.assertIn("two live replicas have the id " + before, b.events())
        clone.stop()
        (clone.dir / IDENTITY).unlink()
        clone.start()
        eventually("linked again", lambda: a.peer("b")["state"] == clone.peer("b")["state"] == "active")
        self.converged(a, b)


if __name__ == "__main__":
    main()
