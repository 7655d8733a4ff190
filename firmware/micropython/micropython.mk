# For make-based ports: USER_C_MODULES=<this repository>/firmware, or a folder of your own modules with a link to this folder in it.
FEAGI_MODULE := $(realpath $(USERMOD_DIR))
FEAGI_CORE := $(FEAGI_MODULE)/../core
# What is for hosts alone is left out.
SRC_USERMOD += $(FEAGI_MODULE)/usermod.c $(FEAGI_MODULE)/feagi_names.c \
	$(filter-out %/feagi_mirror.c %/feagi_shared.c,$(wildcard $(FEAGI_CORE)/*.c))
CFLAGS_USERMOD += -I$(FEAGI_MODULE) -I$(FEAGI_CORE) -I$(FEAGI_MODULE)/../port -fno-tree-loop-distribute-patterns
# usermod.c includes them, and names are looked for in files that changed.
QSTR_GLOBAL_DEPENDENCIES += $(FEAGI_MODULE)/feagi_module.c $(FEAGI_MODULE)/feagi_module.h
