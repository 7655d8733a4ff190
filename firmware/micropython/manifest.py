# For firmware with the module inside: FROZEN_MANIFEST=<a manifest of yours> with include("<this repository>/firmware/micropython/manifest.py")
# in it. What StateManager.save, restore and load do with files.
module("feagi_files.py", base_path="../python")
