# For CMake-based ports (esp32, rp2): USER_C_MODULES=<this file>
set(FEAGI_MODULE ${CMAKE_CURRENT_LIST_DIR})
set(FEAGI_FIRMWARE ${FEAGI_MODULE}/..)

# What is for hosts alone is left out.
file(GLOB FEAGI_CORE CONFIGURE_DEPENDS ${FEAGI_FIRMWARE}/core/*.c)
list(FILTER FEAGI_CORE EXCLUDE REGEX "feagi_(image|mirror|shared)\\.c$")

add_library(usermod_feagi_state INTERFACE)
target_sources(usermod_feagi_state INTERFACE ${FEAGI_MODULE}/usermod.c ${FEAGI_MODULE}/feagi_names.c ${FEAGI_CORE})
target_include_directories(usermod_feagi_state INTERFACE ${FEAGI_MODULE} ${FEAGI_FIRMWARE}/core ${FEAGI_FIRMWARE}/port)
target_link_libraries(usermod INTERFACE usermod_feagi_state)
