/* czmq's own test of one class: one CLASS. Says first which libzmq is underneath. Ends with 0 once the test has
 * returned; where one fails, czmq ends the process. Needs no header of czmq. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>

static void *find (void *library, const char *name)
{
    void *found = dlsym (library, name);
    if (!found)
        fprintf (stderr, "there is no %s: %s\n", name, dlerror ());
    return found;
}

int main (int argc, char **argv)
{
    char name[64];
    int major, minor, patch;
    Dl_info from;
    if (argc != 2) {
        fprintf (stderr, "usage: %s CLASS\n", argv[0]);
        return 2;
    }
    /* What was printed before a crash stays. */
    setvbuf (stdout, NULL, _IOLBF, 0);
    void *czmq = dlopen ("libczmq.so.4", RTLD_NOW);
    if (!czmq) {
        fprintf (stderr, "libczmq cannot be loaded: %s\n", dlerror ());
        return 2;
    }
    /* Looked for as czmq's own calls are: this program is linked with no libzmq. */
    void (*version) (int *, int *, int *) = find (czmq, "zmq_version");
    if (!version || !dladdr ((void *) version, &from))
        return 2;
    version (&major, &minor, &patch);
    printf ("libzmq %d.%d.%d is %s\n", major, minor, patch, from.dli_fname);

    snprintf (name, sizeof name, "%s_test", argv[1]);
    void (*test) (bool verbose) = find (czmq, name);
    if (!test)
        return 2;
    test (false);
    return 0;
}
