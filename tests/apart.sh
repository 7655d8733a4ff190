#!/bin/bash
# apart.sh COMMAND...: runs the command with pseudo-terminals, shared memory and a runtime folder of its own, so that tests which run
# at the same time do not meet each other's boards, ports and mirrors. Fails if this system does not allow that.
set -euo pipefail

if [[ ${1:-} != --inside ]]; then
	namespaces=(--mount)
	((EUID == 0)) || namespaces+=(--user --map-current-user --keep-caps)
	exec unshare "${namespaces[@]}" "$0" --inside "$@"
fi
shift
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx
mount -t tmpfs tmpfs /dev/shm
unset XDG_RUNTIME_DIR
exec "$@"
