#!/bin/bash
# One step of the Makefile:  step.sh NAME LOG COMMAND...
#
# Prints one line and keeps what COMMAND says in build/logs/LOG.log; shows the log's end when COMMAND fails.
# V=1 shows everything as it comes.
set -uo pipefail

name=$1 log=build/logs/$2.log
shift 2
mkdir -p build/logs build/stamps
echo "  $name ..." >&2
trap 'echo "  $name: interrupted" >&2; exit 130' INT
began=$(date +%s)
if [[ -n ${V:-} ]]; then
    "$@" 2>&1 | tee "$log" >&2
else
    "$@" </dev/null >"$log" 2>&1
fi
status=$?
if ((status)); then
    [[ -n ${V:-} ]] || tail -n 30 "$log" >&2
    echo "  $name FAILED (exit status $status); all of it is in $log" >&2
    exit $status
fi
took=$(($(date +%s) - began))
((took < 5)) || echo "  $name took $took s" >&2
