# What the demo's script is told with: run a command and show it, expect a value, read a field of JSON.

bold=$(tput bold 2>/dev/null || true)
plain=$(tput sgr0 2>/dev/null || true)

drumlin() { "$DRUMLIN" "$@"; }

title() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }

# Prints the command, its result and its time.
run() {
    local shown="" word start end
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_./=,@:~-]*) shown+=" \"$word\"" ;;
            *) shown+=" $word" ;;
        esac
    done
    printf '\n%s$%s%s\n' "$bold" "$shown" "$plain"
    start=$(date +%s%N)
    "$@"
    end=$(date +%s%N)
    printf '  (%d ms)\n' $(((end - start) / 1000000))
}

expect() {
    if [ "$2" != "$3" ]; then
        printf '\nUNEXPECTED: %s: got %q, not %q\n' "$1" "$2" "$3" >&2
        exit 1
    fi
    printf '  ✓ %s: %s\n' "$1" "$2"
}

expect_not() {
    if [ "$2" = "$3" ]; then
        printf '\nUNEXPECTED: %s: %q should have changed\n' "$1" "$2" >&2
        exit 1
    fi
    printf '  ✓ %s\n' "$1"
}

# The scalar fields of this name in JSON on stdin, a line each; and the first of them.
field_all() {
    sed -nE "s/^ *\"$1\": *\"?([^\",]*)\"?,?\$/\\1/p"
}
field() {
    field_all "$1" | head -1
}
