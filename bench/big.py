"""One file of 2 GB: add, beside `cp`; then the same file with a megabyte put in its middle."""

import random
import shutil

from common import DRUMLIN, record, run, scratch, settle, timed, title

MEGABYTES = 2_000

title("One file of 2 GB")
home = scratch("big")
chance = random.Random(11)
timed([DRUMLIN, "init"], home)
with (home / "big.bin").open("wb") as out:
    for _ in range(MEGABYTES):
        out.write(chance.randbytes(1_000_000))
settle()
floor = timed(["cp", "big.bin", "copy.bin"], home)
record("big", "add", "cp", floor, "s")
seconds, peak, _ = run([DRUMLIN, "add", "big.bin"], home)
record("big", "add", "drumlin", seconds, "s")
record("big", "add: ratio to cp", "drumlin", seconds / floor, "x")
record("big", "add: peak memory", "drumlin", peak / 1e6, "MB")
(home / "copy.bin").unlink()
before = sum(file.stat().st_size for file in (home / ".drumlin").rglob("*") if file.is_file())
with (home / "big.bin").open("rb") as old, (home / "new.bin").open("wb") as new:
    for part in range(MEGABYTES):
        new.write(old.read(1_000_000))
        if part == MEGABYTES // 2:
            new.write(chance.randbytes(1_000_000))
(home / "new.bin").replace(home / "big.bin")
settle()
record("big", "add again, 1 MB inserted", "drumlin", timed([DRUMLIN, "add", "big.bin"], home), "s")
after = sum(file.stat().st_size for file in (home / ".drumlin").rglob("*") if file.is_file())
record("big", "bytes stored for it", "drumlin", (after - before) / 1e6, "MB")
shutil.rmtree(home)
