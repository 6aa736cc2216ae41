"""A commit of one changed file in a tree of 1,000,000: time and bytes written beyond the walk; beside that walk as `find` does it."""

import os
import shutil

from common import DRUMLIN, median, record, run, scratch, settle, timed, title

FILES = 1_000_000
FOLDERS = 1_000
ROUNDS = 5


def written(folder):
    """Bytes allocated for the repository and the index."""
    return sum(file.stat().st_blocks * 512 for file in (folder / ".drumlin").rglob("*") if file.is_file())


title("One changed file in 1,000,000")
home = scratch("million")
timed([DRUMLIN, "init"], home)
for folder in range(FOLDERS):
    place = home / "data" / f"{folder:04}"
    place.mkdir(parents=True)
    for number in range(FILES // FOLDERS):
        (place / f"{number:04}.txt").write_bytes(b"%d %d" % (folder, number))
settle()
seconds, peak, _ = run([DRUMLIN, "add", "data"], home)
record("million", "add of all", "drumlin", seconds, "s")
record("million", "add of all: peak memory", "drumlin", peak / 1e6, "MB")
seconds, peak, _ = run([DRUMLIN, "commit", "-m", "all"], home)
record("million", "commit of all", "drumlin", seconds, "s")
floors, adds, commits, bytes_written = [], [], [], []
for round_ in range(ROUNDS):
    (home / "data" / "0500" / "0500.txt").write_text(f"changed {round_}")
    floors.append(timed(["find", "data", "-newermt", "2100-01-01"], home))
    adds.append(timed([DRUMLIN, "add", "data"], home))
    before = written(home)
    commits.append(timed([DRUMLIN, "commit", "-m", f"round {round_}"], home))
    bytes_written.append(written(home) - before)
record("million", "the walk, with a stat of each", "find", median(floors), "s")
record("million", "add: the walk and the one file", "drumlin", median(adds), "s")
record("million", "commit", "drumlin", 1000 * median(commits), "ms")
record("million", "commit: bytes written", "drumlin", median(bytes_written) / 1e6, "MB")
shutil.rmtree(home)
