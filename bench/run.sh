#!/usr/bin/env bash
# Runs the benchmarks, all or those named, each beside a peer or a floor in the same run. Prints tables, appends to target/bench/results.jsonl.
#   bench/run.sh            all
#   bench/run.sh files asof those
set -euo pipefail
cd "$(dirname "$0")/.."
cases=(startup files big million asof online)
[ $# -gt 0 ] && cases=("$@")
venv=target/bench/venv
if [ ! -e "$venv/.ready" ] || [ bench/requirements.txt -nt "$venv/.ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement bench/requirements.txt
    touch "$venv/.ready"
fi
: > target/bench/results.jsonl
for case in "${cases[@]}"; do
    script=bench/$case.py
    [ -e "$script" ] || { echo "there is no benchmark called $case; there are: startup files big million asof online" >&2; exit 1; }
    "$venv/bin/python" "$script"
done
