/* Very many connections to one socket (to=router or to=pub): how fast they come, what they cost while they are idle,
 * and what the few that are active notice of them: those that ask the ROUTER, or those that subscribe to what the PUB
 * sends. The peers speak raw ZMTP from a few processes, so that what is measured is the library on one side only. */
#include "common.h"
#include "raw.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BOUND, CONNECTED, ASK, ASKED, PUBLISH, READ, LEAVE, PARTIES = 4, AT_ONCE = 32, BODY = 32, WARM = 200 };

static long connections, active, count, rounds;
static int publishing;

/* How many of a party's subscribers are active. */
static long listening (long mine)
{
    return active * mine / connections;
}

/* ---- the peers -------------------------------------------------------------------------------------------------- */

struct peer {
    int descriptor;
    int began; /* its greeting has gone out */
    long got, wanted;
};

/* A subscription, which a peer may send once it has been greeted and no sooner: the active ones to everything, the
 * others to what never comes. */
static void subscribe (struct peer *peers, long mine, struct peer *peer)
{
    static const unsigned char everything[] = {0, 1, 1}, nothing[] = {0, 2, 1, 'n'};
    if (!publishing)
        return;
    if (peer - peers < listening (mine))
        raw_write (peer->descriptor, everything, sizeof everything);
    else
        raw_write (peer->descriptor, nothing, sizeof nothing);
}

static void watch (int loop, int how, struct peer *peer, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = peer};
    TRY (epoll_ctl (loop, how, peer->descriptor, &event));
}

/* Connects and shakes hands, a few at a time. The library's greeting and READY have a fixed length, which the first
 * peer of a party finds out. */
static void gather (struct peer *peers, long mine, int loop)
{
    unsigned char said[512], bytes[4096];
    size_t length = opening (said, publishing ? "SUB" : "DEALER");
    int first = raw_connect (0, 0);
    raw_write (first, said, length);
    raw_read (first, bytes, GREETING + 2);
    long expected = GREETING + (long) frame_length (bytes + GREETING, 2);
    raw_read (first, bytes, (size_t) (expected - GREETING - 2));
    peers[0] = (struct peer) {.descriptor = first};
    subscribe (peers, mine, &peers[0]);
    fcntl (first, F_SETFL, O_NONBLOCK);
    watch (loop, EPOLL_CTL_ADD, &peers[0], EPOLLIN);
    for (long made = 1, done = 1; done < mine;) {
        struct epoll_event events[64];
        for (; made < mine && made < done + AT_ONCE; made++) {
            peers[made] = (struct peer) {.descriptor = raw_connect (0, 1), .wanted = expected};
            watch (loop, EPOLL_CTL_ADD, &peers[made], EPOLLOUT);
        }
        int n = epoll_wait (loop, events, 64, 30000);
        if (n <= 0)
            die ("%ld of %ld connections", done, mine);
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (!peer->began) {
                raw_write (peer->descriptor, said, length);
                peer->began = 1;
                watch (loop, EPOLL_CTL_MOD, peer, EPOLLIN);
                continue;
            }
            ssize_t got = recv (peer->descriptor, bytes, sizeof bytes, 0);
            if (got <= 0)
                die ("a handshake ended: %s", strerror (errno));
            peer->got += got;
            if (peer->got < peer->wanted)
                continue;
            done++;
            subscribe (peers, mine, peer);
        }
    }
}

/* Round trips of the active ones, one at a time, and then all of them at once. */
static void ask (struct peer *peers, long mine)
{
    unsigned char frame[2 + BODY] = {0, BODY};
    double *times = calloc ((size_t) count, sizeof *times);
    long apart = mine / active > 0 ? mine / active : 1;
    await_mark (ASK, 1);
    for (long i = -WARM; i < count; i++) {
        int descriptor = peers[(i + WARM) % active * apart].descriptor;
        struct pollfd ready = {.fd = descriptor, .events = POLLIN};
        double began = seconds ();
        raw_write (descriptor, frame, sizeof frame);
        poll (&ready, 1, 30000);
        raw_read (descriptor, frame, sizeof frame);
        if (i >= 0)
            times[i] = seconds () - began;
    }
    spread_of ("", times, (size_t) count);
    fflush (stdout);
    atomic_store (&shared->mark[ASKED], 1);
}

/* Reads what is published until every connection has it all. */
static void receive (struct peer *peers, long mine, int loop)
{
    static char bytes[65536];
    long wanted = rounds * (2 + BODY), left = listening (mine);
    for (long i = 0; i < mine; i++)
        peers[i].got = 0;
    while (left > 0) {
        struct epoll_event events[256];
        int n = epoll_wait (loop, events, 256, 60000);
        if (n <= 0)
            die ("%ld connections have not got everything", left);
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            ssize_t got = recv (peer->descriptor, bytes, sizeof bytes, 0);
            if (got <= 0)
                die ("a subscriber's connection ended: %s", strerror (errno));
            peer->got += got;
            left -= peer->got == wanted;
        }
    }
    atomic_fetch_add (&shared->mark[READ], 1);
}

