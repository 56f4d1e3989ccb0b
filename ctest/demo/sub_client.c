/* sub_client ENDPOINT READY_ENDPOINT FILTER COUNT TOWNS: subscribes to FILTER ("" is everything) and expects COUNT
 * readings, in order, from each of TOWNS towns. */
#include "demo.h"

int main (int argc, char **argv)
{
    char text[256], town[64], last[2][64] = {"", ""};
    int next[2] = {0, 0}, count, towns, ended = 0, readings = 0, i;
    void *context, *subscriber, *ready;

    demo_name = "sub_client";
    if (argc != 6)
        return 2;
    count = atoi (argv[4]);
    towns = atoi (argv[5]);
    context = zmq_ctx_new ();
    subscriber = connected (context, ZMQ_SUB, argv[1]);
    if (zmq_setsockopt (subscriber, ZMQ_SUBSCRIBE, argv[3], strlen (argv[3])))
        die ("ZMQ_SUBSCRIBE");
    receive_text (subscriber, text);
    ready = connected (context, ZMQ_PUSH, argv[2]);
    send_text (ready, "joined");
    while (ended < towns) {
        char *rest;
        receive_text (subscriber, text);
        if (strncmp (text, argv[3], strlen (argv[3])))
            wrong ("not what was subscribed to", text);
        rest = strchr (text, ' ');
        if (!rest)
            wrong ("a message without a reading", text);
        sprintf (town, "%.*s", (int) (rest - text < 60 ? rest - text : 60), text);
        for (i = 0; i < 2 && *last[i] && strcmp (last[i], town); i++)
            ;
        if (i == towns)
            wrong ("an unknown town", text);
        strcpy (last[i], town);
        if (!strcmp (rest, " probe"))
            continue;
        if (!strcmp (rest, " end")) {
            ended++;
            if (next[i] != count)
                wrong ("readings are missing before the end", text);
        } else if (atoi (rest) != next[i]++)
            wrong ("a reading out of order", text);
        else
            readings++;
    }
    say ("%s: filter \"%s\": %d readings from %d towns, all in order", argv[1], argv[3], readings, towns);
    finish (context, subscriber, ready);
    return 0;
}
