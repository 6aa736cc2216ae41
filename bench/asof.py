"""As-of joins beside DuckDB's ASOF JOIN and Polars' join_asof: Parquet in, Parquet out, two threads, a process each.

The data are made from a seed; before a figure counts, all three have to give the same rows.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from common import ROOT, record, scratch, settle, title

# name: spine rows, view rows, keys, value columns. A row of the view is a reading of one of the keys.
CASES = {
    "1m_x_10m": (1_000_000, 10_000_000, 100_000, 10),
    "100k_x_50m": (100_000, 50_000_000, 100_000, 10),
}
THREADS = 2
RUNS = 3
SPAN_MICROS = 30 * 86_400 * 1_000_000
ROW_GROUP = 1_000_000

DUCKDB = """
import duckdb, json, resource, sys, time
spine, view, out, threads = sys.argv[1:]
connection = duckdb.connect()
connection.execute(f"set threads to {threads}")
connection.execute("set preserve_insertion_order = true")
begun = time.perf_counter()
values = [name for name, *_ in connection.execute(f"describe select * from '{view}'").fetchall() if name not in ("user", "at")]
columns = ", ".join(f"view.{name}" for name in values)
connection.execute(f'''copy (
    select spine.*, {columns} from '{spine}' spine
    asof left join '{view}' view on spine.user = view.user and spine.t >= view.at
) to '{out}' (format parquet, compression snappy)''')
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak_mb": peak / 1e6}))
"""

POLARS = """
import os, sys
spine, view, out, threads = sys.argv[1:]
os.environ["POLARS_MAX_THREADS"] = threads
import json, resource, time
import polars
begun = time.perf_counter()
left = polars.scan_parquet(spine).sort("t")
right = polars.scan_parquet(view).sort("at")
joined = left.join_asof(right, left_on="t", right_on="at", by="user", strategy="backward", coalesce=False)
joined.drop("at").sort("row").collect().write_parquet(out, compression="snappy")
seconds = time.perf_counter() - begun
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak_mb": peak / 1e6}))
"""


def generate(folder, spine_rows, view_rows, keys, values):
    """Events in the order of time, as a log has them; a spine in no order. No two rows of the view tie."""
    import numpy
    import pyarrow
    import pyarrow.parquet

    spine, view = folder / "spine.parquet", folder / "view.parquet"
    random = numpy.random.default_rng(7)
    times = pyarrow.timestamp("us", tz="UTC")
    table = pyarrow.table({
        "row": pyarrow.array(numpy.arange(spine_rows)),
        "user": pyarrow.array(random.integers(0, keys, spine_rows)),
        "t": pyarrow.array(random.integers(0, SPAN_MICROS, spine_rows)).cast(times),
    })
    pyarrow.parquet.write_table(table, spine)
    step = SPAN_MICROS // view_rows
    writer = None
    for first in range(0, view_rows, ROW_GROUP):
        rows = min(ROW_GROUP, view_rows - first)
        at = (first + numpy.arange(rows)) * step + random.integers(0, step, rows)
        columns = {"user": pyarrow.array(random.integers(0, keys, rows)), "at": pyarrow.array(at).cast(times)}
        for value in range(values):
            columns[f"v{value}"] = pyarrow.array(random.standard_normal(rows).astype("float32"))
        table = pyarrow.table(columns)
        writer = writer or pyarrow.parquet.ParquetWriter(view, table.schema)
        writer.write_table(table, row_group_size=ROW_GROUP)
    writer.close()
    return spine, view


def measure(command):
    """The best time of some runs and its memory: the first run also warms the page cache for all."""
    best = None
    for _ in range(RUNS):
        settle()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            sys.exit(f"{command[0]} failed:\n{done.stderr}")
        figures = json.loads(done.stdout.strip().splitlines()[-1])
        figures["cpu"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if best is None or figures["seconds"] < best["seconds"]:
            best = figures
    return best


def same_rows(ours, theirs, values):
    """Whether two result files hold the same rows; all are ordered by the spine's row number first."""
    import duckdb

    names = ", ".join(["row", '"user"', "t", *(f"v{value}" for value in range(values))])
    left, right = (f"select {names} from '{path}'" for path in (ours, theirs))
    differ = duckdb.sql(f"select count(*) from (({left} except all {right}) union all ({right} except all {left}))").fetchall()[0][0]
    return differ == 0


def run_case(name, program, folder, scale):
    spine_rows, view_rows, keys, values = CASES[name]
    spine, view = generate(folder, int(spine_rows * scale), int(view_rows * scale), keys, values)
    arguments = [str(spine), str(view)]
    results = {"drumlin": measure([program, *arguments, str(folder / "drumlin.parquet")])}
    for subject, code in (("duckdb", DUCKDB), ("polars", POLARS)):
        out = folder / f"{subject}.parquet"
        results[subject] = measure([sys.executable, "-c", code, *arguments, str(out), str(THREADS)])
        if not same_rows(folder / "drumlin.parquet", out, values):
            sys.exit(f"{name}: {subject} and drumlin do not agree")
    return results


def build():
    command = ["cargo", "build", "--quiet", "--locked", "--package", "drumlin-asof", "--example", "asof_bench"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "target" / "debug" / "examples" / "asof_bench"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="a fraction of the rows, for a quick look")
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--program", type=Path, help="the example asof_bench, when it is built already")
    given = parser.parse_args()
    program = given.program or build()
    for name in [given.only] if given.only else CASES:
        title(f"As-of join {name}: {THREADS} threads, Parquet in, Parquet out")
        results = run_case(name, program, scratch(f"asof_{name}"), given.scale)
        for subject, figures in results.items():
            record("asof", f"{name} time", subject, figures["seconds"], "s")
            record("asof", f"{name} processor time", subject, figures["cpu"], "s")
            record("asof", f"{name} peak memory", subject, figures["peak_mb"], "MB")
        best = min((results[peer] for peer in ("duckdb", "polars")), key=lambda figures: figures["seconds"])
        faster = best["seconds"] / results["drumlin"]["seconds"]
        memory = results["drumlin"]["peak_mb"] / best["peak_mb"]
        print(f"  {faster:.1f} times as fast as the better peer, at {memory:.0%} of its memory; the same rows from all three")


if __name__ == "__main__":
    main()
