#!/usr/bin/env bash
# Makes the repository that is kept for each format: `make.sh PROGRAM NAME` leaves NAME.tar.gz and NAME.answers here.
# Run it once for a new format, never again for one that was released: what old programs wrote has to stay readable.
set -euo pipefail
PROGRAM=$(realpath "$1")
KEPT=$(cd "$(dirname "$0")" && pwd)
NAME=$2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export DRUMLIN_ACTOR=keeper
d() { "$PROGRAM" -C "$WORK/$NAME" "$@" >/dev/null; }

mkdir -p "$WORK/$NAME/raw/deep" "$WORK/$NAME/raw/empty"
cd "$WORK/$NAME"
seq 1 20 > raw/small.txt
seq 1 90000 > raw/chunked.txt
printf '#!/bin/sh\necho hello\n' > raw/run.sh && chmod +x raw/run.sh
ln -s small.txt raw/link
printf 'name with spaces and ü\n' > "raw/deep/a file ü.txt"
: > raw/nothing
{ echo sensor,at,temp; for hour in $(seq -w 0 23); do for s in s1 s2 s3; do echo "$s,2024-03-01T$hour:00:00Z,$((10#$hour + ${s#s})).5"; done; done; } > raw/readings.csv
{ echo sensor,at,alarm; echo s1,2024-03-01T05:30:00Z,true; echo s2,2024-03-01T12:10:00Z,false; echo s3,2024-03-03T00:00:00Z,true; } > raw/alarms.csv
mkdir features
cat > features/climate.yaml <<'YAML'
kind: entity
name: sensor
keys:
  - {name: sensor, type: string}
---
kind: feature_view
name: climate
entity: sensor
source: {table: readings}
event_time: at
created_time: at
max_age: 2h
---
kind: feature_service
name: alarm_model
views:
  - climate
YAML
d init
d add raw
d commit -m "files as they came"
d tag create v1
d table create readings --from raw/readings.csv --key sensor,at
d table create alarms --from raw/alarms.csv
printf 'sensor,at,temp\ns1,2024-03-01T03:00:00Z,40.5\n' > fix.csv
d table upsert readings --from fix.csv
d apply
d train create alarms --spine alarms --time at --service alarm_model --with-status
d checkout -b other
seq 1 21 > raw/small.txt
d add raw/small.txt
d commit -m "one more line"
d checkout main
d table delete readings --where "temp > 40"
d merge other
d branch create spare
d branch delete spare
d undo
d online materialize
seq 1 22 > raw/small.txt
echo staged > raw/staged.txt
d add raw/staged.txt
cd "$WORK"
tar --sort=name --owner=0 --group=0 -czf "$KEPT/$NAME.tar.gz" "$NAME"
: > "$KEPT/$NAME.answers"
while IFS= read -r words; do
    [ -n "$words" ] || continue
    { printf '$ %s\n' "$words"; eval "set -- $words"; "$PROGRAM" -C "$WORK/$NAME" "$@" --json; } >> "$KEPT/$NAME.answers"
done < "$KEPT/questions"
ls -l "$KEPT"
