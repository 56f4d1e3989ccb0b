/* What stands beside sockets: encodings, counters, stopwatches, threads, error texts, what the library has. */
#include "record.h"

PROGRAM (z85_both_ways)
{
    static const char *const bad[] = {"", "a", "abcd", "abcdef", "#####", "%nSc1", "\"aaaa", "aaaa ", "00000", "0000a", "%nSc0"};
    unsigned char bytes[64], back[64];
    char text[100];
    size_t size, i;
    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char) (i * 37 + 200);
    for (size = 0; size <= 32; size++) {
        char *made;
        memset (text, 0, sizeof text);
        made = (errno = 0, zmq_z85_encode (text, bytes, size));
        say ("%zu bytes: %s", size, made ? text : error_name (zmq_errno ()));
        if (made && size) {
            memset (back, 0, sizeof back);
            SEE (zmq_z85_decode (back, text) == back);
            SEE (memcmp (back, bytes, size));
        }
    }
    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *result;
        memset (back, 0, sizeof back);
        errno = 0;
        result = zmq_z85_decode (back, bad[i]);
        say ("\"%s\": %s", bad[i], result ? shown (back, 8) : error_name (zmq_errno ()));
    }
}

PROGRAM (curve_keys)
{
    char public_key[41], secret_key[41], again[41];
    int i;
    for (i = 0; i < 5; i++) {
        TRY (zmq_curve_keypair (public_key, secret_key));
        SEE (strlen (public_key));
        SEE (strlen (secret_key));
        TRY (zmq_curve_public (again, secret_key));
        SEE (strcmp (again, public_key));
    }
    TRY (zmq_curve_public (again, "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"));
    say ("%s", again);
    TRY (zmq_curve_public (again, ""));
    TRY (zmq_curve_public (again, "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh\""));
}

PROGRAM (atomic_counters)
{
    void *counter = zmq_atomic_counter_new ();
    SEE (counter != NULL);
    SEE (zmq_atomic_counter_value (counter));
    SEE (zmq_atomic_counter_inc (counter));
    SEE (zmq_atomic_counter_inc (counter));
    SEE (zmq_atomic_counter_value (counter));
    SEE (zmq_atomic_counter_dec (counter));
    SEE (zmq_atomic_counter_dec (counter));
    SEE (zmq_atomic_counter_value (counter));
    zmq_atomic_counter_set (counter, 10);
    SEE (zmq_atomic_counter_value (counter));
    SEE (zmq_atomic_counter_dec (counter));
    zmq_atomic_counter_set (counter, -3);
    SEE (zmq_atomic_counter_value (counter));
    SEE (zmq_atomic_counter_inc (counter));
    zmq_atomic_counter_destroy (&counter);
    SEE (counter == NULL);
}

PROGRAM (stopwatches)
{
    void *watch = zmq_stopwatch_start ();
    unsigned long first, second, last;
    pause_ms (20);
    first = zmq_stopwatch_intermediate (watch);
    pause_ms (20);
    second = zmq_stopwatch_intermediate (watch);
    pause_ms (20);
    last = zmq_stopwatch_stop (watch);
    SEE (first >= 20000 && first < 3000000);
    SEE (second >= first + 20000);
    SEE (last >= second + 20000);
}

static void *ended_thread;
static int blocked_signals;
static char thread_name[32];

static void in_a_thread (void *argument)
{
    sigset_t mask;
    int i;
    char name[32] = "";
    pthread_sigmask (SIG_SETMASK, NULL, &mask);
    for (i = 1; i < 32; i++)
        blocked_signals += sigismember (&mask, i) == 1;
    pthread_getname_np (pthread_self (), name, sizeof name);
    strcpy (thread_name, name);
    ended_thread = argument;
}

PROGRAM (threads_of_ours)
{
    int number = 42;
    void *thread = zmq_threadstart (in_a_thread, &number);
    SEE (thread != NULL);
    zmq_threadclose (thread);
    SEE (ended_thread == &number);
    say ("%s", thread_name);
    SEE (blocked_signals);
}

PROGRAM (sleeping)
{
    int64_t start = now_ms ();
    zmq_sleep (0);
    say ("%s", took (now_ms () - start, 0));
    start = now_ms ();
    zmq_sleep (1);
    say ("%s", took (now_ms () - start, 1000));
}

