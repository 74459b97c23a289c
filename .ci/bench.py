"""Reads the output of `go test -bench` and prints each figure beside its bar.

Where a benchmark ran several times, the best run counts for what others on the
machine can only slow down, and the median for ratios. Exit code 1 when a figure
is missing or does not hold.
"""
import os
import re
import statistics
import sys

MEDIAN, LEAST, MOST = statistics.median, min, max
FIGURES = [  # what, benchmark, metric, of several runs, bar (None: reported), unit
    ("One exchange in process, CPU", "Exchange", "cpu-us/exchange", LEAST, "<= 8", "us"),
    ("  against encoding/json decoding its two bodies", "ExchangeToDecoding", "x-decoding", MEDIAN, None, "x"),
    ("One exchange in process, allocations", "Exchange", "allocs/op", LEAST, "<= 10", ""),
    ("  a record's encoding", "AppendEvent", "ns/op", LEAST, None, "ns"),
    ("  a leaf's hash (the writer's)", "LeafHash", "ns/op", LEAST, None, "ns"),
    ("  a record's decoding (the index's)", "DecodeEvent", "ns/op", LEAST, None, "ns"),
    ("  waiting for a commit, alone", "Waiting", "ns/op", LEAST, None, "ns"),
    ("Whole server's CPU, saturated", "ServerCPU/saturated", "x-yardstick", MEDIAN, "<= 1.8", "x yardstick"),
    ("Whole server's CPU, 20 ms upstream, 256 callers", "ServerCPU/upstream20ms", "x-yardstick", MEDIAN, "<= 1.8", "x yardstick"),
    ("Streamed answer of 20 events, redacting guard", "StreamCPU/redact", "x-yardstick", MEDIAN, "<= 1.5", "x yardstick"),
    ("  the guard watching", "StreamCPU/monitor", "x-yardstick", MEDIAN, None, "x yardstick"),
    ("  redacting, all events in one piece", "StreamCPU/burst", "x-yardstick", MEDIAN, None, "x yardstick"),
    ("2,000 idle streams, memory", "IdleStreams", "rss-MiB", MEDIAN, "<= 200", "MiB"),
    ("  at its peak", "IdleStreams", "peak-rss-MiB", MEDIAN, None, "MiB"),
    ("  a stream", "IdleStreams", "KiB/stream", MEDIAN, None, "KiB"),
    ("Added at 1,000/s, before_send, p50", "Added/before_send", "p50-ms", MEDIAN, None, "ms"),
    ("Added at 1,000/s, before_send, p99", "Added/before_send", "p99-ms", MEDIAN, None, "ms"),
    ("Added at 1,000/s, before_answer, p50", "Added/before_answer", "p50-ms", MEDIAN, None, "ms"),
    ("Added at 1,000/s, before_answer, p99", "Added/before_answer", "p99-ms", MEDIAN, None, "ms"),
    ("Ledger, durable in SQLite", "Durable", "exchanges/s", MOST, ">= 20000", "exchanges/s"),
    ("Index and rollups catching up", "CatchUp", "exchanges/s", MOST, ">= 10000", "exchanges/s"),
    ("  their CPU", "CatchUp", "cpu-us/exchange", LEAST, None, "us"),
    ("Audit reports of 100 pages", "AuditReport", "pages/s", MOST, ">= 100", "pages/s"),
    ("  their pages", "AuditReport", "pages", MOST, ">= 100", ""),
    ("  their CPU", "AuditReport", "cpu-ms/page", LEAST, None, "ms"),
    ("Cold start on 100,000 exchanges", "Binary", "cold-start-ms", MEDIAN, "<= 1000", "ms"),
    ("Memory after 100,000 exchanges", "Binary", "rss-MiB", MEDIAN, "<= 150", "MiB"),
    ("  at its peak", "Binary", "peak-rss-MiB", MEDIAN, None, "MiB"),
]


def read(path):
    runs = {}
    for line in open(path, encoding="utf-8"):
        m = re.match(r"Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)", line)
        if not m:
            continue
        fields = m.group(2).split()
        for value, metric in zip(fields[::2], fields[1::2]):
            runs.setdefault((m.group(1), metric), []).append(float(value))
    return runs


def main(path):
    runs, bad = read(path), 0
    print(f"load average {' '.join(f'{x:.1f}' for x in os.getloadavg())} on {os.cpu_count()} cores\n")
    print(f"{'figure':<50} {'bar':<10} {'measured':>10}")
    for what, bench, metric, of, bar, unit in FIGURES:
        values = runs.get((bench, metric))
        if not values:
            print(f"{what:<50} {bar or '':<10} {'missing':>10}")
            bad += 1
            continue
        value, verdict = of(values), ""
        if bar:
            sign, limit = bar.split()
            holds = value <= float(limit) if sign == "<=" else value >= float(limit)
            verdict = "holds" if holds else "DOES NOT HOLD"
            bad += not holds
        shown = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        print(f"{what:<50} {bar or '':<10} {shown:>10} {unit:<12} {verdict}".rstrip())
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
