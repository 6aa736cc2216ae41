"""How long the program takes to start: beside the start of `git` and of the smallest process there is."""

from common import DRUMLIN, median, record, scratch, timed, title

RUNS = 21

title("Start of the program (median of 21 runs)")
folder = scratch("startup")
timed([DRUMLIN, "init"], folder)
(folder / "a.txt").write_text("a")
timed([DRUMLIN, "add", "a.txt"], folder)
timed([DRUMLIN, "commit", "-m", "one"], folder)
timed(["git", "init", "-q"], folder)
for case, subject, words in [
    ("version", "drumlin", [DRUMLIN, "--version"]),
    ("version", "git", ["git", "--version"]),
    ("version", "floor", ["true"]),
    ("status of a small repository", "drumlin", [DRUMLIN, "status"]),
    ("status of a small repository", "git", ["git", "status"]),
]:
    record("startup", case, subject, 1000 * median(timed(words, folder) for _ in range(RUNS)), "ms")
