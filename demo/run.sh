#!/usr/bin/env bash
# The main job on real data, from raw files to a served feature, in one versioned repository. Every command is printed before its result; the first
# result that is not the expected one ends the demo with an error. Leaves its repository at target/demo/flights.
set -euo pipefail
cd "$(dirname "$0")/.."
source demo/lib.sh

HERE=$PWD
DRUMLIN=$HERE/bin/drumlin
WORK=$HERE/target/demo/flights
rm -rf "$WORK"
mkdir -p "$WORK/raw"
for name in flights weather planes airlines airports; do
    gzip -dc "demo/data/$name.csv.gz" > "$WORK/raw/$name.csv"
done
cd "$WORK"
export DRUMLIN_ACTOR=demo

title "1. Keep the raw files"
run drumlin init
run drumlin add raw
run drumlin commit -m "flights from New York in 2013, as downloaded"
run drumlin tag create v1
run drumlin status
expect "files are kept" "$(drumlin sql --format csv 'SELECT count(*) FROM "raw/airlines.csv"@v1' | tail -1)" 16

title "2. Tables, and SQL at any version"
run drumlin table create flights --from raw/flights.csv
run drumlin table create weather --from raw/weather.csv --key origin,time_hour
run drumlin table create planes --from raw/planes.csv --key tailnum
run drumlin table show flights
expect "times are instants" "$(drumlin sql --format csv "SELECT count(*) FROM flights WHERE time_hour < TIMESTAMP '2013-01-01T10:00:01Z'" | tail -1)" 6
expect "NA is null" "$(drumlin sql --format csv 'SELECT count(*) FROM flights WHERE dep_delay IS NULL' | tail -1)" 8255
run drumlin tag create v2
run drumlin table delete flights --where "carrier = 'HA'" -m "leave out Hawaiian"
run drumlin sql "SELECT (SELECT count(*) FROM \"raw/flights.csv\"@v1 WHERE month = 6 AND day = 15) AS at_v1,
            (SELECT count(*) FROM flights@v2 WHERE month = 6 AND day = 15) AS at_v2,
            (SELECT count(*) FROM flights@main WHERE month = 6 AND day = 15) AS at_main"
expect "flights of one day at v1, in the raw file" "$(drumlin sql --format csv 'SELECT count(*) FROM "raw/flights.csv"@v1 WHERE month = 6 AND day = 15' | tail -1)" 801
expect "flights of one day at v2" "$(drumlin sql --format csv 'SELECT count(*) FROM flights@v2 WHERE month = 6 AND day = 15' | tail -1)" 801
expect "flights of one day at main" "$(drumlin sql --format csv 'SELECT count(*) FROM flights@main WHERE month = 6 AND day = 15' | tail -1)" 800
run drumlin undo
expect "undone" "$(drumlin sql --format csv 'SELECT count(*) FROM flights' | tail -1)" 336776

title "3. Features: the plan first, then the commit"
cp -r "$HERE/demo/features" features
run drumlin apply --dry-run
expect "the plan adds four views" "$(drumlin apply --dry-run | grep -c '+ feature view')" 4
run drumlin apply
run drumlin feature search delay

title "4. A training set: every flight, with what was known at its scheduled hour"
run drumlin train create delays --spine flights --time time_hour --service departure_delay --with-status
CONTENT=$(drumlin train show delays --json | field content)
expect "rows out = rows in" "$(drumlin train show delays --json | field rows)" 336776
run drumlin train rebuild delays
expect "built again: the same content" "$(drumlin train rebuild delays --json | field rebuilt)" "$CONTENT"
run drumlin sql "SELECT carrier, flight, time_hour, dep_delay, temp, mean_delay_24h AS carrier_24h, mean_delay_7d AS plane_7d
            FROM \"training/delays/part-00000.parquet\" WHERE month = 2 LIMIT 5"

title "5. A branch of all of it"
run drumlin checkout -b late-weather
awk -F, 'NR == 1 || ($1 == "JFK" && $3 == 7 && $4 == 4)' OFS=, raw/weather.csv | awk -F, 'NR == 1 {print; next} {$6 = $6 + 2; print}' OFS=, > raw/corrections.csv
run drumlin add raw/corrections.csv
run drumlin commit -m "late corrections of the weather of the fourth of July"
run drumlin table upsert weather --from raw/corrections.csv
sed -i 's/^max_age: 3h/max_age: 1h/' features/weather.yaml
run drumlin apply -m "weather counts for one hour"
run drumlin train create delays --spine flights --time time_hour --service departure_delay --with-status --replace
expect_not "the set differs on the branch" "$(drumlin train show delays --json | field content)" "$CONTENT"
run drumlin diff main late-weather
DIFF=$(drumlin diff main late-weather --json)
expect "the diff names the file that came" "$(grep -c '"path": "raw/corrections.csv"' <<< "$DIFF")" 1
expect "the diff counts the rows that changed" "$(grep -c '"changed": 24' <<< "$DIFF")" 1
expect "the diff says how the definition changed" "$(field before <<< "$DIFF") -> $(field after <<< "$DIFF")" "3h -> 1h"
run drumlin train diff delays@main delays@late-weather
run drumlin checkout main
expect "main is untouched" "$(drumlin train show delays --json | field content)" "$CONTENT"
expect "main's set still rebuilds to the same content" "$(drumlin train rebuild delays --json | field rebuilt)" "$CONTENT"
run drumlin merge late-weather
expect_not "main has the branch's set" "$(drumlin train show delays --json | field content)" "$CONTENT"
run drumlin undo
expect "the merge is undone" "$(drumlin train show delays --json | field content)" "$CONTENT"
run drumlin op log -n 4

title "6. The same features, served"
run drumlin online materialize
run drumlin online get departure_delay origin=JFK tailnum=N14228 carrier=UA --now 2014-01-01T06:00:00Z
expect "seats of a plane" "$(drumlin online get departure_delay origin=JFK tailnum=N14228 carrier=UA --now 2014-01-01T06:00:00Z --json | field seats)" 149
run drumlin online get departure_delay origin=LGA tailnum=N619AA carrier=AA --now 2014-01-01T06:00:00Z
run drumlin verify --now 2014-01-01T06:00:00Z
run drumlin verify

title "7. Where did it come from, and what does it touch?"
run drumlin lineage training/delays --svg lineage.svg
run drumlin lineage raw/weather.csv --impact
expect "lineage reaches the raw file" "$(drumlin lineage training/delays --json | grep -c 'raw/flights.csv' | sed 's/^[1-9][0-9]*$/found/')" found
expect "the drawing is there" "$(head -c 5 lineage.svg)" "<?xml"
expect "the weather touches its own definition and the set, and no other" \
    "$(drumlin lineage raw/weather.csv --impact --json | field_all name | grep / | sort | paste -sd' ')" \
    "features/weather.yaml raw/weather.csv tables/weather training/delays"
run drumlin fsck

title "Done in $SECONDS s"
echo "The repository is at target/demo/flights, the drawing at target/demo/flights/lineage.svg."
