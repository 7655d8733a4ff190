// Included in front of everything else (gcc -include), so that each atomic access of the core tells the test before it is made.
// No line of the core is changed for it.
#ifndef SHARED_STEPS_H
#define SHARED_STEPS_H

// Called before an access; `writes`: whether it may write. It may leave by longjmp: then the access is not made.
void steps_access(const volatile void *at, int writes);

#define __atomic_load_n(at, order) (steps_access(at, 0), __atomic_load_n(at, order))
#define __atomic_store_n(at, value, order) (steps_access(at, 1), __atomic_store_n(at, value, order))
#define __atomic_fetch_add(at, value, order) (steps_access(at, 1), __atomic_fetch_add(at, value, order))
#define __atomic_fetch_or(at, value, order) (steps_access(at, 1), __atomic_fetch_or(at, value, order))
#define __atomic_exchange_n(at, value, order) (steps_access(at, 1), __atomic_exchange_n(at, value, order))
#define __atomic_compare_exchange_n(at, expected, desired, weak, yes, no)                                                        \
    (steps_access(at, 1), __atomic_compare_exchange_n(at, expected, desired, weak, yes, no))

#endif
