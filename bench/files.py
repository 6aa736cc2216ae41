"""50,000 files of 7 kB: add and commit, and checkout into a new folder; beside `cp -r` and DVC."""

import os
import random
import shutil

from common import DRUMLIN, DVC, record, scratch, settle, timed, title

FILES = 50_000
SIZE = 7_000
FOLDERS = 100


def make(folder):
    chance = random.Random(7)
    for number in range(FILES):
        place = folder / f"part-{number % FOLDERS:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06}.bin").write_bytes(chance.randbytes(SIZE))


title(f"{FILES:,} files of {SIZE:,} bytes")
home = scratch("files")
source = home / "source"
make(source)
settle()

floor_add = timed(["cp", "-r", "source", "copy"], home)
record("files", "add", "cp -r", floor_add, "s")

ours = home / "ours"
ours.mkdir()
timed([DRUMLIN, "init"], ours)
shutil.copytree(source, ours / "data", copy_function=os.link)
add = timed([DRUMLIN, "add", "data"], ours) + timed([DRUMLIN, "commit", "-m", "all"], ours)
record("files", "add", "drumlin", add, "s")
record("files", "add: ratio to cp -r", "drumlin", add / floor_add, "x")

dvc = home / "dvc"
dvc.mkdir()
timed(["git", "init", "-q"], dvc)
timed([DVC, "init", "-q"], dvc)
shutil.copytree(source, dvc / "data")
record("files", "add", "dvc", timed([DVC, "add", "-q", "data"], dvc), "s")

again = timed([DRUMLIN, "add", "data"], ours)
record("files", "add of what did not change", "drumlin", again, "s")
record("files", "add of what did not change", "dvc", timed([DVC, "add", "-q", "data"], dvc), "s")

floor_out = timed(["cp", "-r", "source", "copy2"], home)
record("files", "checkout", "cp -r", floor_out, "s")
out = timed([DRUMLIN, "clone", "ours", "clone"], home)
assert sum(len(names) for _, _, names in os.walk(home / "clone" / "data")) == FILES
record("files", "checkout", "drumlin", out, "s")
shutil.rmtree(dvc / "data")
record("files", "checkout", "dvc", timed([DVC, "checkout", "-q"], dvc), "s")
shutil.rmtree(home)
