/* The deltas of a link (LINK.md, Deltas): a device sends its dirty words with a window of flights that keep no payload, a line
 * loses frames either way, a host applies what follows. Device as in feagi_link_delta.c and feagi_link_receive.c, host as in
 * session.py, line by line where an order matters.
 *
 * A page has two words. A word holds the number of the version of its page that changed it last: a page that is no version as
 * the device had it is seen. Numbers wrap at NUMBERS, as 256, and a later one is less than HALF ahead, as 128; GUARD is
 * link_sequence_guard. `truth` is a frame's number without wrapping, for the properties alone.
 *
 * Properties (each an assertion):
 *   - a page that the mirror shows is one that the device had, and none older than the mirror showed before;
 *   - a wrapped number tells earlier from later: with the guard, whatever is lost;
 *   - when the device has nothing dirty and nothing in flight, the mirror shows what the device has;
 * and no state is an end but that one (Spin's check of end states): something can always happen until they are equal.
 * A retransmission may come too early EARLY times; when nothing is on its way any more it always comes.
 */
#ifndef WRITES
#define WRITES 2
#endif
#ifndef LOSSES
#define LOSSES 2
#endif
#ifndef EARLY
#define EARLY 1
#endif
#ifndef RESTARTS
#define RESTARTS 0 /* sessions that end for another reason than the guard */
#endif
#ifndef GUARD
#define GUARD 4
#endif
#define NUMBERS 16
#define HALF 8
#define WINDOW 2
#define LINE 2 /* frames that are on their way at once */
#define PAGES 2
#define WORDS 4 /* of all pages */
#define page_of(word) ((word) / 2)
#define AHEAD(a, b) (((a) + NUMBERS - (b)) % NUMBERS)
#define EACH_WORD(w) w : 0 .. (WORDS - 1)

typedef Frame {
    bool repair;
    byte session;
    byte seq, base;
    byte words; /* bit w: word w is in it */
    byte value[WORDS];
    byte truth;
}
typedef Flight {
    byte seq;
    byte pages;
}
typedef Pair {
    byte word[2];
}
typedef History {
    Pair version[WRITES + 1];
}

chan to_host = [LINE] of { Frame };
chan to_device = [LINE] of { bool, byte, byte }; /* nak, session, seq */

byte writes, losses, early, restarts;
byte session = 1;

/* The device. */
byte region[WORDS];
byte version[PAGES];
History history[PAGES];
byte dirty = 5;
byte seq, acked, truth;
byte flights;
Flight flight[WINDOW];
bool repair, cautious;

/* The host. */
byte copy[WORDS], shown[WORDS];
byte arrived; /* bit p: page p came since the session began */
byte last, last_truth;
byte seen[PAGES]; /* version that the mirror shows */

#define ALL ((1 << WORDS) - 1)
#define page_words(page) (3 << 2 * (page))

#ifdef MUTATE_FIRST_FLIGHT_ONLY
#define FLIES(page) (flights > 0 && (flight[0].pages >> page) & 1)
#else
#define FLIES(page) (((flights > 0 -> flight[0].pages : 0) | (flights > 1 -> flight[1].pages : 0)) >> page & 1)
#endif

inline start_session() {
    session++;
    seq = 0; acked = 0; truth = 0; last = 0; last_truth = 0;
    flights = 0; repair = false; cautious = false;
    arrived = 0; dirty = 5; /* of every page the first word, and those that are not zero */
    for (EACH_WORD(w)) {
        if
        :: region[w] != 0 -> dirty = dirty | 1 << w;
        :: else -> skip;
        fi;
        copy[w] = 0;
    }
    w = 0;
}

inline rewind() {
    for (k : 0 .. (PAGES - 1)) {
        if
        :: FLIES(k) -> dirty = dirty | page_words(k);
        :: else -> skip;
        fi;
    }
    k = 0;
    flights = 0;
    repair = true;
    cautious = true;
    if
#ifndef MUTATE_NO_GUARD
    :: AHEAD(seq, acked) > GUARD -> start_session();
#endif
    :: else -> skip;
    fi;
}

inline acknowledge(number) {
    do
    :: flights > 0 && AHEAD(number, flight[0].seq) < HALF ->
        flight[0].seq = flight[1].seq; flight[0].pages = flight[1].pages;
        flight[1].seq = 0; flight[1].pages = 0;
        flights--;
    :: else -> break;
    od;
    acked = number;
}

/* A page with dirty words goes whole, or not: marks and words are taken at one instant. */
inline take_page(page) {
    out.words = out.words | dirty & page_words(page);
    for (EACH_WORD(w)) {
        if
        :: page_of(w) == page && dirty >> w & 1 -> out.value[w] = region[w];
        :: else -> skip;
        fi;
    }
    w = 0;
#ifdef MUTATE_SPLIT_PAGE
    if
    :: (out.words & page_words(page)) == page_words(page) -> out.words = out.words & ~(2 << 2 * page); dirty = dirty & ~(1 << 2 * page);
    :: else -> dirty = dirty & ~page_words(page);
    fi;
#else
    dirty = dirty & ~page_words(page);
#endif
    flight[flights].pages = flight[flights].pages | 1 << page;
}

