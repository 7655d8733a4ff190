# For CMake-based ports (esp32, rp2): USER_C_MODULES=<this repository>/firmware/micropython/micropython.cmake; further modules'
# files follow behind semicolons.
get_filename_component(FEAGI_FIRMWARE ${CMAKE_CURRENT_LIST_DIR}/.. REALPATH)
file(GLOB FEAGI_CORE_SOURCES CONFIGURE_DEPENDS ${FEAGI_FIRMWARE}/core/*.c)
# What is for hosts alone is left out.
list(FILTER FEAGI_CORE_SOURCES EXCLUDE REGEX "feagi_(mirror|shared)\\.c$")
set(FEAGI_MODULE_SOURCES usermod.c feagi_images.c feagi_manager.c feagi_methods.c feagi_server.c feagi_start.c feagi_values.c)
list(TRANSFORM FEAGI_MODULE_SOURCES PREPEND ${FEAGI_FIRMWARE}/micropython/)
# The module's half in Python, besides what the user, the board or the port freezes. rp2 asks which of them it is behind this line.
if(MICROPY_USER_FROZEN_MANIFEST)
    set(MICROPY_FROZEN_MANIFEST ${MICROPY_USER_FROZEN_MANIFEST})
elseif(NOT MICROPY_FROZEN_MANIFEST)
    set(MICROPY_FROZEN_MANIFEST ${MICROPY_PORT_DIR}/boards/manifest.py)
endif()
list(APPEND MICROPY_FROZEN_MANIFEST ${FEAGI_FIRMWARE}/micropython/manifest.py)
set(MICROPY_USER_FROZEN_MANIFEST ${MICROPY_FROZEN_MANIFEST})

add_library(usermod_feagi_state INTERFACE)
target_sources(usermod_feagi_state INTERFACE
    ${FEAGI_MODULE_SOURCES}
    ${FEAGI_CORE_SOURCES}
)
target_include_directories(usermod_feagi_state INTERFACE
    ${FEAGI_FIRMWARE}/micropython
    ${FEAGI_FIRMWARE}/core
    ${FEAGI_FIRMWARE}/port
)
target_link_libraries(usermod INTERFACE usermod_feagi_state)
