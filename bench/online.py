"""Get 50 features of one key in process: beside a bare LMDB read and a hash map of ready rows."""

import json
import subprocess

from common import ROOT, record, title

title("Online get of 50 features, in process")
subprocess.run(["cargo", "build", "--quiet", "--locked", "--package", "drumlin-online", "--example", "online_bench"], cwd=ROOT, check=True)
out = subprocess.run([ROOT / "target/debug/examples/online_bench"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
for line in out.splitlines():
    figure = json.loads(line)
    record("online", figure["case"], figure["subject"], figure["value"], figure["unit"])
