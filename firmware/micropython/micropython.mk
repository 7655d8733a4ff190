# For make-based ports: USER_C_MODULES=<this repository>/firmware, or a folder of your own modules with a link to this folder in it.
FEAGI_MODULE := $(realpath $(USERMOD_DIR))
FEAGI_CORE := $(FEAGI_MODULE)/../core
# What is for hosts alone is left out.
SRC_USERMOD += $(addprefix $(FEAGI_MODULE)/,usermod.c feagi_images.c feagi_manager.c feagi_methods.c feagi_server.c feagi_start.c feagi_values.c) \
	$(filter-out %/feagi_mirror.c %/feagi_shared.c,$(wildcard $(FEAGI_CORE)/*.c))
CFLAGS_USERMOD += -I$(FEAGI_MODULE) -I$(FEAGI_CORE) -I$(FEAGI_MODULE)/../port -fno-tree-loop-distribute-patterns
# Names are looked for in files that changed, and these are in headers.
QSTR_GLOBAL_DEPENDENCIES += $(FEAGI_MODULE)/feagi_module.h $(FEAGI_MODULE)/feagi_names.h $(FEAGI_MODULE)/feagi_images.h
# The module's half in Python, besides what the user, the board or the port freezes.
override FROZEN_MANIFEST += $(FEAGI_MODULE)/manifest.py
