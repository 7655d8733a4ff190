# For CMake-based ports (esp32, rp2): USER_C_MODULES=<this repository>/firmware/micropython/micropython.cmake; further modules'
# files follow behind semicolons.
get_filename_component(FEAGI_FIRMWARE ${CMAKE_CURRENT_LIST_DIR}/.. REALPATH)
file(GLOB FEAGI_CORE_SOURCES CONFIGURE_DEPENDS ${FEAGI_FIRMWARE}/core/*.c)
# What is for hosts alone is left out.
list(FILTER FEAGI_CORE_SOURCES EXCLUDE REGEX "feagi_(mirror|shared)\\.c$")

add_library(usermod_feagi_state INTERFACE)
target_sources(usermod_feagi_state INTERFACE
    ${FEAGI_FIRMWARE}/micropython/usermod.c
    ${FEAGI_FIRMWARE}/micropython/feagi_names.c
    ${FEAGI_CORE_SOURCES}
)
target_include_directories(usermod_feagi_state INTERFACE
    ${FEAGI_FIRMWARE}/micropython
    ${FEAGI_FIRMWARE}/core
    ${FEAGI_FIRMWARE}/port
)
target_link_libraries(usermod INTERFACE usermod_feagi_state)
