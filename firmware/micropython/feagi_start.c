// What the module makes at its import: types, and an object for each method.
#include "feagi_module.h"

static void make_type(mp_obj_full_type_t *type, unsigned name, mp_obj_t dict) {
    type->base.type = &mp_type_type;
    type->name = (qstr_short_t)feagi_name(name);
    mp_obj_dict_store(dict, MP_OBJ_NEW_QSTR(type->name), MP_OBJ_FROM_PTR(type));
}

mp_obj_t feagi_start(size_t count, const mp_obj_t *helpers) {
    feagi_module_t *m = feagi_module();
    for (size_t i = 0; i < count; i++) {
        m->helpers[i] = helpers[i];
    }
    make_type(&m->manager_type, FEAGI_NAME_STATE_MANAGER, helpers[FEAGI_HELPER_GLOBALS]);
    MP_OBJ_TYPE_SET_SLOT(&m->manager_type, make_new, feagi_manager_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&m->manager_type, attr, feagi_manager_attr, 1);
    MP_OBJ_TYPE_SET_SLOT(&m->manager_type, buffer, feagi_manager_buffer, 2);
    MP_OBJ_TYPE_SET_SLOT(&m->manager_type, locals_dict, MP_OBJ_TO_PTR(helpers[FEAGI_HELPER_MANAGER]), 3);
    make_type(&m->link_type, FEAGI_NAME_LINK, helpers[FEAGI_HELPER_GLOBALS]);
    MP_OBJ_TYPE_SET_SLOT(&m->link_type, make_new, feagi_server_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&m->link_type, attr, feagi_server_attr, 1);
    MP_OBJ_TYPE_SET_SLOT(&m->link_type, locals_dict, MP_OBJ_TO_PTR(helpers[FEAGI_HELPER_LINK]), 2);
    m->method_type.base.type = &mp_type_type;
    m->method_type.flags = MP_TYPE_FLAG_BINDS_SELF | MP_TYPE_FLAG_BUILTIN_FUN;
    m->method_type.name = (qstr_short_t)feagi_name(FEAGI_NAME_METHOD);
    MP_OBJ_TYPE_SET_SLOT(&m->method_type, call, feagi_methods_call, 0);
    for (unsigned i = 0; i < FEAGI_METHOD_COUNT; i++) {
        m->methods[i].type = (const mp_obj_type_t *)&m->method_type;
        const unsigned where = i < FEAGI_METHOD_POLL       ? FEAGI_HELPER_MANAGER
                               : i < FEAGI_METHOD_INSTANCE ? FEAGI_HELPER_LINK
                                                           : FEAGI_HELPER_GLOBALS;
        mp_obj_dict_store(helpers[where], MP_OBJ_NEW_QSTR(feagi_name(FEAGI_NAME_METHODS + i)), MP_OBJ_FROM_PTR(&m->methods[i]));
    }
    return mp_const_none;
}
