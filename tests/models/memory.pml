/* What C11 promises about the stores of a thread, for the models that include this file.
 *
 * A thread's stores wait in a list and reach `memory`, which the other threads load from, one by one:
 *   - a release store after every older store (and load) of its thread;
 *   - a relaxed or plain store whenever it likes: before older ones, release stores among them, but not before an older store
 *     to the same place (coherence). That a release store does not hold back what comes after it is C11's rule.
 *   - An acquire load takes its value from memory at once, while older stores may still wait, and nothing younger begins before
 *     it. A thread sees its own stores at once.
 * Loads that are not acquire are in the models, where there are any: they may be late, or early.
 *
 * Abstracted:
 *   - Memory is one: a store that one thread can see, every other can. C11 allows more for relaxed stores that a third thread
 *     passes on, which no thread here does. A thread's successor sees all of its stores, since the two synchronize by other
 *     means (a lock on a file, a join); a third thread may still wait for them, so they stay in the list at the change.
 *   - A load never takes a value back: the stores of one place come from one thread at a time, so that a load of an old value
 *     is a load that came earlier, and with release stores and acquire loads no order is lost by that.
 *   - The list is finite. A thread whose list is full goes on when a store has reached memory; see DEPTH of each model.
 *
 * The includer defines LOCATIONS, THREADS, DEPTH, RELAXED as 0, RELEASE as 1, a byte k for counting within a step,
 * writes(t, place) (the thread stores there), may_release(t) (no older load of the thread is late) and the inline
 * performed(t, at, now, order, note), which is called in the same step when a store reaches memory.
 *
 * Quotes: a comment of the form "FILE FUNCTION: statement" names the C that the next step stands for. The quotes of a function
 * are its body, in order and in full; test_models.py compares them.
 */

/* feagi_port_atomic64.h feagi_port_load_u32: return __atomic_load_n(p, __ATOMIC_ACQUIRE); */
/* feagi_port_atomic64.h feagi_port_load_u64: return __atomic_load_n(p, __ATOMIC_ACQUIRE); */
/* feagi_port_atomic64.h feagi_port_store_u32: __atomic_store_n(p, value, __ATOMIC_RELEASE); */
/* feagi_port_atomic64.h feagi_port_store_u64: __atomic_store_n(p, value, __ATOMIC_RELEASE); */

typedef thread_t {
    byte sees[LOCATIONS]; /* memory, with the thread's waiting stores */
    byte waiting;         /* stores in the list, oldest first */
    byte settled;         /* of these, stores of calls that have returned: a crash does not undo them */
    byte at[DEPTH];
    byte now[DEPTH];
    bit order[DEPTH];
    byte note[DEPTH]; /* for the properties only */
}

byte memory[LOCATIONS];
thread_t thread[THREADS];

inline store(t, place, what, how, about) {
    d_step {
        thread[t].waiting < DEPTH;
        thread[t].sees[place] = what;
        thread[t].at[thread[t].waiting] = place;
        thread[t].now[thread[t].waiting] = thread[t].sees[place];
        thread[t].order[thread[t].waiting] = how;
        thread[t].note[thread[t].waiting] = about;
        thread[t].waiting++;
    }
}

/* The call returns. */
inline settle(t) {
    thread[t].settled = thread[t].waiting;
}

inline forget(t, from) {
    k = from;
    do
    :: k < DEPTH ->
        thread[t].at[k] = 0;
        thread[t].now[k] = 0;
        thread[t].order[k] = 0;
        thread[t].note[k] = 0;
        k++;
    :: else -> break;
    od;
}

/* The thread dies: of the call that it was in, the oldest stores are made and the others are not. */
inline crash(t, least) {
    k = least;
    do
    :: k < thread[t].waiting -> k++;
    :: break;
    od;
    skip; /* Spin does not let a loop end at a d_step */
    d_step {
        thread[t].waiting = k;
        thread[t].settled = k;
        forget(t, k);
        k = 0;
        do
        :: k < LOCATIONS -> thread[t].sees[k] = (writes(t, k) -> memory[k] : 0); k++;
        :: else -> break;
        od;
        k = 0;
        do
        :: k < thread[t].waiting -> thread[t].sees[thread[t].at[k]] = thread[t].now[k]; k++;
        :: else -> break;
        od;
        k = 0;
    }
}

/* Lets a thread's stores reach memory. */
proctype store_buffer(byte t) {
    byte i, at, now, note;
    bit order;
    bool may;

end:
    do
    :: atomic {
        thread[t].waiting > 0 ->
        do
        :: i + 1 < thread[t].waiting -> i++;
        :: break;
        od;
        skip;
        d_step {
            at = thread[t].at[i];
            now = thread[t].now[i];
            order = thread[t].order[i];
            note = thread[t].note[i];
            may = (order == RELAXED || (i == 0 && may_release(t)));
            k = 0;
            do
            :: k < i -> may = may && thread[t].at[k] != at; k++;
            :: else -> break;
            od;
            if
            :: may ->
                memory[at] = now;
                performed(t, at, now, order, note);
                if
                :: i < thread[t].settled -> thread[t].settled--;
                :: else -> skip;
                fi;
                thread[t].waiting--;
                k = i;
                do
                :: k < thread[t].waiting ->
                    thread[t].at[k] = thread[t].at[k + 1];
                    thread[t].now[k] = thread[t].now[k + 1];
                    thread[t].order[k] = thread[t].order[k + 1];
                    thread[t].note[k] = thread[t].note[k + 1];
                    k++;
                :: else -> break;
                od;
                forget(t, thread[t].waiting);
            :: else -> skip;
            fi;
            i = 0; k = 0; at = 0; now = 0; order = 0; note = 0; may = false;
        }
       }
    od;
}
