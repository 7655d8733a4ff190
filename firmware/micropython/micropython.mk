# For make-based ports: USER_C_MODULES=<this repository>/firmware
FEAGI_MODULE := $(USERMOD_DIR)
FEAGI_CORE := $(USERMOD_DIR)/../core
SRC_USERMOD += $(FEAGI_MODULE)/usermod.c $(FEAGI_MODULE)/feagi_names.c \
	$(addprefix $(FEAGI_CORE)/feagi_,agents.c areas.c clock.c crc.c events.c frame.c link.c link_delta.c link_receive.c locks.c region.c spec.c state.c stats.c table.c text.c windows.c write.c)
CFLAGS_USERMOD += -I$(FEAGI_MODULE) -I$(FEAGI_CORE) -I$(FEAGI_MODULE)/../port -fno-tree-loop-distribute-patterns
# usermod.c includes them, and names are looked for in files that changed.
QSTR_GLOBAL_DEPENDENCIES += $(FEAGI_MODULE)/feagi_module.c $(FEAGI_MODULE)/feagi_module.h
