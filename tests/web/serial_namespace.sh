#!/bin/sh
# Runs a program in a mount namespace in which Chromium has a policy of its own and lists one serial port:
#
#     unshare --mount sh serial_namespace.sh FOLDER TTY PROGRAM...
#
# TTY is the name of a virtual console, which Chromium lists since the drivers' list that it reads here says that it is serial; no other
# port is in that list. In its place lies /dev/null, over which the program binds ptys. FOLDER, an empty one, becomes /etc/chromium,
# with policies/managed to write to. Outside of the namespace nothing is changed, and no console is opened, inside or outside.
set -eu
folder=$1 tty=$2
shift 2
mount -t tmpfs none "$folder"
if [ -d /etc/chromium ]; then cp -r /etc/chromium/. "$folder"; fi
mkdir -p "$folder/policies/managed"
printf 'serial /dev/tty 4 %s serial\n' "${tty#tty}" > "$folder/drivers"
mount --bind "$folder/drivers" /proc/tty/drivers
mount --bind "$folder" /etc/chromium
mount --bind /dev/null "/dev/$tty"
exec "$@"
