#include "common.h"

struct functions z;
struct shared *shared;

void die (const char *format, ...)
{
    va_list list;
    va_start (list, format);
    vfprintf (stderr, format, list);
    va_end (list);
    fputc ('\n', stderr);
    _exit (1);
}

static int words;
static char **given;

const char *word (const char *key, const char *otherwise)
{
    size_t length = strlen (key);
    for (int i = 0; i < words; i++)
        if (strncmp (given[i], key, length) == 0 && given[i][length] == '=')
            return given[i] + length + 1;
    return otherwise;
}

long number (const char *key, long otherwise)
{
    const char *text = word (key, NULL);
    return text ? strtol (text, NULL, 10) : otherwise;
}

double seconds (void)
{
    struct timespec t;
    clock_gettime (CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

double processor_seconds (void)
{
    const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        struct rusage used;
        TRY (getrusage (whose[i], &used));
        sum += (double) (used.ru_utime.tv_sec + used.ru_stime.tv_sec)
               + (double) (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
    }
    return sum;
}

void pause_ms (long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep (&t, &t) < 0 && errno == EINTR)
        ;
}

/* A line "NAME: NUMBER" of a file of /proc. */
static long entry (const char *path, const char *name)
{
    char line[256];
    size_t length = strlen (name);
    long value = -1;
    FILE *file = fopen (path, "r");
    if (!file)
        return -1;
    while (fgets (line, sizeof line, file))
        if (strncmp (line, name, length) == 0 && line[length] == ':')
            value = strtol (line + length + 1, NULL, 10);
    fclose (file);
    return value;
}

long resident (void)
{
    return entry ("/proc/self/status", "VmRSS") * 1024;
}

long peak (void)
{
    return entry ("/proc/self/status", "VmHWM") * 1024;
}

void forget_peak (void)
{
    FILE *file = fopen ("/proc/self/clear_refs", "w");
    if (!file || fputs ("5", file) < 0 || fclose (file) != 0)
        die ("/proc/self/clear_refs: %s", strerror (errno));
}

long switches_of_others (void)
{
    long sum = 0;
    DIR *tasks = opendir ("/proc/self/task");
    struct dirent *task;
    if (!tasks)
        die ("/proc/self/task: %s", strerror (errno));
    while ((task = readdir (tasks))) {
        char path[320];
        if (task->d_name[0] == '.' || strtol (task->d_name, NULL, 10) == (long) gettid ())
            continue;
        snprintf (path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        sum += entry (path, "voluntary_ctxt_switches");
    }
    closedir (tasks);
    return sum;
}

void figure (const char *name, double value)
{
    printf ("%s %.6g\n", name, value);
}

static int by_size (const void *a, const void *b)
{
    double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

void spread_of (const char *name, double *times, size_t count)
{
    char text[128];
    qsort (times, count, sizeof *times, by_size);
    snprintf (text, sizeof text, "%sp50_us", name);
    figure (text, times[count / 2] * 1e6);
    snprintf (text, sizeof text, "%sp99_us", name);
    figure (text, times[count * 99 / 100] * 1e6);
    snprintf (text, sizeof text, "%smax_us", name);
    figure (text, times[count - 1] * 1e6);
}

void await_mark (int which, long value)
{
    double began = seconds ();
    while (atomic_load (&shared->mark[which]) < value) {
        pause_ms (1);
        if (seconds () - began > 120)
            die ("mark %d is %ld and not %ld", which, atomic_load (&shared->mark[which]), value);
    }
}

static int processes;

pid_t start_process (void (*body) (void))
{
    pid_t id = fork ();
    TRY (id);
    if (id == 0) {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        body ();
        _exit (0);
    }
    processes++;
    return id;
}

void join_processes (void)
{
    for (; processes > 0; processes--) {
        int status;
        pid_t id = wait (&status);
        if (id < 0 || !WIFEXITED (status) || WEXITSTATUS (status) != 0)
            die ("a child ended with status %#x", status);
    }
}

pthread_t start_thread (void *(*body) (void *), void *argument)
{
    pthread_t id;
    if (pthread_create (&id, NULL, body, argument) != 0)
        die ("no thread");
    return id;
}

void *open_socket (void *context, int type)
{
    void *socket = z.socket (context, type);
    if (!socket)
        die ("zmq_socket: %s", strerror (errno));
    set (socket, ZMQ_RCVTIMEO, 60000);
    set (socket, ZMQ_SNDTIMEO, 60000);
    return socket;
}

void set (void *socket, int option, int value)
{
    if (z.setsockopt (socket, option, &value, sizeof value) < 0)
        die ("option %d: %s", option, strerror (errno));
}

int get (void *socket, int option)
{
    int value;
    size_t size = sizeof value;
    TRY (z.getsockopt (socket, option, &value, &size));
    return value;
}

void bind_fresh (void *socket, const char *transport, int which)
{
    char address[64];
    size_t size = sizeof shared->endpoint[which];
    if (strcmp (transport, "tcp") == 0)
        strcpy (address, "tcp://127.0.0.1:*");
    else
        snprintf (address, sizeof address, "%s://%scell-%d-%d", transport,
                  strcmp (transport, "ipc") == 0 ? "@" : "", (int) getpid (), which);
    TRY (z.bind (socket, address));
    TRY (z.getsockopt (socket, ZMQ_LAST_ENDPOINT, shared->endpoint[which], &size));
}

void secure (void *socket, int server)
{
    if (!number ("curve", 0))
        return;
    if (server) {
        set (socket, ZMQ_CURVE_SERVER, 1);
        TRY (z.setsockopt (socket, ZMQ_CURVE_SECRETKEY, shared->server_secret, 40));
    } else {
        char public[41], secret[41];
        TRY (z.curve_keypair (public, secret));
        TRY (z.setsockopt (socket, ZMQ_CURVE_SERVERKEY, shared->server_public, 40));
        TRY (z.setsockopt (socket, ZMQ_CURVE_PUBLICKEY, public, 40));
        TRY (z.setsockopt (socket, ZMQ_CURVE_SECRETKEY, secret, 40));
    }
}

struct cell {
    const char *name;
    void (*run) (void);
};
void latency (void), throughput (void), fanout (void), router (void), echo (void), large (void), bystander (void),
    scale (void), between (void), deal (void);
static const struct cell cells[] = {{"latency", latency},     {"throughput", throughput}, {"fanout", fanout},
                                    {"router", router},       {"echo", echo},             {"large", large},
                                    {"bystander", bystander}, {"scale", scale},           {"between", between},
                                    {"deal", deal}};

int main (int argc, char **argv)
{
    void *library;
    if (argc < 3)
        die ("usage: cells LIBRARY CELL [KEY=VALUE...]");
    words = argc - 3;
    given = argv + 3;
    library = dlopen (argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die ("%s", dlerror ());
#define FIND(name)                                                                                                     \
    z.name = (__typeof__ (z.name)) dlsym (library, "zmq_" #name);                                                      \
    if (!z.name)                                                                                                       \
        die ("no zmq_" #name);
    FUNCTIONS (FIND)
    shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die ("no memory");
    if (number ("curve", 0)) {
        if (!z.has ("curve"))
            die ("without CURVE");
        TRY (z.curve_keypair (shared->server_public, shared->server_secret));
    }
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (strcmp (cells[i].name, argv[2]) == 0) {
            cells[i].run ();
            join_processes ();
            fflush (stdout);
            /* The figures are complete; how long a context takes to end is not among them. */
            _exit (0);
        }
    die ("no cell %s", argv[2]);
}
