/* sink ENDPOINT TASKS: expects each of TASKS results once, whichever worker it comes from. */
#include "demo.h"

int main (int argc, char **argv)
{
    char text[256], worker[32], *seen;
    int tasks, number, i;
    long square;
    void *context, *results;

    demo_name = "sink";
    if (argc != 3)
        return 2;
    tasks = atoi (argv[2]);
    seen = (char *) calloc ((size_t) tasks, 1);
    context = zmq_ctx_new ();
    results = bound (context, ZMQ_PULL, argv[1]);
    for (i = 0; i < tasks; i++) {
        receive_text (results, text);
        if (sscanf (text, "%31s %d %ld", worker, &number, &square) != 3 || number < 0 || number >= tasks)
            wrong ("not a result", text);
        if (square != (long) number * number)
            wrong ("a wrong result", text);
        if (seen[number]++)
            wrong ("a result that was here before", text);
    }
    say ("%s: %d results, each once, the last from worker %s", argv[1], tasks, worker);
    finish (context, results, NULL);
    free (seen);
    return 0;
}
