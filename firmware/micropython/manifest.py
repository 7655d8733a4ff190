# What the module has in Python, in a firmware. micropython.mk and micropython.cmake add this to what the port freezes.
module("_feagi_state.py")
module("feagi_files.py", base_path="../python")
