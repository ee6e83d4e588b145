#!/usr/bin/env python3
"""Plants each violation that tidy.py forbids and asks that it is found, where it is, and nothing else."""
import contextlib
import io
import pathlib
import tempfile
import unittest

import tidy

CLEAN = {
    "base/meson.build": "base_sources = files('bytes.cpp')\n",
    "base/bytes.hpp": "#pragma once\n#include <vector>\n",
    "base/bytes.cpp": '#include "base/bytes.hpp"\n',
    "clock/dot.hpp": '#pragma once\n#include "base/bytes.hpp"\nusing dots = std::vector<int>;\n',
    "crdt/meson.build": "crdt_sources = files('set.cpp')\n",
    "crdt/set.cpp": '#include "clock/dot.hpp"\n',
}


class TidyTest(unittest.TestCase):
    def check(self, planted, compiling=False):
        """The lines that tidy prints for a clean tree with these files planted in it."""
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **planted}.items():
                file = pathlib.Path(root, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                status = tidy.main([root] + ([] if compiling else ["--no-compile"]))
            lines = out.getvalue().splitlines()[:-1]
            self.assertEqual(status, 1 if lines else 0)
            return lines

    def finds(self, path, line, rule, planted, compiling=False):
        lines = self.check(planted, compiling)
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(f"{path}:{line}: "), lines)
        self.assertIn(rule, lines[0])

    def set_with(self, text):
        return {"crdt/set.cpp": '#include "clock/dot.hpp"\n' + text}

    def test_a_clean_tree_is_clean(self):
        self.assertEqual(self.check({}, compiling=True), [])

    def test_a_lower_layer_may_not_include_a_higher(self):
        planted = {"base/bytes.cpp": '#include "base/bytes.hpp"\n#include "clock/dot.hpp"\n'}
        self.finds("base/bytes.cpp", 2, "base may not include clock/dot.hpp", planted)

    def test_replica_sees_only_what_a_link_is(self):
        planted = {
            "transport/link.hpp": "#pragma once\n",
            "transport/tcp.hpp": "#pragma once\n",
            "replica/meson.build": "files('driver.cpp')\n",
            "replica/driver.cpp": '#include "transport/link.hpp"\n#include "transport/tcp.hpp"\n',
        }
        self.finds("replica/driver.cpp", 2, "may not include transport/tcp.hpp", planted)

    def test_an_include_is_a_path_in_the_repository(self):
        self.finds("crdt/set.cpp", 2, "not a path", self.set_with('#include "set.hpp"\n'))

    def test_foreign_headers_stay_in_their_files(self):
        for name in ("boost/asio.hpp", "capnp/message.h", "zlib.h", "xxhash.hpp", "unistd.h", "CLI/CLI.hpp"):
            planted = {"base/bytes.cpp": f'#include "base/bytes.hpp"\n#include <{name}>\n'}
            self.finds("base/bytes.cpp", 2, f"<{name}> is allowed only in", planted)

    def test_foreign_headers_are_not_in_headers(self):
        planted = {
            "transport/tcp.hpp": "#pragma once\n#include <boost/asio.hpp>\n",
            "tests/meson.build": "files('tcp_test.cpp')\n",
            "tests/tcp_test.cpp": '#include "transport/tcp.hpp"\n#include <boost/asio.hpp>\n',
        }
        self.finds("transport/tcp.hpp", 2, "only in transport/*.cpp", planted)

    def test_unknown_libraries_are_named(self):
        self.finds("crdt/set.cpp", 2, "not a library", self.set_with("#include <fmt/core>\n"))

    def test_nothing_goes_past_the_doors(self):
        for text in (
            "auto t = std::chrono::system_clock::now();",
            "std::random_device device;",
            "std::uniform_int_distribution<int> die;",
            "int n = rand();",
            "auto t = ::time (nullptr);",
            "std::this_thread::sleep_for(ms);",
            "std::shuffle(a, b, c);",
        ):
            self.finds("crdt/set.cpp", 2, "past the doors", self.set_with(text + "\n"))

    def test_words_in_comments_and_strings_are_free(self):
        text = '// rand() is not used\nauto s = "steady_clock";\nint x = stamp.time(); int y = operand(1);\n'
        self.assertEqual(self.check(self.set_with(text)), [])

    def test_names_say_something(self):
        planted = {"crdt/set_utils.hpp": "#pragma once\n", **self.set_with('#include "crdt/set_utils.hpp"\n')}
        self.finds("crdt/set_utils.hpp", 1, "'utils'", planted)

    def test_long_lines_and_files_are_found(self):
        self.finds("crdt/set.cpp", 2, "columns", self.set_with("// " + "a" * 120 + "\n"))
        self.finds("crdt/set.cpp", 702, "lines", self.set_with("\n" * 701))

    def test_marks_are_found(self):
        self.finds("crdt/set.cpp", 2, "open an issue", self.set_with("// TO" + "DO: later\n"))

    def test_dead_files_are_found(self):
        self.finds("crdt/map.cpp", 1, "no meson.build", {"crdt/map.cpp": ""})
        self.finds("crdt/map.hpp", 1, "nothing includes", {"crdt/map.hpp": ""})

    def test_a_planted_bug_must_fit(self):
        table = "tests/sim/planted/bugs.py"
        self.finds(table, 1, "0 times", {table: 'BUGS = [("b", "crdt/set.cpp", "no such text", "")]\n'})

    def test_a_header_must_compile_by_itself(self):
        planted = {"clock/dot.hpp": "#pragma once\nstd::vector<int> dots();\n"}
        self.finds("clock/dot.hpp", 1, "does not compile by itself", planted, compiling=True)


if __name__ == "__main__":
    unittest.main()
