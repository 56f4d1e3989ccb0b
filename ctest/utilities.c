/* Timers, Z85, counters, watches, threads, error texts, versions. */
#include "check.h"

#include <pthread.h>

TEST (versions)
{
    int major, minor, patch;
    zmq_version (&major, &minor, &patch);
    EQUAL (major, ZMQ_VERSION_MAJOR);
    EQUAL (minor, ZMQ_VERSION_MINOR);
    EQUAL (ZMQ_MAKE_VERSION (4, 3, 6), 40306);
    EQUAL (ZMQ_VERSION, ZMQ_MAKE_VERSION (ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR, ZMQ_VERSION_PATCH));
}

TEST (error_texts)
{
    CHECK (!strcmp (zmq_strerror (EFSM), "Operation cannot be accomplished in current state"));
    CHECK (!strcmp (zmq_strerror (ENOCOMPATPROTO), "The protocol is not compatible with the socket type"));
    CHECK (!strcmp (zmq_strerror (ETERM), "Context was terminated"));
    CHECK (!strcmp (zmq_strerror (EMTHREAD), "No thread available"));
    CHECK (!strcmp (zmq_strerror (EHOSTUNREACH), "Host unreachable"));
    CHECK (!strcmp (zmq_strerror (EINVAL), strerror (EINVAL)));
    CHECK (!strcmp (zmq_strerror (0), strerror (0)));
    CHECK (!strcmp (zmq_strerror (99999), strerror (99999)));
    errno = 77;
    EQUAL (zmq_errno (), 77);
}

TEST (capabilities)
{
    EQUAL (zmq_has ("ipc"), 1);
    CHECK (zmq_has ("draft") == 0 || zmq_has ("draft") == 1);
    CHECK (zmq_has ("gssapi") == 0 || zmq_has ("gssapi") == 1);
    EQUAL (zmq_has ("tcp"), 0);
    EQUAL (zmq_has ("inproc"), 0);
    EQUAL (zmq_has ("plain"), 0);
    EQUAL (zmq_has ("IPC"), 0);
    EQUAL (zmq_has ("ws"), 0);
    EQUAL (zmq_has (""), 0);
    EQUAL (zmq_has ("nonsense"), 0);
}

TEST (z85)
{
    static const uint8_t bytes[8] = {0x86, 0x4F, 0xD2, 0x6F, 0xB5, 0x59, 0xF7, 0x5B};
    uint8_t back[8];
    char text[16];
    size_t i;
    static const char *bad[] = {"", "H", "Hell", "HelloW", "HelloWorl", "Hell~World", "Hello\"orld", "#####", "Hello%%%%%"};
    CHECK (zmq_z85_encode (text, bytes, 8) == text);
    CHECK (!strcmp (text, "HelloWorld"));
    CHECK (zmq_z85_decode (back, "HelloWorld") == back);
    CHECK (!memcmp (back, bytes, 8));
    CHECK (zmq_z85_encode (text, bytes, 0) == text);
    EQUAL (strlen (text), 0);
    for (i = 1; i < 8; i++)
        if (i % 4)
            NONE (zmq_z85_encode (text, bytes, i), EINVAL);
    for (i = 0; i + 1 < sizeof bad / sizeof *bad; i++)
        NONE (zmq_z85_decode (back, bad[i]), EINVAL);
}

TEST (z85_round_trips)
{
    uint8_t bytes[64], back[64];
    char text[81];
    int round;
    size_t i;
    for (round = 0; round < 100; round++) {
        for (i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t) rand ();
        CHECK (zmq_z85_encode (text, bytes, sizeof bytes) == text);
        EQUAL (strlen (text), 80);
        CHECK (zmq_z85_decode (back, text) == back);
        CHECK (!memcmp (back, bytes, sizeof bytes));
    }
}

static int calls[8];

static void note (int id, void *argument)
{
    calls[(intptr_t) argument]++;
    (void) id;
}

static void *cancel_from;

static void cancel_itself (int id, void *argument)
{
    note (id, argument);
    GOOD (zmq_timers_cancel (cancel_from, id));
}

/* Lets the timers run until a count is reached. */
static void run_timers (void *timers, int index, int count)
{
    int64_t limit = now_ms () + PATIENCE_MS;
    while (calls[index] < count && now_ms () < limit) {
        long wait = zmq_timers_timeout (timers);
        if (wait > 0)
            zmq_poll (NULL, 0, wait);
        GOOD (zmq_timers_execute (timers));
    }
    CHECK (calls[index] >= count);
}

