#include "feagi_images.h"

#include "feagi_image.h"

// The region of a StateManager, which another native module made: of the same version as this one, or its bytes would not be
// where its handle says.
static feagi_region_t *region_of(mp_obj_t state) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(state, &info, MP_BUFFER_READ);
    feagi_region_t *r = &((feagi_manager_t *)MP_OBJ_TO_PTR(state))->region;
    if (r->base != info.buf || r->len_bytes != info.len) {
        mp_raise_TypeError(MP_ERROR_TEXT("feagi_state and feagi_files are of different versions"));
    }
    return r;
}

static mp_obj_t image(mp_obj_t state) {
    const feagi_region_t *r = region_of(state);
    const uint32_t len = feagi_image_len(r);
    void *memory = m_malloc(len);
    feagi_image_save(r, memory);
    return mp_obj_new_bytearray_by_ref(len, memory);
}
MP_DEFINE_CONST_FUN_OBJ_1(feagi_images_image_obj, image);

// What is wrong with an image, or *saved is its region.
static int open_image(mp_obj_t source, feagi_region_t *saved) {
    mp_buffer_info_t info, writable;
    mp_get_buffer_raise(source, &info, MP_BUFFER_READ);
    const feagi_image_t *head = info.buf;
    // Memory that somebody writes images to may be longer than they are.
    if (info.len >= sizeof *head && (uintptr_t)head % 8 == 0 && head->len_bytes < info.len - sizeof *head &&
        mp_get_buffer(source, &writable, MP_BUFFER_WRITE)) {
        info.len = sizeof *head + head->len_bytes;
    }
    return feagi_image_open(saved, head, (uint32_t)info.len);
}

static mp_obj_t check(mp_obj_t source) {
    feagi_region_t saved;
    const int wrong = open_image(source, &saved);
    const feagi_header_t *header = wrong ? NULL : (const void *)saved.base;
    const mp_obj_t values[] = {MP_OBJ_NEW_SMALL_INT(wrong), MP_OBJ_NEW_SMALL_INT(header ? header->profile : 0)};
    return mp_obj_new_tuple(2, values);
}
MP_DEFINE_CONST_FUN_OBJ_1(feagi_images_check_obj, check);

static mp_obj_t put_back(mp_obj_t state, mp_obj_t source) {
    feagi_region_t saved;
    const int wrong = open_image(source, &saved);
    return MP_OBJ_NEW_SMALL_INT(wrong ? wrong : feagi_image_restore(region_of(state), &saved));
}
MP_DEFINE_CONST_FUN_OBJ_2(feagi_images_put_back_obj, put_back);