PROGRAM (error_texts)
{
    static const int codes[] = {EFSM, ENOCOMPATPROTO, ETERM, EMTHREAD, EHOSTUNREACH, EAGAIN, EINVAL, ENOTSUP, ENOTSOCK,
                                EPROTONOSUPPORT, EADDRINUSE, 0, -1, 12345, EFSM - 1, EMTHREAD + 1, 156384712};
    size_t i;
    for (i = 0; i < sizeof codes / sizeof *codes; i++)
        say ("%d: %s", codes[i], zmq_strerror (codes[i]));
    errno = EMTHREAD;
    SEE (zmq_errno () == EMTHREAD);
    SEE (EFSM), SEE (ENOCOMPATPROTO), SEE (ETERM), SEE (EMTHREAD);
}

PROGRAM (version_numbers)
{
    int major, minor, patch;
    zmq_version (&major, &minor, &patch);
    say ("%d.%d", major, minor);
    SEE (patch >= ZMQ_VERSION_PATCH);
}

PROGRAM (what_the_library_has)
{
    static const char *const names[] = {"ipc", "curve", "tcp", "inproc", "IPC", "", "plain", "null", "vmci", "nonsense", "ws"};
    size_t i;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        say ("%s: %d", names[i], zmq_has (names[i]));
}

PROGRAM (timers_misused)
{
    void *none = NULL;
    TRY (zmq_timers_destroy (&none));
    TRY (zmq_timers_add (NULL, 10, NULL, NULL));
    TRY (zmq_timers_cancel (NULL, 1));
    TRY (zmq_timers_set_interval (NULL, 1, 1));
    TRY (zmq_timers_reset (NULL, 1));
    TRY (zmq_timers_timeout (NULL));
    TRY (zmq_timers_execute (NULL));
}

static int rung[4];

static void ring (int id, void *argument)
{
    (void) id;
    rung[*(int *) argument]++;
}

static void *some_timers;
static int to_cancel;

static void ring_and_cancel (int id, void *argument)
{
    ring (id, argument);
    TRIED (zmq_timers_cancel (some_timers, to_cancel), "cancelled by a handler");
}

PROGRAM (timers_ring)
{
    int numbers[] = {0, 1, 2, 3}, first, second, third;
    void *timers = some_timers = zmq_timers_new ();
    SEE (timers != NULL);
    TRY (zmq_timers_timeout (timers));
    TRY (zmq_timers_execute (timers));
    TRY (zmq_timers_add (timers, 10, NULL, NULL));
    first = (int) TRY (zmq_timers_add (timers, 40, ring, &numbers[0]));
    SEE (zmq_timers_timeout (timers) > 0 && zmq_timers_timeout (timers) <= 40);
    TRY (zmq_timers_execute (timers));
    SEE (rung[0]);
    pause_ms (60);
    TRY (zmq_timers_timeout (timers));
    TRY (zmq_timers_execute (timers));
    SEE (rung[0]);
    pause_ms (130);
    TRY (zmq_timers_execute (timers));
    SEE (rung[0]);
    second = (int) TRY (zmq_timers_add (timers, 100000, ring, &numbers[1]));
    third = (int) TRY (zmq_timers_add (timers, 100000, ring, &numbers[2]));
    TRY (zmq_timers_set_interval (timers, second, 20));
    TRY (zmq_timers_set_interval (timers, 77, 20));
    TRY (zmq_timers_reset (timers, 77));
    TRY (zmq_timers_cancel (timers, 77));
    TRY (zmq_timers_cancel (timers, first));
    TRY (zmq_timers_cancel (timers, first));
    pause_ms (40);
    TRY (zmq_timers_execute (timers));
    SEE (rung[0]), SEE (rung[1]), SEE (rung[2]);
    to_cancel = third;
    TRY (zmq_timers_set_interval (timers, third, 30));
    TRY (zmq_timers_reset (timers, third));
    TRY (zmq_timers_add (timers, 20, ring_and_cancel, &numbers[3]));
    pause_ms (25);
    TRY (zmq_timers_execute (timers));
    pause_ms (40);
    to_cancel = second;
    TRY (zmq_timers_execute (timers));
    SEE (rung[2]), SEE (rung[3]);
    TRY (zmq_timers_destroy (&timers));
    SEE (timers == NULL);
    TRY (zmq_timers_destroy (&timers));
}
