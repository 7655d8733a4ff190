// What feagi_files.py has in C: saved states in memory.
#ifndef FEAGI_IMAGES_H
#define FEAGI_IMAGES_H

#include "feagi_module.h"

// Its functions: (state) -> image, (buffer) -> (what is wrong, number of the profile), (state, buffer) -> what is wrong.
#define FEAGI_IMAGES(FUNCTION)                                                                                                   \
    FUNCTION(MP_QSTR__image, feagi_images_image_obj)                                                                             \
    FUNCTION(MP_QSTR__check, feagi_images_check_obj)                                                                             \
    FUNCTION(MP_QSTR__put_back, feagi_images_put_back_obj)

extern const mp_obj_fun_builtin_fixed_t feagi_images_image_obj, feagi_images_check_obj, feagi_images_put_back_obj;

#endif
