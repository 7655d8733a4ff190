#!/bin/bash
# Fetches the MicroPython source that the emulated boards are built from.
#
#     fetch_micropython.sh [directory]
#
# It is Debian's source package, obtained with the machine's own apt-get and its
# configured mirror, without root and without touching the system's apt state.
# The tree is put in the directory given (default: in the user's cache), whose
# path is printed on stdout; progress goes to stderr. Once fetched, nothing is done.
set -eu

version=1.25.0
package_version=$version+ds-1
suite=trixie
tarball=micropython_$version+ds.orig.tar.xz
sha256=7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea

dest=${1:-${XDG_CACHE_HOME:-${HOME:-$PWD/build}/.cache}/feagi-state/micropython-$version}
[[ $dest = /* ]] || dest=$PWD/$dest

say() { printf 'fetch_micropython: %s\n' "$*" >&2; }

fail() {
    say "$1"
    say "to do without it: make MPY_DIR=/path/to/micropython ..., 1.25 or later; XDG_CACHE_HOME=... chooses another place for the source"
    exit 1
}

# Only a complete tree is ever given its final name.
finish_if_present() {
    [ -e "$dest" ] || return 0
    [ -f "$dest/py/mpconfig.h" ] || fail "$dest exists but is not a MicroPython tree; remove it or name another directory"
    printf '%s\n' "$dest"
    exit 0
}

# Prints a sources list for $suite, in the format of the machine's own file, with
# its mirror and its keyring. Security archives carry no such source package.
deb822_source() {
    awk -v suite="$suite" '
        BEGIN { RS = ""; FS = "\n" }
        {
            text = ""; archive = 0; security = 0
            for (i = 1; i <= NF; i++) {
                line = $i
                if (line ~ /^#/) continue
                if (tolower(line) ~ /^types:/) { archive = 1; line = "Types: deb-src" }
                if (tolower(line) ~ /^enabled:/) continue
                if (tolower(line) ~ /^components:/) line = "Components: main"
                if (tolower(line) ~ /^suites:/) {
                    security = line ~ /security/
                    line = "Suites: " suite
                }
                text = text line "\n"
            }
            if (archive && !security) { printf "%s", text; exit }
        }' "$1"
}

one_line_source() {
    sed -n -E "/security/d; s/^deb[[:space:]]+((\[[^]]*\][[:space:]]+)?[^[:space:]]+)[[:space:]].*/deb-src \1 $suite main/p" "$1" | head -n 1
}

finish_if_present
command -v apt-get >/dev/null || fail "no apt-get here: this is not a Debian system"

mkdir -p "$(dirname "$dest")" || fail "cannot create $(dirname "$dest")"

# Beside the destination, so that the last step is a rename.
work=$(mktemp -d "$dest.part.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/tree"

if [ -f /etc/apt/sources.list.d/debian.sources ]; then
    sources=$work/trixie.sources
    deb822_source /etc/apt/sources.list.d/debian.sources >"$sources"
elif [ -f /etc/apt/sources.list ]; then
    sources=$work/trixie.list
    one_line_source /etc/apt/sources.list >"$sources"
else
    fail "found neither /etc/apt/sources.list.d/debian.sources nor /etc/apt/sources.list"
fi
[ -s "$sources" ] || fail "found no Debian archive in this machine's apt sources"

apt=(apt-get -qq
    -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache"
    -o Acquire::Languages=none -o APT::Update::Error-Mode=any)
# apt's unprivileged download user could not write below our private directory.
[ "$(id -u)" != 0 ] || apt+=(-o APT::Sandbox::User=root)

run_apt() {
    "${apt[@]}" "$@" >"$work/log" 2>&1 && return
    cat "$work/log" >&2
    if grep -q NO_PUBKEY "$work/log"; then
        fail "this machine has no key for Debian $suite: install a newer debian-archive-keyring"
    fi
    fail "apt-get failed"
}

say "reading the package index of Debian $suite ..."
run_apt update
say "downloading the source of micropython $package_version ..."
cd "$work"
run_apt source --download-only "micropython=$package_version"
[ -f "$tarball" ] || fail "apt-get delivered no $tarball"
echo "$sha256  $tarball" | sha256sum --check --status \
    || fail "$tarball does not have the expected checksum ($sha256)"
say "unpacking to $dest ..."
tar -xf "$tarball" -C tree --strip-components=1 || fail "cannot unpack $tarball (is xz-utils installed?)"
# Without -T a tree that another run has just put there would be moved into.
if ! mv -T tree "$dest" 2>/dev/null; then
    finish_if_present
    fail "cannot move the unpacked tree to $dest"
fi
say "done"
printf '%s\n' "$dest"