active proctype device() {
    Frame out;
    byte w, k, number, from;
    bool nak;
    do
    :: atomic { writes < WRITES ->
        writes++;
        select(w : 0 .. (WORDS - 1));
        version[page_of(w)]++;
        region[w] = version[page_of(w)];
        history[page_of(w)].version[version[page_of(w)]].word[0] = region[2 * page_of(w)];
        history[page_of(w)].version[version[page_of(w)]].word[1] = region[2 * page_of(w) + 1];
        dirty = dirty | 1 << w;
        w = 0; }
    :: atomic { dirty && flights < (cautious -> 1 : WINDOW) && nfull(to_host) ->
        seq = (seq + 1) % NUMBERS; truth++;
        out.session = session; out.seq = seq; out.truth = truth; out.repair = repair; out.base = acked;
        flight[flights].seq = seq;
        if
        :: dirty & page_words(0) -> take_page(0);
            if
            :: !cautious && dirty & page_words(1) -> take_page(1);
            :: !cautious -> skip; /* it did not fit */
            :: cautious -> skip;
            fi;
        :: dirty & page_words(1) -> take_page(1);
        fi;
        flights++; repair = false; cautious = false;
        if
        :: to_host ! out;
        :: losses < LOSSES -> losses++;
        fi;
        out.words = 0; out.base = 0; out.repair = false; out.session = 0; out.seq = 0; out.truth = 0;
        for (EACH_WORD(w)) { out.value[w] = 0; }
        w = 0; }
    :: atomic { to_device ? nak, from, number ->
        if
        :: from == session && AHEAD(number, acked) <= AHEAD(seq, acked) ->
            acknowledge(number);
            if
            :: nak -> rewind();
            :: else -> skip;
            fi;
        :: else -> skip;
        fi;
        nak = false; from = 0; number = 0; }
    :: atomic { flights > 0 && (early < EARLY || len(to_host) + len(to_device) == 0) ->
        if
        :: len(to_host) + len(to_device) > 0 -> early++;
        :: else -> skip;
        fi;
        rewind(); }
    :: atomic { restarts < RESTARTS -> restarts++; start_session(); }
    :: atomic { writes == WRITES && !dirty && !flights ->
        for (EACH_WORD(w)) { assert(shown[w] == region[w]); }
        break; }
    od;
}

inline answer(is_nak) {
    if
    :: to_device ! is_nak, session, last;
    :: losses < LOSSES -> losses++;
    fi;
}

inline publish() {
    for (k : 0 .. (PAGES - 1)) {
        newest = (copy[2 * k] > copy[2 * k + 1] -> copy[2 * k] : copy[2 * k + 1]);
        assert(history[k].version[newest].word[0] == copy[2 * k] && history[k].version[newest].word[1] == copy[2 * k + 1]);
        assert(newest >= seen[k]);
        seen[k] = newest;
        shown[2 * k] = copy[2 * k]; shown[2 * k + 1] = copy[2 * k + 1];
    }
    k = 0; newest = 0;
}

active proctype host() {
    Frame got;
    byte w, k, ahead, newest;
end:
    do
    :: atomic { len(to_device) < LINE && len(to_host) > 0 -> to_host ? got;
        ahead = AHEAD(got.seq, last);
        if
        :: got.session != session -> skip; /* fails its CRC */
        :: else ->
            assert((got.truth > last_truth) == (ahead > 0 && ahead < HALF));
            if
            :: ahead == 0 || ahead >= HALF -> answer(false);
#ifdef MUTATE_APPLY_GAP
            :: ahead > 0 && ahead < HALF ->
#elif defined(HARMLESS_NO_BASE) /* a line that keeps the order of frames brings no repair whose base is not here */
            :: ahead > 0 && ahead < HALF && (got.repair || ahead == 1) ->
#else
            :: ahead > 0 && ahead < HALF && (got.repair -> AHEAD(last, got.base) < HALF : ahead == 1) ->
#endif
                for (EACH_WORD(w)) {
                    if
                    :: got.words >> w & 1 -> copy[w] = got.value[w]; arrived = arrived | 1 << page_of(w);
                    :: else -> skip;
                    fi;
                }
                w = 0;
                last = got.seq; last_truth = got.truth;
                if
#ifdef MUTATE_SHOW_HALF
                :: true -> publish();
#else
                :: arrived == 3 -> publish();
                :: else -> skip;
#endif
                fi;
                answer(false);
#ifndef MUTATE_APPLY_GAP
            :: else -> answer(true);
#endif
            fi;
        fi;
        ahead = 0;
        got.session = 0; got.seq = 0; got.base = 0; got.words = 0; got.truth = 0; got.repair = false;
        for (EACH_WORD(w)) { got.value[w] = 0; }
        w = 0; }
    od;
}

