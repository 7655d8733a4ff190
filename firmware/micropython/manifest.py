# The half in Python of the module in a firmware. micropython.mk and micropython.cmake add this to what the port freezes.
module("feagi_state.py")
module("feagi_files.py", base_path="../python")
