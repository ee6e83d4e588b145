#!/usr/bin/env python3
"""The rules about code that a program can hold: who may include whom, what stays outside the doors,
headers that stand alone, files that nothing builds, and size. Prints file:line: rule; exits 1 if any.

usage: tests/tidy.py [--no-compile] [root]"""
import concurrent.futures
import fnmatch
import hashlib
import os
import pathlib
import re
import subprocess
import sys

LINE_COLUMNS_MAX = 110
SCRIPT_COLUMNS_MAX = 120
FILE_LINES_MAX = 700

LINKS = ["transport/link.hpp", "transport/registry.hpp", "transport/message.hpp"]

# Who may include whom, by folder; an entry also allows what its own entries allow. A path names
# single headers. docs/architecture.md draws the same.
LAYERS = {
    "base": [],
    "clock": ["base"],
    "crdt": ["clock"],
    "resolve": ["crdt"],
    "topology": ["clock"],
    "transport": ["clock"],
    "replica": ["resolve", "crdt", "topology", *LINKS],
    "recovery": ["replica"],
    "node": ["recovery", "transport"],
    # The library's own builder of real doors: a directory in, a running replica out.
    "recovery/restart.cpp": ["recovery", "transport"],
}
EVERYTHING = [*LAYERS, "include/weft", "tests", "bench", "examples"]
for folder in ("include/weft", "tests", "bench", "examples"):
    LAYERS[folder] = EVERYTHING

# Foreign headers and the files that may name them. tests/, bench/ and examples/ may name any.
FOREIGN = [
    (r"boost/(asio|beast)", ["transport/*.cpp", "node/*.cpp"]),
    (r"boost/url", ["transport/*.cpp", "node/*.cpp"]),
    (r"boost/(json|system)", ["transport/*.cpp", "node/*.cpp", "node/*.hpp"]),
    (r"boost/crc", ["base/frame.cpp"]),
    (r"capnp/|kj/|.*\.capnp\.", ["transport/wire.cpp", "transport/kj_clang.hpp"]),
    (r"(lz4|zstd|zlib)", ["base/compress.cpp", "node/line_source.cpp"]),
    (r"xxhash", ["replica/*.cpp", "crdt/*.cpp", "recovery/*.cpp", "resolve/*.cpp"]),
    (r"tl/expected", ["base/result.hpp"]),
    (r"CLI/", ["node/*.cpp"]),
    (r"toml\+\+/", ["node/config_file.cpp"]),
    (r"[a-z]mmintrin", ["base/frame.cpp"]),
    # What is left with a .h is POSIX.
    (r".*\.h$", ["recovery/*.cpp", "clock/system_time.cpp", "node/*.cpp"]),
]
STANDARD = r"[a-z_0-9]+$"

# What only the real doors do: below them runs must replay from a seed.
DOORLESS = ["base", "clock", "crdt", "resolve", "topology", "replica"]
THE_DOORS = ["clock/system_time.cpp"]
DOORS = re.compile(
    r"\b(system_clock|steady_clock|high_resolution_clock|random_device|mt19937(_64)?|"
    r"default_random_engine|\w+_distribution|random_shuffle|sleep_for|sleep_until|nanosleep|usleep|"
    r"clock_gettime|gettimeofday|getrandom)\b|(?<![\w.>])(s?rand|sleep|time)\s*\(|std::shuffle\b"
)

BANNED_NAMES = {"util", "utils", "common", "manager", "impl", "misc", "helper", "helpers"}
BANNED_MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
SKIPPED_FOLDERS = {"build", ".git", ".cache", "subprojects", "__pycache__", "data", "golden"}
CODE = (".cpp", ".hpp", ".capnp")
TEXT = (*CODE, ".py", ".build", ".sh")


