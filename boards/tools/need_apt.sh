#!/bin/bash
# Sees that Debian packages are there:  need_apt.sh PACKAGE[:COMMAND]...
#
# A package counts as there when it is installed, or when COMMAND is on PATH. What is missing is installed where that
# needs no question (root, or sudo without a password). Elsewhere it says exactly what to type, and fails.
set -euo pipefail

missing=()
for need in "$@"; do
    package=${need%%:*}
    command=${need#"$package"}
    command=${command#:}
    if [[ -n $command ]] && command -v "$command" >/dev/null; then
        continue
    fi
    if dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed; then
        continue
    fi
    missing+=("$package")
done
((${#missing[@]})) || exit 0

if [[ $(id -u) == 0 ]]; then
    as_root=(env)
elif command -v sudo >/dev/null && sudo --non-interactive true 2>/dev/null; then
    as_root=(sudo --non-interactive)
else
    as_root=()
fi
if ((${#as_root[@]} == 0)) || ! command -v apt-get >/dev/null || [[ -n ${FEAGI_NO_APT:-} ]]; then
    {
        echo "missing: ${missing[*]}"
        echo "install with:  sudo apt-get install ${missing[*]}"
    } >&2
    exit 1
fi

apt=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=600)
echo "installing ${missing[*]}"
if ! apt-cache policy "${missing[@]}" 2>/dev/null | grep -q 'Candidate: [^(]' ||
    [[ -z $(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' -mtime -14 -print -quit 2>/dev/null) ]]; then
    "${apt[@]}" update
fi
"${apt[@]}" install --no-install-recommends "${missing[@]}" || {
    "${apt[@]}" update # the list may be older than the archive
    "${apt[@]}" install --no-install-recommends "${missing[@]}"
}
