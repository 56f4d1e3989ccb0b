/* What all cells need: the library under measurement, clocks, memory, processes and threads. */
#ifndef COMMON_H
#define COMMON_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../include/zmq.h"

/* The functions in use, of the library that was loaded: z.send is its zmq_send. */
#define FUNCTIONS(each)                                                                                                \
    each (ctx_new) each (ctx_term) each (socket) each (close) each (bind) each (connect) each (send) each (recv)       \
        each (setsockopt) each (getsockopt) each (msg_init) each (msg_init_data) each (msg_send) each (msg_recv)       \
            each (msg_size) each (msg_data) each (msg_close) each (poll) each (proxy) each (curve_keypair) \
            each (has)
struct functions {
#define MEMBER(name) __typeof__ (zmq_##name) *name;
    FUNCTIONS (MEMBER)
#undef MEMBER
};
extern struct functions z;

/* Everything but a wrong figure is better than going on. */
_Noreturn void die (const char *format, ...);
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) < 0)                                                                                                \
            die ("%s:%d: %s: %s", __FILE__, __LINE__, #call, strerror (errno));                                        \
    } while (0)

/* KEY=VALUE of the command line. */
long number (const char *key, long otherwise);
const char *word (const char *key, const char *otherwise);

/* Seconds, and seconds of processor time of this process and of children that have ended. */
double seconds (void);
double processor_seconds (void);
void pause_ms (long ms);

/* Bytes: resident now, and the most since the last call of forget_peak. */
long resident (void);
long peak (void);
void forget_peak (void);
/* How often the other threads of this process have slept or been sent to sleep so far. */
long switches_of_others (void);

/* One line of the result. */
void figure (const char *name, double value);
/* The figures NAME_p50_us, NAME_p99_us and NAME_max_us of times in seconds; sorts them. */
void spread_of (const char *name, double *times, size_t count);

/* A page that the processes of one cell share. */
enum { MARKS = 64 };
struct shared {
    char endpoint[4][256];
    char server_public[41], server_secret[41];
    double value[MARKS];
    _Atomic long mark[MARKS];
};
extern struct shared *shared;
/* Waits until a mark is at least that far. */
void await_mark (int which, long value);

/* A process that runs `body` and ends; to be started before this process has a context. */
pid_t start_process (void (*body) (void));
/* Waits for all of them. */
void join_processes (void);
pthread_t start_thread (void *(*body) (void *), void *argument);

/* Sockets with no time limit to linger and no marks, unless said otherwise afterwards. */
void *open_socket (void *context, int type);
void set (void *socket, int option, int value);
int get (void *socket, int option);
/* Binds to a fresh address of "tcp", "ipc" or "inproc" and leaves it in shared->endpoint[which]. */
void bind_fresh (void *socket, const char *transport, int which);
/* CURVE on both sides, when `curve=1` is given. */
void secure (void *socket, int server);
#endif
