#!/usr/bin/env bash
# Checks licenses and sources of every dependency; installs cargo-deny under target/tools when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
    deny=target/tools/bin/cargo-deny
    [ -x "$deny" ] || cargo install --quiet --locked --debug --root target/tools cargo-deny@0.20.2
fi
"$deny" --locked --log-level warn check licenses bans sources
