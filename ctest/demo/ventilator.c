/* ventilator ENDPOINT READY_ENDPOINT WORKERS TASKS: hands TASKS tasks out to WORKERS workers.
 *
 * Tasks go to whoever is connected, so nothing but probes is sent until every worker has reported on the second
 * endpoint that one has reached it. */
#include "demo.h"

int main (int argc, char **argv)
{
    char text[256] = "";
    int workers, tasks, i, probes = 0;
    void *context, *tasks_out, *ready;

    demo_name = "ventilator";
    if (argc != 5)
        return 2;
    workers = atoi (argv[3]);
    tasks = atoi (argv[4]);
    context = zmq_ctx_new ();
    tasks_out = bound (context, ZMQ_PUSH, argv[1]);
    ready = bound (context, ZMQ_PULL, argv[2]);
    for (i = 0; i < workers;) {
        if (++probes > PATIENCE_MS / PROBE_MS)
            wrong ("workers are missing", text);
        send_text (tasks_out, "probe");
        while (waiting (ready, i < workers ? PROBE_MS : 0)) {
            receive_text (ready, text);
            i++;
        }
    }
    for (i = 0; i < tasks; i++)
        send_text (tasks_out, "%d", i);
    for (i = 0; i < workers; i++)
        send_text (tasks_out, "end");
    say ("%s: %d tasks handed out to %d workers", argv[1], tasks, workers);
    finish (context, tasks_out, ready);
    return 0;
}
