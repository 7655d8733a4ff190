"""The command line `feagi-state`. What each command means is in its help; errors are one line on stderr.

`app` has what the commands share, `values`, `serving`, `emulated` and `hardware` have the commands, `main` runs them.
"""

from .main import main

__all__ = ["main"]
