/* worker NAME TASKS_ENDPOINT READY_ENDPOINT SINK_ENDPOINT: squares the numbers that come, until "end". */
#include "demo.h"

int main (int argc, char **argv)
{
    static char name[32];
    char text[256];
    int done = 0;
    void *context, *tasks, *sink, *ready = NULL;

    demo_name = name;
    if (argc != 5)
        return 2;
    sprintf (name, "worker %.20s", argv[1]);
    context = zmq_ctx_new ();
    tasks = connected (context, ZMQ_PULL, argv[2]);
    sink = connected (context, ZMQ_PUSH, argv[4]);
    for (;;) {
        receive_text (tasks, text);
        if (!strcmp (text, "end"))
            break;
        if (!ready) {
            ready = connected (context, ZMQ_PUSH, argv[3]);
            send_text (ready, "%s", argv[1]);
        }
        if (!strcmp (text, "probe"))
            continue;
        send_text (sink, "%s %d %ld", argv[1], atoi (text), atol (text) * atol (text));
        done++;
    }
    if (!done)
        wrong ("nothing to do", text);
    say ("%s -> %s: %d tasks done", argv[2], argv[4], done);
    if (zmq_close (ready))
        die ("zmq_close");
    finish (context, tasks, sink);
    return 0;
}
