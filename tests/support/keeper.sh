#!/bin/sh
# keeper.sh DIR SIGNAL COMMAND...: runs COMMAND until standard input ends, which the kernel brings
# about however the test process dies; then stops it and removes DIR.
dir=$1 signal=$2
shift 2
"$@" </dev/null >"$dir/log" 2>&1 &
child=$!
# The parent is not asked: a command that died by itself shows as a failed connection.
read -r _
kill -s "$signal" "$child" 2>/dev/null
wait "$child"
rm -rf "$dir"
