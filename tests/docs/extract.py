#!/usr/bin/env python3
"""Turns the ```cpp blocks of a page into Boost.Test cases, one a block.

usage: extract.py page.md out.cpp

A line `expression;  // -> result` becomes a check that the expression prints as `result`. Lines of
#include move to the top. Every block must state at least one result.
"""

import re
import sys

STATED = re.compile(r"^(?P<indent>\s*)(?P<expression>[^\s].*);\s*// -> (?P<result>.*\S)\s*$")
STARTS = re.compile(r"^\s*(auto|const|return|if|for|while|using|\}|\{)\b")

PRELUDE = r"""
#include <boost/test/unit_test.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <vector>

namespace {

// How the page writes a result.
std::string shown(bool b) { return b ? "true" : "false"; }
template <std::integral I>
std::string shown(I number) { return std::to_string(number); }
std::string shown(const std::string& text) { return '"' + text + '"'; }
std::string shown(const weft::value& v) { return to_string(v); }
template <class T>
std::string shown(const std::vector<T>& all) {
    std::string out;
    for (const T& item : all) out += (out.empty() ? "" : ", ") + shown(item);
    return '{' + out + '}';
}
template <class T>
std::string shown(const std::optional<T>& content) { return content ? shown(*content) : "nothing"; }

} // namespace

BOOST_AUTO_TEST_SUITE(types_doc_test)
"""


def blocks(page):
    """(heading, number of the first line, lines) of each ```cpp block."""
    heading, start, lines = "", 0, None
    for number, line in enumerate(page.splitlines(), 1):
        if lines is not None:
            if line.strip() == "```":
                yield heading, start, lines
                lines = None
            else:
                lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ").strip()
        elif line.strip() == "```cpp":
            start, lines = number + 1, []
    if lines is not None:
        sys.exit(f"line {start}: a block that does not end")


def name_of(heading, start):
    words = re.sub(r"[^a-z0-9]+", "_", heading.lower()).strip("_")
    return f"{words or 'page'}_at_line_{start}"


def case_of(source, heading, start, lines):
    body, checks = [], 0
    for number, line in enumerate(lines, start):
        stated = STATED.match(line)
        if not stated:
            if "->" in line and "//" in line and re.search(r"//\s*->", line):
                sys.exit(f"{source}:{number}: a result must stand behind one whole expression;")
            body.append(line)
            continue
        if STARTS.match(line):
            sys.exit(f"{source}:{number}: a result behind something that is no expression")
        checks += 1
        expected = stated["result"].replace("\\", "\\\\").replace('"', '\\"')
        body.append(f'#line {number} "{source}"')
        body.append(f'BOOST_TEST(shown({stated["expression"]}) == "{expected}");')
    if checks == 0:
        sys.exit(f"{source}:{start}: a block without a result")
    first = f'#line {start} "{source}"'
    return "\n".join([f"BOOST_AUTO_TEST_CASE({name_of(heading, start)}) {{", first, *body, "}"])


def main():
    page_path, out_path = sys.argv[1:]
    source = page_path.replace("\\", "/").lstrip("./")
    with open(page_path, encoding="utf-8") as file:
        page = file.read()
    includes, cases = set(), []
    for heading, start, lines in blocks(page):
        includes.update(line.strip() for line in lines if line.startswith("#include"))
        kept = ["" if line.startswith("#include") else line for line in lines]
        cases.append(case_of(source, heading, start, kept))
    if not cases:
        sys.exit(f"{source}: no ```cpp block")
    with open(out_path, "w", encoding="utf-8") as file:
        file.write("\n".join(sorted(includes)) + "\n" + PRELUDE + "\n")
        file.write("\n\n".join(cases) + "\n\nBOOST_AUTO_TEST_SUITE_END()\n")


if __name__ == "__main__":
    main()
