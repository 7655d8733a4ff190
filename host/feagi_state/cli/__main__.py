"""`python -m feagi_state.cli`."""

from . import main

main()
