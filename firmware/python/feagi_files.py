"""Saved states in files and in memory, on a board: what save, load and restore of feagi_state's StateManager do.

The module imports this at the first such call. It has to be on the board beside it, or frozen into the firmware. Its half in C,
_image, _check and _put_back (firmware/micropython/feagi_images.c), is in the same .mpy, or in the firmware.
"""

import os

from feagi_state import PersistenceError, StateManager

try:
    from _feagi_images import _check, _image, _put_back
except ImportError:
    pass  # they are in this module already

# By the numbers of feagi_image.h.
_WRONG = (
    "",
    "holds no region, or one of another layout",
    "holds no valid state: a field is out of its range",
    "holds no valid state: the agent table is not whole",
    "holds no valid state: the table of locks or windows is not whole",
    "holds no valid state: the area statistics are not whole",
    "does not lie at a multiple of 8 in memory: take bytes(it)",
    "is no saved state",
    "was saved by another version of feagi_state",
    "is truncated, or something follows what was saved",
    "is damaged: its bytes have another CRC than when they were saved",
    "was saved from a state with another profile",
)


def save(state, target):
    """Saves to a file's path, or to the beginning of a buffer, and returns how many bytes; with None returns the image."""
    state.tick()
    image = _image(state)
    if target is None:
        return image
    if isinstance(target, str):
        _write(target, image)
        return len(image)
    memory = memoryview(target)
    if len(memory) < len(image):
        raise ValueError("%d bytes are no room for a saved state of %d" % (len(memory), len(image)))
    memory[: len(image)] = image
    return len(image)


def restore(state, source):
    """Makes a state, or with None a new one, what a file or buffer holds. Returns the state."""
    if isinstance(source, str):
        name, image = source, _read(source)
    else:
        name, image = "the buffer", source
    if state is None:
        wrong, profile = _check(image)
        if wrong:
            raise PersistenceError("%s %s" % (name, _WRONG[wrong]))
        state = StateManager(("tiny", "micro", "host")[profile - 1])
    state.tick()
    wrong = _put_back(state, image)
    if wrong:
        raise PersistenceError("%s %s" % (name, _WRONG[wrong]))
    return state


def _write(path, image):
    # Beside the name first: a loss of power leaves the old file, or the new one, whole.
    new = path + ".new"
    try:
        with open(new, "wb") as file:
            if file.write(image) != len(image):
                raise OSError(28)  # ENOSPC
        os.rename(new, path)
        if hasattr(os, "sync"):  # ports whose driver keeps the last block back
            os.sync()
    except OSError as error:
        raise PersistenceError("%s cannot be saved: %r" % (path, error))


def _read(path):
    try:
        try:
            file = open(path, "rb")
        except OSError:
            # FAT removes the old name before it gives the new one: power may have been lost between the two.
            file = open(path + ".new", "rb")
        with file:
            return file.read()
    except OSError as error:
        raise PersistenceError("%s cannot be read: %r" % (path, error))