TEST (timers)
{
    void *timers = zmq_timers_new ();
    int first, second;
    long wait;
    memset (calls, 0, sizeof calls);
    errno = 0;
    EQUAL (zmq_timers_timeout (timers), -1);
    EQUAL (zmq_timers_execute (timers), 0);
    first = (int) GOOD (zmq_timers_add (timers, 30, note, (void *) 1));
    second = (int) GOOD (zmq_timers_add (timers, 100000, note, (void *) 2));
    EQUAL (first, 1);
    EQUAL (second, 2);
    wait = zmq_timers_timeout (timers);
    CHECK (wait > 0 && wait <= 30);
    EQUAL (zmq_timers_execute (timers), 0);
    EQUAL (calls[1], 0);
    run_timers (timers, 1, 3);
    EQUAL (calls[2], 0);
    GOOD (zmq_timers_set_interval (timers, second, 10));
    run_timers (timers, 2, 1);
    GOOD (zmq_timers_reset (timers, first));
    CHECK (zmq_timers_timeout (timers) <= 30);
    GOOD (zmq_timers_cancel (timers, second));
    FAILS (zmq_timers_cancel (timers, second), EINVAL);
    FAILS (zmq_timers_cancel (timers, 99), EINVAL);
    FAILS (zmq_timers_set_interval (timers, 99, 1), EINVAL);
    FAILS (zmq_timers_reset (timers, 99), EINVAL);
    GOOD (zmq_timers_cancel (timers, first));
    EQUAL (zmq_timers_add (timers, 10, note, NULL), 3); /* never used again */
    GOOD (zmq_timers_destroy (&timers));
}

TEST (timers_that_cancel_themselves)
{
    void *timers = zmq_timers_new ();
    memset (calls, 0, sizeof calls);
    cancel_from = timers;
    GOOD (zmq_timers_add (timers, 1, cancel_itself, (void *) 1));
    GOOD (zmq_timers_add (timers, 1, note, (void *) 2));
    run_timers (timers, 2, 5);
    EQUAL (calls[1], 1);
    GOOD (zmq_timers_destroy (&timers));
}

TEST (counters)
{
    void *counter = zmq_atomic_counter_new ();
    EQUAL (zmq_atomic_counter_value (counter), 0);
    EQUAL (zmq_atomic_counter_inc (counter), 0);
    EQUAL (zmq_atomic_counter_inc (counter), 1);
    EQUAL (zmq_atomic_counter_value (counter), 2);
    EQUAL (zmq_atomic_counter_dec (counter), 1);
    EQUAL (zmq_atomic_counter_dec (counter), 0);
    zmq_atomic_counter_set (counter, 42);
    EQUAL (zmq_atomic_counter_value (counter), 42);
    zmq_atomic_counter_destroy (&counter);
    CHECK (counter == NULL);
}

static void count_up (void *counter)
{
    int i;
    for (i = 0; i < 10000; i++)
        zmq_atomic_counter_inc (counter);
}

static char thread_name[32];

static void name_yourself (void *argument)
{
    pthread_getname_np (pthread_self (), thread_name, sizeof thread_name);
    (void) argument;
}

TEST (threads)
{
    void *counter = zmq_atomic_counter_new (), *threads[4];
    int i;
    for (i = 0; i < 4; i++)
        CHECK ((threads[i] = zmq_threadstart (count_up, counter)) != NULL);
    for (i = 0; i < 4; i++)
        zmq_threadclose (threads[i]);
    EQUAL (zmq_atomic_counter_value (counter), 40000);
    zmq_atomic_counter_destroy (&counter);
    zmq_threadclose (zmq_threadstart (name_yourself, NULL));
    CHECK (!strcmp (thread_name, "ZMQapp"));
}

TEST (watches)
{
    void *watch = zmq_stopwatch_start ();
    unsigned long first, last;
    zmq_poll (NULL, 0, 20);
    first = zmq_stopwatch_intermediate (watch);
    last = zmq_stopwatch_stop (watch);
    CHECK (first >= 19000 && first < 10000000);
    CHECK (last >= first);
}

TEST (curve_keys)
{
    char public_key[41] = "", secret_key[41] = "", derived[41] = "";
    if (zmq_has ("curve")) {
        GOOD (zmq_curve_keypair (public_key, secret_key));
        EQUAL (strlen (public_key), 40);
        EQUAL (strlen (secret_key), 40);
        GOOD (zmq_curve_public (derived, secret_key));
        CHECK (!strcmp (derived, public_key));
        FAILS (zmq_curve_public (derived, "too short"), EINVAL);
    } else {
        FAILS (zmq_curve_keypair (public_key, secret_key), ENOTSUP);
        FAILS (zmq_curve_public (derived, secret_key), ENOTSUP);
    }
}

int main (void)
{
    RUN (versions);
    RUN (error_texts);
    RUN (capabilities);
    RUN (z85);
    RUN (z85_round_trips);
    RUN (timers);
    RUN (timers_that_cancel_themselves);
    RUN (counters);
    RUN (threads);
    RUN (watches);
    RUN (curve_keys);
    return finished ();
}