class Tree:
    """The files under `root`, by path relative to it, and what was found wrong with them."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.found = []
        self.text = {}
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
            for name in sorted(files):
                path = pathlib.Path(folder, name)
                if name.endswith(TEXT) or name in ("dev", "run"):
                    self.text[path.relative_to(self.root).as_posix()] = path.read_text(errors="replace")

    def report(self, path, line, rule):
        self.found.append((path, line, rule))

    def named(self, *endings):
        return [path for path in self.text if path.endswith(endings)]

    def lines(self, path):
        return enumerate(self.text[path].split("\n"), 1)

    def includes(self, path):
        for number, line in self.lines(path):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            if match:
                yield number, match.group(1) == '"', match.group(2)


def folder_of(path):
    return "include/weft" if path.startswith("include/weft/") else path.split("/")[0]


def allowed_by(folder):
    seen, todo = set(), [folder]
    while todo:
        entry = todo.pop()
        if entry not in seen:
            seen.add(entry)
            todo += LAYERS.get(entry, [])
    return seen


def check_layers(tree):
    for path in tree.named(".cpp", ".hpp"):
        allowed = allowed_by(path if path in LAYERS else folder_of(path))
        for number, quoted, name in tree.includes(path):
            if not quoted:
                check_foreign(tree, path, number, name)
            elif ".capnp." in name:  # generated
                check_foreign(tree, path, number, name)
            elif name not in tree.text:
                tree.report(path, number, f'"{name}" is not a path in the repository')
            elif not {folder_of(name), name} & allowed:
                tree.report(path, number, f"{folder_of(path)} may not include {name}")


def check_foreign(tree, path, number, name):
    if folder_of(path) in ("tests", "bench", "examples") or re.match(STANDARD, name):
        return
    if name.startswith("weft/"):
        tree.report(path, number, f'<{name}> is for callers; inside, "{name[5:]}"')
        return
    for pattern, places in FOREIGN:
        if re.match(pattern, name):
            if not any(fnmatch.fnmatch(path, place) for place in places):
                tree.report(path, number, f"<{name}> is allowed only in {', '.join(places)}")
            return
    tree.report(path, number, f"<{name}> is not a library that weft uses")


def without_comments_and_strings(text):
    """Blanks them out, so that line numbers stay."""
    pattern = r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)


def check_doors(tree):
    for path in tree.named(".cpp", ".hpp"):
        if folder_of(path) not in DOORLESS or path in THE_DOORS:
            continue
        for number, line in enumerate(without_comments_and_strings(tree.text[path]).split("\n"), 1):
            match = DOORS.search(line)
            if match:
                tree.report(path, number, f"{match.group(0).strip('( ')} goes past the doors of base/env.hpp")


def check_names(tree):
    for path in tree.text:
        stem = pathlib.PurePosixPath(path).stem
        for word in re.split(r"[_\-.]", stem):
            if word in BANNED_NAMES:
                tree.report(path, 1, f"a file named '{word}': name it after the main thing in it")


def check_size(tree):
    for path in tree.named(*TEXT):
        lines = tree.text[path].count("\n")
        if lines > FILE_LINES_MAX and path.endswith(CODE):
            tree.report(path, lines, f"{lines} lines, limit {FILE_LINES_MAX}: it holds two things")
        for number, line in tree.lines(path):
            limit = LINE_COLUMNS_MAX if path.endswith(CODE) else SCRIPT_COLUMNS_MAX
            if len(line) > limit:
                tree.report(path, number, f"{len(line)} columns, limit {limit}")


def check_marks(tree):
    for path in tree.text:
        for number, line in tree.lines(path):
            match = BANNED_MARKS.search(line)
            if match:
                tree.report(path, number, f"'{match.group(0)}': do it, or open an issue")


def check_dead_files(tree):
    """Every source is named in a meson.build of its folder or above; every header is included."""
    builds = {str(pathlib.PurePosixPath(p).parent): tree.text[p] for p in tree.named("meson.build")}
    for path in tree.named(".cpp"):
        if path.startswith("tests/install/"):
            continue  # the program outside
        pure = pathlib.PurePosixPath(path)
        for parent in pure.parents:
            relative = pure.relative_to(parent)
            names = (f"'{relative}'", f"'{relative.with_suffix('')}'")
            if any(name in builds.get(str(parent), "") for name in names):
                break
        else:
            tree.report(path, 1, "no meson.build names it")
    included = {name for path in tree.named(".cpp", ".hpp") for _, _, name in tree.includes(path)}
    for path in tree.named(".hpp"):
        if path not in included and path.removeprefix("include/") not in included:
            tree.report(path, 1, "nothing includes it")


def closure(tree, path, seen=None):
    seen = set() if seen is None else seen
    if path in tree.text and path not in seen:
        seen.add(path)
        for _, quoted, name in tree.includes(path):
            if quoted:
                closure(tree, name, seen)
    return seen


def check_headers_alone(tree):
    """Compiles each header by itself; what compiled before, unchanged, is not compiled again."""
    compiler = os.environ.get("CXX", "g++").split() + ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra"]
    compiler += ["-I.", "-Iinclude", "-x", "c++", "-"]
    cache = tree.root / "build" / "tidy"
    cache.mkdir(parents=True, exist_ok=True)

    def compile_one(path):
        parts = [" ".join(compiler)] + [f"{p}\0{tree.text[p]}" for p in sorted(closure(tree, path))]
        mark = cache / hashlib.sha256("\0".join(parts).encode()).hexdigest()
        if mark.exists():
            return None
        source = f'#include "{path.removeprefix("include/")}"\n'
        ran = subprocess.run(compiler, input=source, text=True, capture_output=True, cwd=tree.root)
        if ran.returncode == 0:
            mark.touch()
            return None
        failure = re.search(r"[^\n]*error[^\n]*|$", ran.stderr).group(0)
        # Who only runs the tests need not have the library of the benchmarks.
        return None if "benchmark/benchmark.h: No such file" in failure else failure

    headers = tree.named(".hpp")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, failure in zip(headers, pool.map(compile_one, headers)):
            if failure is not None:
                tree.report(path, 1, f"does not compile by itself: {failure}")


def check_planted(tree):
    """Every deliberate bug of the simulator still fits the sources."""
    path = "tests/sim/planted/bugs.py"
    table = {"BUGS": []}
    exec(compile(tree.text.get(path, ""), path, "exec"), table)
    for name, where, text, _ in table["BUGS"]:
        count = tree.text.get(where, "").count(text)
        if count != 1:
            tree.report(path, 1, f"bug {name}: its text stands {count} times in {where}")


CHECKS = [check_layers, check_doors, check_names, check_size, check_marks, check_dead_files, check_planted]


def main(arguments):
    compiling = "--no-compile" not in arguments
    roots = [a for a in arguments if not a.startswith("--")]
    tree = Tree(roots[0] if roots else pathlib.Path(__file__).parent.parent)
    for check in CHECKS + [check_headers_alone] * compiling:
        check(tree)
    for path, line, rule in sorted(set(tree.found)):
        print(f"{path}:{line}: {rule}")
    print(f"tidy: {len(tree.text)} files, {len(tree.found)} problems")
    return 1 if tree.found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
