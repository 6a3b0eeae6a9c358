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
# A browser outlives its driver; whatever it is, it names the folder, which nobody else does.
for file in $(grep -lF -- "$dir" /proc/[0-9]*/cmdline); do
    pid=${file#/proc/}
    [ "${pid%/cmdline}" = $$ ] || kill -s KILL "${pid%/cmdline}"
done
rm -rf "$dir"
