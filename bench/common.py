"""What the benchmarks share: a scratch folder, fair timing, and the line of results that each figure becomes."""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DRUMLIN = ROOT / "bin" / "drumlin"
SCRATCH = ROOT / "target" / "bench" / "scratch"
RESULTS = ROOT / "target" / "bench" / "results.jsonl"
DVC = Path(sys.executable).parent / "dvc"


def scratch(name):
    """An empty folder for one benchmark."""
    folder = SCRATCH / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def environment():
    """Nothing of the user's settings reaches a subject."""
    keep = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    return keep | {"DRUMLIN_ACTOR": "bench", "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(SCRATCH / "dvc-site")}


def settle():
    """Writes of the run before must not be paid by the next."""
    os.sync()


def run(words, cwd):
    """Seconds of wall time, and peak memory in bytes of the largest process."""
    settle()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    start = time.monotonic()
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment(), capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024
    return seconds, peak, done.stdout


def timed(words, cwd):
    return run(words, cwd)[0]


def median(values):
    return statistics.median(values)


def record(bench, case, subject, value, unit):
    """One figure, on the screen and in the results."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("a") as results:
        line = {"bench": bench, "case": case, "subject": subject, "value": round(value, 6), "unit": unit}
        results.write(json.dumps(line) + "\n")
    print(f"  {case:<36} {subject:<12} {value:>12.3f} {unit}", flush=True)


def title(text):
    print(f"\n{text}", flush=True)
