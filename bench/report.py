#!/usr/bin/env python3
"""Runs the benchmarks, Redis among them, in interleaved rounds, and makes the tables of docs/benchmarks.md and its
plots of the medians. A ratio is the median of the ratios of the rounds.

usage: bench/report.py [--rounds N] [--peers] [--again]
  --rounds N   5 if not given
  --peers      runs only what is compared with Redis, and prints that table; writes nothing
  --again      runs nothing: makes the page of what ran last"""
import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess

import plot

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/release/bench"
PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- made by ./dev bench report: begin -->", "<!-- made by ./dev bench report: end -->"

# What runs in a round, in order: a program and which of its benchmarks. What is compared stands side by side, so
# that what slows the machine for a while slows both.
COMPARED = [
    ("sync", "full|upsert"), ("redis", "two_replicas/full"),
    ("sync", "durable"), ("redis", "two_replicas/durable"),
    ("log", "commit_disk|raw_write"), ("redis", "acknowledged"),
    ("latency", "ping_pong|write_to"), ("redis", "write_to|bytes"),
    ("restart", "."), ("redis", "replay|load_snapshot"),
    ("memory", "."), ("redis", "registers|members"),
    ("codec", "."),
]
REST = [
    ("sync", "shape"), ("redis", "shape"),
    ("latency", "under_load"), ("redis", "under_load"),
    ("sync", "three"), ("log", "."), ("snapshot", "."), ("types", "."),
]