static void party (long mine, int asks)
{
    raw_source = (int) (getpid () % 200) + 1;
    struct peer *peers = calloc ((size_t) mine, sizeof *peers);
    int loop = epoll_create1 (EPOLL_CLOEXEC);
    TRY (loop);
    await_mark (BOUND, 1);
    gather (peers, mine, loop);
    atomic_fetch_add (&shared->mark[CONNECTED], mine);
    if (publishing) {
        await_mark (PUBLISH, 1);
        receive (peers, mine, loop);
    } else if (asks)
        ask (peers, mine);
    await_mark (LEAVE, 1);
}

static void first_party (void)
{
    party (connections - connections / PARTIES * (PARTIES - 1), 1);
}

static void other_party (void)
{
    party (connections / PARTIES, 0);
}

/* ---- the socket ------------------------------------------------------------------------------------------------- */

static void publish (void *socket)
{
    unsigned char topic[8], message[BODY] = "";
    for (long i = 0; i < connections; i++)
        TRY (z.recv (socket, topic, sizeof topic, 0));
    double began = seconds (), used = processor_seconds ();
    atomic_store (&shared->mark[PUBLISH], 1);
    for (long i = 0; i < rounds; i++)
        TRY (z.send (socket, message, sizeof message, 0));
    await_mark (READ, PARTIES);
    double deliveries = (double) (rounds * active);
    figure ("deliveries_per_s", deliveries / (seconds () - began));
    figure ("cpu_ns_per_delivery", (processor_seconds () - used) * 1e9 / deliveries);
}

static void answer (void *socket)
{
    unsigned char name[256], body[BODY];
    double used = 0;
    atomic_store (&shared->mark[ASK], 1);
    for (long i = -WARM; i < count; i++) {
        if (i == 0)
            used = processor_seconds ();
        int length = z.recv (socket, name, sizeof name, 0);
        TRY (length);
        TRY (z.recv (socket, body, sizeof body, 0));
        TRY (z.send (socket, name, (size_t) length, ZMQ_SNDMORE));
        TRY (z.send (socket, body, sizeof body, 0));
    }
    figure ("cpu_us_per_trip", (processor_seconds () - used) * 1e6 / (double) count);
    await_mark (ASKED, 1);
}

/* How often a second the library's threads wake up while nothing happens. */
static double wakeups (void)
{
    enum { SECONDS = 2 };
    long before = switches_of_others ();
    pause_ms (SECONDS * 1000);
    return (double) (switches_of_others () - before) / SECONDS;
}

/* Raises the limit of descriptors, or takes fewer connections where it cannot be raised so far. */
static long as_many_as_allowed (long wanted)
{
    enum { OTHERS = 64 };
    struct rlimit limit;
    TRY (getrlimit (RLIMIT_NOFILE, &limit));
    struct rlimit raised = {(rlim_t) (wanted + OTHERS), (rlim_t) (wanted + OTHERS)};
    if (limit.rlim_cur >= raised.rlim_cur || setrlimit (RLIMIT_NOFILE, &raised) == 0)
        return wanted;
    limit.rlim_cur = limit.rlim_max;
    TRY (setrlimit (RLIMIT_NOFILE, &limit));
    return (long) limit.rlim_max - OTHERS < wanted ? (long) limit.rlim_max - OTHERS : wanted;
}

void scale (void)
{
    connections = number ("connections", 2000);
    active = number ("active", 100);
    count = number ("count", 10000);
    rounds = number ("rounds", 20);
    publishing = strcmp (word ("to", "router"), "pub") == 0;
    connections = as_many_as_allowed (connections);
    figure ("connections", (double) connections);
    fflush (stdout);
    if (publishing) {
        /* All parties the same, so that each has its share. */
        connections -= connections % PARTIES;
        active = number ("active", connections);
        active -= active % PARTIES;
    } else if (connections / PARTIES < active)
        active = connections / PARTIES;
    start_process (first_party);
    for (int i = 1; i < PARTIES; i++)
        start_process (other_party);

    void *context = z.ctx_new (), *socket = open_socket (context, publishing ? ZMQ_XPUB : ZMQ_ROUTER);
    set (socket, ZMQ_BACKLOG, 4096);
    if (publishing) {
        set (socket, ZMQ_XPUB_VERBOSE, 1);
        set (socket, ZMQ_RCVHWM, 0);
    }
    bind_fresh (socket, "tcp", 0);
    long before = resident ();
    double began = seconds (), used = processor_seconds ();
    atomic_store (&shared->mark[BOUND], 1);
    await_mark (CONNECTED, connections);
    figure ("connections_per_s", (double) connections / (seconds () - began));
    figure ("cpu_us_per_connection", (processor_seconds () - used) * 1e6 / (double) connections);
    /* The library may have the last handshakes still to finish. */
    pause_ms (500);
    figure ("bytes_per_connection", (double) (resident () - before) / (double) connections);
    figure ("wakeups_per_s", wakeups ());
    if (publishing)
        publish (socket);
    else
        answer (socket);
    pause_ms (500);
    figure ("wakeups_afterwards_per_s", wakeups ());
    atomic_store (&shared->mark[LEAVE], 1);
}
