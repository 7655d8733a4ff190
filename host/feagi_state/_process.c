// Which process writes a region, whether another one still runs, and how long to wait for it.
#include "_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A process's name as an owner: 1, 23 bits of when it started, 24 bits of its number, 16 bits for its own use. A number that is
// used again comes with another start.
#define PROCESS_BIT (1ull << 63)
#define STARTED(owner) ((uint32_t)((owner) >> 40) & 0x7fffffu)
#define NUMBER(owner) ((uint32_t)((owner) >> 16) & 0xffffffu)

uint64_t process_self;
static uint32_t machine_start; // differs from one start of the machine to the next

static uint32_t mix(uint32_t hash, const char *bytes, size_t len) {
    while (len--) {
        hash = (hash ^ (uint8_t)*bytes++) * 0x01000193u;
    }
    return hash;
}

// Reads a small file. Returns its length, or -1.
static ssize_t read_file(const char *path, char *out, size_t room) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    const ssize_t len = read(fd, out, room - 1);
    close(fd);
    if (len >= 0) {
        out[len] = 0;
    }
    return len;
}

// 23 bits of when a process started, 0 if the system does not say.
static uint32_t started(uint32_t pid) {
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", (unsigned)pid);
    if (read_file(path, text, sizeof text) <= 0) {
        return 0;
    }
    // The 22nd field; the second is a name in parentheses, which may have anything in it.
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (!at) {
        return 0;
    }
    const size_t len = strcspn(at + 1, " ");
    return (mix(machine_start, at + 1, len) & 0x7fffffu) | 1;
}

static void name_process(void) {
    const uint32_t pid = (uint32_t)getpid();
    __atomic_store_n(&process_self, PROCESS_BIT | (uint64_t)started(pid) << 40 | (uint64_t)(pid & 0xffffffu) << 16,
                     __ATOMIC_RELEASE);
}

bool process_is_gone(uint64_t owner) {
    if (!(owner & PROCESS_BIT)) {
        return false;
    }
    const uint64_t self = __atomic_load_n(&process_self, __ATOMIC_ACQUIRE);
    if (NUMBER(owner) == NUMBER(self)) {
        return STARTED(owner) != STARTED(self);
    }
    // No process has number 0, and where the system says when processes started, all owners say it.
    if (!NUMBER(owner) || (STARTED(self) && !STARTED(owner)) || (kill((pid_t)NUMBER(owner), 0) && errno == ESRCH)) {
        return true;
    }
    const uint32_t now = started(NUMBER(owner));
    return now && now != STARTED(owner);
}

#define SPINS 200u      // looks at the lock before the processor is given away: its holder is within a microsecond of its end
#define YIELDS 100u     // then so many times to whoever wants it
#define SLEEP_NS 200000 // then for so long each
#define SLEEPS 25000u   // and no longer than this together: 5 s; whoever holds it then is stopped

// An owner's low bits, which are 0 in process_self.
#define COUNT_MASK 0xffffull

bool process_is_waiting(Shared *self) {
    const uint64_t waiting = __atomic_load_n(&self->waiting, __ATOMIC_ACQUIRE);
    return waiting & COUNT_MASK && (waiting & ~COUNT_MASK) == __atomic_load_n(&process_self, __ATOMIC_ACQUIRE);
}

void process_pause(Shared *self) {
    // Counted, so that nobody closes the region meanwhile. A forked process, in which none of the others is, counts anew.
    const uint64_t process = __atomic_load_n(&process_self, __ATOMIC_ACQUIRE);
    uint64_t waiting = __atomic_load_n(&self->waiting, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&self->waiting, &waiting, ((waiting & ~COUNT_MASK) == process ? waiting : process) + 1,
                                        false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    }
    const struct timespec pause = {0, SLEEP_NS};
    Py_BEGIN_ALLOW_THREADS;
    nanosleep(&pause, NULL);
    Py_END_ALLOW_THREADS;
    __atomic_fetch_sub(&self->waiting, 1, __ATOMIC_ACQ_REL);
}

int process_wait(void *context, uint64_t owner, uint32_t tries) {
    if (tries < SPINS) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    } else if (tries < SPINS + YIELDS) {
        sched_yield();
    } else if (tries < SPINS + YIELDS + SLEEPS) {
        // Only processes hold a region's lock: any other number is damage.
        if (!(owner & PROCESS_BIT) || process_is_gone(owner)) {
            return FEAGI_SHARED_GONE;
        }
        process_pause(context);
    } else {
        return FEAGI_SHARED_GIVE_UP;
    }
    return FEAGI_SHARED_WAIT;
}

PyObject *module_process_id(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(__atomic_load_n(&process_self, __ATOMIC_ACQUIRE));
}

PyObject *module_is_gone(PyObject *module, PyObject *object) {
    (void)module;
    uint64_t owner;
    return arg_whole(object, UINT64_MAX, "owner", &owner) ? NULL : PyBool_FromLong(process_is_gone(owner));
}

int process_start(void) {
    if (process_self) {
        return 0;
    }
    char text[64];
    const ssize_t len = read_file("/proc/sys/kernel/random/boot_id", text, sizeof text);
    machine_start = mix(0x811c9dc5u, text, len > 0 ? (size_t)len : 0);
    name_process();
    return pthread_atfork(NULL, NULL, name_process);
}