def run_rounds(steps, rounds):
    """Gives, round by round: "program/benchmark/counter" -> number."""
    for number in range(1, rounds + 1):
        figures = {}
        for program, which in steps:
            print(f"round {number} of {rounds}: {program} {which}", flush=True)
            result = BUILD / f"{program}.json"
            ran = subprocess.run(
                [BUILD / f"bench_{program}", f"--benchmark_filter={which}", f"--benchmark_out={result}",
                 "--benchmark_out_format=json", "--benchmark_min_time=0.2"],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if ran.returncode != 0:
                raise SystemExit(f"{program}: {ran.stderr}")
            for found in json.loads(result.read_text())["benchmarks"]:
                if found.get("error_occurred"):
                    raise SystemExit(f"{program}: {found['name']}: {found['error_message']}")
                name = re.sub(r"/(iterations:\d+|manual_time|real_time)", "", found["name"])
                name = re.sub(r"/\w+:(\d+)", r"/\1", name)
                for counter, value in found.items():
                    if isinstance(value, (int, float)):
                        figures[f"{program}/{name}/{counter}"] = value
        yield figures


class Figures:
    """What was measured. A reference names a figure, or is a function of a round."""

    def __init__(self, rounds):
        self.rounds = rounds

    def median(self, ref):
        return statistics.median(ref(r) if callable(ref) else r[ref] for r in self.rounds)

    def ratio(self, a, b):
        return self.median(lambda r: (a(r) if callable(a) else r[a]) / (b(r) if callable(b) else r[b]))

    def has(self, ref):
        return not isinstance(ref, str) or all(ref in r for r in self.rounds)


def rate(value):
    return f"{round(value, -3):,.0f}/s" if value < 1e6 else f"{value / 1e6:.2f} M/s"


def plain(unit, digits):
    return lambda value: f"{value:,.{digits}f} {unit}"


def micros(nanoseconds):
    return f"{nanoseconds / 1e3:,.0f} µs"


US, MS, S, BYTES = plain("µs", 0), plain("ms", 2), plain("s", 2), plain("B", 0)
UPSERT = "sync/hash_map_upsert/100/operations/s"
GROW = "restart/grow_hash_map/operations/s"
BATCH, SINGLE = "sync/two_replicas/full/100/100/operations/s", "sync/two_replicas/full/1/100/operations/s"
REDIS_SET, REDIS_MSET = (f"redis/two_replicas/full/{b}/100/operations/s" for b in (1, 100))
VISIBLE, LOOP = "latency/write_to_visible/p50_us", "latency/loop_ping_pong/p50_us"


def transfer_limit(r):
    """To grow a hash map to as many registers, and to write the bytes twice, as received and as joined."""
    return r["restart/grow_hash_map/real_time"] / 1e3 + 2 * r["snapshot/transfer_state/raw_write_s"]


# What the library must reach. `must` and `aim` bound the figure, or what `bound` makes of it; the sign says which
# way is better.
ROWS = [
    dict(what="two replicas, 100 operations a transaction, until the receiver has applied and logged all",
         ref=BATCH, show=rate, must=600e3, aim=1e6, limit=("hash-map upsert of the same values", UPSERT)),
    dict(what="the same, against Redis (pipelined SET) in the same run", ref=lambda r: r[BATCH] / r[REDIS_SET],
         show=plain("times", 2), must=2.5, aim=4),
    dict(what="the same with one operation a transaction, not waiting for acknowledgements", ref=SINGLE, show=rate,
         must=150e3, aim=250e3, limit=("hash-map upsert", UPSERT)),
    dict(what="three replicas in a mesh, all writing, until all are equal; in sum",
         ref="sync/three_replicas/operations/s", show=rate, must=250e3, aim=400e3,
         limit=("a third of hash-map upsert: each value goes into three", lambda r: r[UPSERT] / 3)),
    dict(what="runs of these that arrived twice", ref="sync/three_replicas/duplicate_runs_percent",
         show=plain("%", 1), must=-5),
    dict(what="`transact` called at A to callback at B, idle link, p50", ref=VISIBLE, show=US, bound="limit",
         must=-4, aim=-2.5, limit=("ping-pong through the same loop", LOOP)),
    dict(what="the same, against Redis in the same run", ref=lambda r: r[VISIBLE] / r["redis/write_to_visible/p50_us"],
         show=plain("times", 2), must=-1),
    dict(what="bytes of one `counter` increment alone", ref="codec/bytes_per_change/counter/1/bytes_per_change",
         show=BYTES, must=-96, aim=-64),
    dict(what="averaged over runs of 100 one-operation changes",
         ref="codec/bytes_per_change/counter/100/bytes_per_change", show=plain("B", 1), must=-20, aim=-12),
    dict(what="a 100-byte register set with an 8-byte key in such runs",
         ref="codec/bytes_per_change/register_100/100/bytes_per_change", show=plain("B", 1), must=-130, aim=-120,
         limit=("key and value", lambda r: 108)),
    dict(what="memory of a member of a set of 1,000,000 of 8 bytes", ref="memory/set_members/bytes_each", show=BYTES,
         must=-64, aim=-40, limit=("the member", lambda r: 8)),
    dict(what="memory of a register of 1,000,000 (8-byte keys, 100-byte values)", ref="memory/registers/bytes_each",
         show=BYTES, must=-200, aim=-160, limit=("key and value", lambda r: 108)),
    dict(what="log replay at start, over 100,000 keys", ref="restart/replay_log/operations/s", show=rate, must=600e3,
         aim=1e6, limit=("hash-map upsert", UPSERT)),
    dict(what="snapshot load of 1,000,000 registers", ref="restart/load_snapshot/operations/s", show=rate, must=850e3,
         aim=1.5e6, limit=("a hash map that grows to them", GROW)),
    dict(what="`commit` acknowledgement, 64 concurrent writers, p99", ref="log/group_commit/callbacks/p99_ms", show=MS,
         bound="limit", must=-1.5, aim=-1.2,
         limit=("p99 of two fdatasyncs of the same bytes", "log/group_commit/callbacks/two_syncs_p99_ms")),
    dict(what="the same, each writer a thread that is put to sleep and woken", ref="log/group_commit/threads/p99_ms",
         show=MS, bound="limit", must=-1.5, aim=-1.2,
         limit=("p99 of two fdatasyncs of the same bytes", "log/group_commit/threads/two_syncs_p99_ms")),
    dict(what="wait added to writers by a running snapshot, p99.9", ref="snapshot/wait_added_to_writers/p99.9_added_ms",
         show=MS, must=-5, aim=-1,
         limit=("without a snapshot", "snapshot/wait_added_to_writers/p99.9_without_ms")),
    dict(what="state transfer of 1,000,000 registers over loopback, end to end", ref="snapshot/transfer_state/seconds",
         show=S, must=-6, aim=-4, limit=("growing a hash map to them, and writing the bytes twice", transfer_limit)),
]

PEERS = [
    dict(what="throughput until the replica has all: 100 operations a transaction (Redis: MSET of 100)", ref=BATCH,
         redis=REDIS_MSET, show=rate, limit=UPSERT),
    dict(what="one operation a transaction (Redis: pipelined SET)", ref=SINGLE, redis=REDIS_SET, show=rate,
         limit=UPSERT),
    dict(what="100 operations a transaction against pipelined SET", ref=BATCH, redis=REDIS_SET, show=rate,
         limit=UPSERT),
    dict(what="100 a transaction, durable before they leave: `commit` sync (Redis: `appendfsync always`, MSET of 100)",
         ref="sync/two_replicas/durable/100/100/operations/s", redis="redis/two_replicas/durable/100/100/operations/s",
         show=rate, limit=UPSERT),
    dict(what="the same, one operation a transaction (Redis: `appendfsync always`, pipelined SET)",
         ref="sync/two_replicas/durable/1/100/operations/s", redis="redis/two_replicas/durable/1/100/operations/s",
         show=rate, limit=UPSERT),
    dict(what="an increment until it is on disk, one writer (Redis: `appendfsync always`; limit: write and fdatasync)",
         ref="log/acknowledged_transaction/commit_disk/real_time", redis="redis/acknowledged_write/real_time",
         show=micros, limit="log/raw_write/128/1/real_time"),
    dict(what="bytes of a 100-byte set with an 8-byte key, in runs of 100",
         ref="codec/bytes_per_change/register_100/100/bytes_per_change", redis="redis/bytes_per_operation/set",
         show=BYTES, limit=lambda r: 108),
    dict(what="bytes of an increment, in runs of 100", ref="codec/bytes_per_change/counter/100/bytes_per_change",
         redis="redis/bytes_per_operation/increment", show=BYTES),
    dict(what="bytes of an increment alone", ref="codec/bytes_per_change/counter/1/bytes_per_change",
         redis="redis/bytes_per_operation/increment", show=BYTES),
    dict(what="a single write visible at the replica, p50 (limit: raw TCP ping-pong)", ref=VISIBLE,
         redis="redis/write_to_visible/p50_us", show=US, limit="latency/raw_ping_pong/p50_us"),
    dict(what="memory of a key: 8 bytes, value of 100", ref="memory/registers/bytes_each",
         redis="redis/registers/bytes_each", show=BYTES, limit=lambda r: 108),
    dict(what="memory of a member of one large set, 8 bytes", ref="memory/set_members/bytes_each",
         redis="redis/set_members/bytes_each", show=BYTES, limit=lambda r: 8),
    dict(what="start: 1,000,000 operations of the log over 100,000 keys (Redis: append-only file)",
         ref="restart/replay_log/operations/s", redis="redis/replay_log/operations/s", show=rate, limit=UPSERT),
    dict(what="start: a snapshot of 1,000,000 keys (Redis: RDB)", ref="restart/load_snapshot/operations/s",
         redis="redis/load_snapshot/operations/s", show=rate, limit=GROW),
]

PIECES = [
    ("a transaction acknowledged in memory, `interval` sync", "log/acknowledged_transaction/interval_memory"),
    ("the same on disk, one writer, `commit` sync", "log/acknowledged_transaction/commit_disk"),
    ("the limit: write of 128 bytes", "log/raw_write/128/0"),
    ("the limit: write and fdatasync of 128 bytes", "log/raw_write/128/1"),
    ("adding to a set of 10 elements; of 100,000", "types/add_to_set/10", "types/add_to_set/100000"),
    ("joining a delta into them", "types/join_delta_into_set/10", "types/join_delta_into_set/100000"),
    ("writing a field of a map of 10 fields; of 100,000", "types/put_in_map/10", "types/put_in_map/100000"),
    ("decoding a run of 1,000 100-byte registers", "codec/decode_run_of/register_100"),
]


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def bound_text(row, key):
    if row.get(key) is None:
        return ""
    value = abs(row[key])
    return f"{value:g} times" if row.get("bound") == "limit" else row["show"](value)


def must_table(figures):
    rows = []
    for row in ROWS:
        measured, times = figures.median(row["ref"]), ""
        if row.get("limit"):
            label, ref = row["limit"]
            ratio = figures.ratio(row["ref"], ref)
            times = f"{ratio:.2f}"
            limit = f"{label}: {row['show'](figures.median(ref))}"
        else:
            limit = ""
        bounded = ratio if row.get("bound") == "limit" else measured
        if row["must"] > 0:
            share = bounded / row["must"]
        else:  # less is better
            share = abs(row["must"]) / bounded if bounded > 0 else 99
        met = "met" if share >= 1 else f"**missed: {share:.2f} of it**"
        rows.append([row["what"], row["show"](measured), bound_text(row, "must"), met, bound_text(row, "aim"), limit,
                     times])
    return table(["measure", "measured", "must", "", "aim", "the limit beside it", "times the limit"], rows)


def peers_table(figures):
    rows = []
    for row in PEERS:
        limit = row.get("limit")
        rows.append([row["what"], row["show"](figures.median(row["ref"])), row["show"](figures.median(row["redis"])),
                     f"{figures.ratio(row['ref'], row['redis']):.2f}",
                     row["show"](figures.median(limit)) if limit else "",
                     f"{figures.ratio(row['ref'], limit):.2f}" if limit else ""])
    return table(["measure", "weft", "Redis", "weft / Redis", "the limit", "weft / limit"], rows)


def pieces_table(figures):
    rows = []
    for what, *names in PIECES:
        times = [figures.median(lambda r, n=n: r[f"{n}/real_time"]) for n in names]
        rows.append([what, "; ".join(f"{t / 1e3:,.2f} µs" for t in times)])
    return table(["what it is", "time"], rows)


def curve(figures, pattern, xs):
    points = [(x, figures.median(pattern.format(x))) for x in xs if figures.has(pattern.format(x))]
    return [(x, y) for x, y in points if y > 0]


WEFT, REDIS, LIMIT = "#2f6f73", "#b4532a", "#77736a"


def plots(figures):
    batches = (1, 3, 10, 30, 100, 300, 1_000, 3_000)
    sizes = (8, 32, 100, 320, 1_000, 3_200, 10_000)
    rates = (1_000, 3_000, 10_000, 30_000, 100_000, 200_000, 400_000)
    upsert = figures.median(UPSERT)

    def by_size(program, batch):
        of = f"{program}/two_replicas/{{}}/operations/s"
        points = dict(curve(figures, of.format(f"shape/{batch}/{{}}"), sizes))
        points[100] = figures.median(of.format(f"shape/{batch}/100"))
        return sorted(points.items())

    yield "batch", plot.svg(
        "Two replicas: throughput by batch size", "operations a transaction (Redis: keys a command), 100-byte values",
        "operations a second", [
            dict(label="hash-map upsert", colour=LIMIT, dashed=True, points=[(b, upsert) for b in (1, 3_000)]),
            dict(label="weft", colour=WEFT,
                 points=curve(figures, "sync/two_replicas/shape/{}/100/operations/s", batches)),
            dict(label="Redis", colour=REDIS,
                 points=curve(figures, "redis/two_replicas/shape/{}/100/operations/s", batches))])
    yield "value", plot.svg(
        "Two replicas: throughput by value size",
        "bytes of a value; 100 operations a transaction (Redis: pipelined SET)",
        "operations a second", [
            dict(label="hash-map upsert", colour=LIMIT, dashed=True,
                 points=curve(figures, "sync/hash_map_upsert/{}/operations/s", sizes)),
            dict(label="weft", colour=WEFT, points=by_size("sync", 100)),
            dict(label="Redis", colour=REDIS, points=by_size("redis", 1))])
    yield "load", plot.svg(
        "From a write to its sight at the other replica, under load",
        "operations a second written, as one batch each millisecond", "microseconds", [
            dict(label=f"{name} {q}", colour=colour, dashed=q == "p99",
                 points=curve(figures, f"{program}/visible_under_load/{{}}/{q}_us", rates))
            for name, program, colour in (("weft", "latency", WEFT), ("Redis", "redis", REDIS))
            for q in ("p50", "p99")])


def output(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True, cwd=ROOT).stdout.strip()


def conditions():
    """The machine and the versions, in one sentence each."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()).group(1)
    changed = output("git", "status", "--porcelain", "-uno", "--", ".", ":!docs")
    commit = output("git", "rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
    redis = re.search(r"v=(\S+)", output("redis-server", "--version")).group(1)
    compiler = output("c++", "--version").split("\n")[0]
    return (f"Measured {datetime.date.today()}: {commit}; {os.cpu_count()} virtual cores ({cpu}), "
            f"Linux {os.uname().release}, {compiler}; Redis {redis}. "
            f"Load of the machine when it began {os.getloadavg()[0]:.1f}.")


def page(figures, when):
    return f"""{when} Medians of {len(figures.rounds)} interleaved rounds.

### What it must reach

{must_table(figures)}

### Beside Redis

{peers_table(figures)}

### Shapes

![Throughput by batch size](benchmarks-batch.svg)

![Throughput by value size](benchmarks-value.svg)

![Latency under load](benchmarks-load.svg)

### The pieces

{pieces_table(figures)}
"""


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    kept = BUILD / "rounds.json"
    if asked.peers:
        when = conditions()
        figures = Figures(list(run_rounds(COMPARED, asked.rounds)))
        print(f"\n{when} Medians of {asked.rounds} rounds.\n\n{peers_table(figures)}")
        return
    if not asked.again:
        began = conditions()
        done = []
        for figures in run_rounds(COMPARED + REST, asked.rounds):
            done.append(figures)
            kept.write_text(json.dumps({"when": began, "rounds": done}))  # --again makes do with fewer
    last = json.loads(kept.read_text())
    figures = Figures(last["rounds"])
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{page(figures, last['when'])}{END}{after}")
    for name, drawn in plots(figures):
        (PAGE.parent / f"benchmarks-{name}.svg").write_text(drawn)
    print(must_table(figures) + "\n\n" + peers_table(figures))


main()
