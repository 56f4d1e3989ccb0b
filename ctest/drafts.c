/* The draft interface: thread-safe sockets used by many threads, groups, numbers of peers, datagrams, the messages that
 * mark a connection's life, the poller's descriptor, polling with a signal mask. */
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

static void *context;

/* ---------------------------------------------------------------------------------------------------- many threads */

enum { THREADS = 4, EACH = 3000 };

static void *shared_client, *shared_server;
static int answered[THREADS * EACH];

static void *ask_by_client (void *argument)
{
    int first = *(int *) argument, i;
    for (i = first; i < first + EACH; i++)
        GOOD (zmq_send (shared_client, &i, sizeof i, 0));
    return NULL;
}

static void *hear_answers (void *unused)
{
    int i, got;
    (void) unused;
    for (i = 0; i < EACH; i++) {
        EQUAL (zmq_recv (shared_client, &got, sizeof got, 0), sizeof got);
        if (got >= 0 && got < THREADS * EACH)
            __sync_fetch_and_add (&answered[got], 1);
    }
    return NULL;
}

static void *answer_as_server (void *unused)
{
    int i;
    (void) unused;
    for (i = 0; i < EACH; i++) {
        zmq_msg_t msg;
        GOOD (zmq_msg_init (&msg));
        EQUAL (zmq_msg_recv (&msg, shared_server, 0), sizeof (int));
        CHECK (zmq_msg_routing_id (&msg) != 0);
        EQUAL (zmq_msg_send (&msg, shared_server, 0), sizeof (int));
    }
    return NULL;
}

/* Twelve threads on two sockets: each message arrives, and once. */
TEST (many_threads_share_two_sockets)
{
    int t, i, wrong;
    for (t = 0; t < TRANSPORTS; t++) {
        pthread_t askers[THREADS], servers[THREADS], hearers[THREADS];
        int firsts[THREADS];
        memset (answered, 0, sizeof answered);
        pair_of (context, transports[t], ZMQ_SERVER, ZMQ_CLIENT, &shared_server, &shared_client);
        for (i = 0; i < THREADS; i++) {
            firsts[i] = i * EACH;
            pthread_create (&hearers[i], NULL, hear_answers, NULL);
            pthread_create (&servers[i], NULL, answer_as_server, NULL);
            pthread_create (&askers[i], NULL, ask_by_client, &firsts[i]);
        }
        for (i = 0; i < THREADS; i++) {
            pthread_join (askers[i], NULL);
            pthread_join (servers[i], NULL);
            pthread_join (hearers[i], NULL);
        }
        for (i = wrong = 0; i < THREADS * EACH; i++)
            wrong += answered[i] != 1;
        EQUAL (wrong, 0);
        GOOD (zmq_close (shared_client));
        GOOD (zmq_close (shared_server));
    }
}

static void *scatter, *gather;
static int gathered[THREADS * EACH];

static void *scatter_numbers (void *argument)
{
    int first = *(int *) argument, i;
    for (i = first; i < first + EACH; i++)
        GOOD (zmq_send (scatter, &i, sizeof i, 0));
    return NULL;
}

static void *gather_numbers (void *unused)
{
    zmq_pollitem_t item;
    int i, got;
    (void) unused;
    memset (&item, 0, sizeof item);
    item.socket = gather;
    item.events = ZMQ_POLLIN;
    for (i = 0; i < EACH;) {
        /* Polling and receiving take turns with the other threads, so there may be nothing left. */
        GOOD (zmq_poll (&item, 1, PATIENCE_MS));
        if (zmq_recv (gather, &got, sizeof got, i % 2 ? 0 : ZMQ_DONTWAIT) < 0) {
            EQUAL (zmq_errno (), EAGAIN);
            if (item.revents == 0)
                break;
            continue;
        }
        i++;
        if (got >= 0 && got < THREADS * EACH)
            __sync_fetch_and_add (&gathered[got], 1);
    }
    return NULL;
}

TEST (many_threads_scatter_and_gather)
{
    int t, i, wrong;
    for (t = 0; t < TRANSPORTS; t++) {
        pthread_t senders[THREADS], receivers[THREADS];
        int firsts[THREADS];
        memset (gathered, 0, sizeof gathered);
        pair_of (context, transports[t], ZMQ_GATHER, ZMQ_SCATTER, &gather, &scatter);
        for (i = 0; i < THREADS; i++) {
            firsts[i] = i * EACH;
            pthread_create (&receivers[i], NULL, gather_numbers, NULL);
            pthread_create (&senders[i], NULL, scatter_numbers, &firsts[i]);
        }
        for (i = 0; i < THREADS; i++) {
            pthread_join (senders[i], NULL);
            pthread_join (receivers[i], NULL);
        }
        for (i = wrong = 0; i < THREADS * EACH; i++)
            wrong += gathered[i] != 1;
        EQUAL (wrong, 0);
        GOOD (zmq_close (scatter));
        GOOD (zmq_close (gather));
    }
}

/* ------------------------------------------------------------------------------------------------------- single parts */

/* Within a context any type may connect to any other. */
TEST (messages_of_several_parts_are_dropped_whole)
{
    static const int types[] = {ZMQ_SERVER, ZMQ_CLIENT, ZMQ_GATHER, ZMQ_PEER, ZMQ_CHANNEL};
    size_t i;
    for (i = 0; i < sizeof types / sizeof *types; i++) {
        void *receiver, *sender;
        pair_of (context, "inproc", types[i], ZMQ_DEALER, &receiver, &sender);
        GOOD (send_text (sender, "several", ZMQ_SNDMORE));
        GOOD (send_text (sender, "parts", 0));
        GOOD (send_text (sender, "one", 0));
        GOOD (send_text (sender, "again", ZMQ_SNDMORE));
        GOOD (send_text (sender, "several", 0));
        EXPECT (receiver, "one");
        EQUAL (more (receiver), 0);
        if (ours ())
            EQUAL (poll_one (receiver, ZMQ_POLLIN, 0), 0);
        FAILS (zmq_recv (receiver, NULL, 0, ZMQ_DONTWAIT), EAGAIN);
        GOOD (zmq_close (receiver));
        GOOD (zmq_close (sender));
    }
}

/* ------------------------------------------------------------------------------------------------- numbers of peers */

static int send_to (void *socket, uint32_t peer, const char *text)
{
    zmq_msg_t msg;
    int result;
    GOOD (zmq_msg_init_buffer (&msg, text, strlen (text)));
    GOOD (zmq_msg_set_routing_id (&msg, peer));
    result = zmq_msg_send (&msg, socket, 0);
    if (result < 0)
        EQUAL (zmq_msg_routing_id (&msg), peer);
    else
        EQUAL (zmq_msg_routing_id (&msg), 0);
    zmq_msg_close (&msg);
    return result;
}

static uint32_t receive_from (void *socket, const char *text)
{
    zmq_msg_t msg;
    uint32_t peer;
    GOOD (zmq_msg_init (&msg));
    EQUAL (zmq_msg_recv (&msg, socket, 0), (long long) strlen (text));
    CHECK (!memcmp (zmq_msg_data (&msg), text, strlen (text)));
    peer = zmq_msg_routing_id (&msg);
    zmq_msg_close (&msg);
    return peer;
}

TEST (a_server_sends_a_client_away)
{
    int t;
    for (t = 0; t < TRANSPORTS; t++) {
        void *server, *client;
        uint32_t peer;
        pair_of (context, transports[t], ZMQ_SERVER, ZMQ_CLIENT, &server, &client);
        FAILS (zmq_disconnect_peer (server, 12345), EHOSTUNREACH);
        FAILS (zmq_disconnect_peer (client, 12345), ENOTSUP);
        GOOD (send_text (client, "hello", 0));
        peer = receive_from (server, "hello");
        CHECK (peer != 0);
        GOOD (send_to (server, peer, "hi"));
        EXPECT (client, "hi");
        GOOD (zmq_disconnect_peer (server, peer));
        WAIT_UNTIL (server, send_to (server, peer, "late") < 0);
        FAILS (send_to (server, peer, "late"), EHOSTUNREACH);
        FAILS (zmq_disconnect_peer (server, peer), EHOSTUNREACH);
        GOOD (zmq_close (server));
        GOOD (zmq_close (client));
    }
}

TEST (peers_know_whom_they_connect_to)
{
    int t;
    for (t = 0; t < TRANSPORTS; t++) {
        void *one = bound (context, ZMQ_PEER, address_on (transports[t])), *other = open_socket (context, ZMQ_PEER);
        uint32_t number = zmq_connect_peer (other, last_endpoint (one)), back;
        CHECK (number != 0);
        EQUAL (send_to (other, number, "question"), 8);
        back = receive_from (one, "question");
        EQUAL (send_to (one, back, "answer"), 6);
        EQUAL (receive_from (other, "answer"), number);
        GOOD (zmq_close (one));
        GOOD (zmq_close (other));
    }
}

TEST (connect_peer_has_its_own_errors)
{
    void *peer = open_socket (context, ZMQ_PEER);
    errno = 0;
    EQUAL (zmq_connect_peer (peer, "tcp://127.0.0.1"), 0);
    EQUAL (errno, EINVAL);
    errno = 0;
    EQUAL (zmq_connect_peer (peer, "foo://x"), 0);
    EQUAL (errno, EPROTONOSUPPORT);
    set_int (peer, ZMQ_IMMEDIATE, 1);
    errno = 0;
    EQUAL (zmq_connect_peer (peer, "inproc://nobody"), 0);
    EQUAL (errno, EFAULT);
    GOOD (zmq_close (peer));
    errno = 0;
    EQUAL (zmq_connect_peer (peer, "inproc://nobody"), 0);
    EQUAL (errno, ENOTSOCK);
}

/* ------------------------------------------------------------------------------------------------------------ groups */

static int send_to_group (void *radio, const char *group, const char *text)
{
    zmq_msg_t msg;
    int result;
    GOOD (zmq_msg_init_buffer (&msg, text, strlen (text)));
    GOOD (zmq_msg_set_group (&msg, group));
    result = zmq_msg_send (&msg, radio, ZMQ_DONTWAIT);
    zmq_msg_close (&msg);
    return result;
}

static void expect_group (void *dish, const char *group, const char *text)
{
    zmq_msg_t msg;
    GOOD (zmq_msg_init (&msg));
    EQUAL (zmq_msg_recv (&msg, dish, 0), (long long) strlen (text));
    CHECK (!strcmp (zmq_msg_group (&msg), group));
    CHECK (!memcmp (zmq_msg_data (&msg), text, strlen (text)));
    EQUAL (zmq_msg_more (&msg), 0);
    zmq_msg_close (&msg);
}

TEST (groups_are_joined_by_their_whole_name)
{
    int t, i;
    for (t = 0; t < TRANSPORTS; t++) {
        char long_name[257];
        void *radio, *dish;
        memset (long_name, 'g', sizeof long_name);
        long_name[256] = 0;
        pair_of (context, transports[t], ZMQ_RADIO, ZMQ_DISH, &radio, &dish);
        FAILS (zmq_join (dish, long_name), EINVAL);
        long_name[255] = 0;
        GOOD (zmq_join (dish, long_name));
        GOOD (zmq_join (dish, "ab"));
        FAILS (zmq_join (dish, "ab"), EINVAL);
        FAILS (zmq_leave (dish, "a"), EINVAL);
        /* Until the radio knows of it, what it sends is lost. */
        for (i = 0; i < 1000 && !poll_one (dish, ZMQ_POLLIN, 10); i++)
            EQUAL (send_to_group (radio, "ab", "known"), 5);
        expect_group (dish, "ab", "known");
        while (poll_one (dish, ZMQ_POLLIN, 50))
            expect_group (dish, "ab", "known");
        GOOD (send_to_group (radio, "a", "not this"));
        GOOD (send_to_group (radio, "abc", "nor this"));
        GOOD (send_to_group (radio, "", "nor without a group"));
        GOOD (send_to_group (radio, long_name, "but this"));
        expect_group (dish, long_name, "but this");
        GOOD (zmq_leave (dish, "ab"));
        FAILS (zmq_leave (dish, "ab"), EINVAL);
        GOOD (send_to_group (radio, "ab", "too late"));
        GOOD (send_to_group (radio, long_name, "still"));
        expect_group (dish, long_name, "still");
        GOOD (zmq_close (radio));
        GOOD (zmq_close (dish));
    }
}

/* --------------------------------------------------------------------------------------------------------- datagrams */

/* A plain datagram socket on the loopback interface, and its address as text. */
static int plain_socket (char *text, struct sockaddr_in *address)
{
    int fd = socket (AF_INET, SOCK_DGRAM, 0);
    socklen_t size = sizeof *address;
    memset (address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    EQUAL (bind (fd, (struct sockaddr *) address, sizeof *address), 0);
    EQUAL (getsockname (fd, (struct sockaddr *) address, &size), 0);
    sprintf (text, "127.0.0.1:%d", ntohs (address->sin_port));
    return fd;
}

static int receive_plain (int fd, void *buffer, size_t size)
{
    struct pollfd item;
    item.fd = fd;
    item.events = POLLIN;
    EQUAL (poll (&item, 1, PATIENCE_MS), 1);
    return (int) recv (fd, buffer, size, 0);
}

/* The address a socket that is bound to a port of the kernel's choice has: the original does not tell. */
static struct sockaddr_in address_of (void *socket)
{
    struct sockaddr_in address;
    const char *port = strrchr (last_endpoint (socket), ':');
    memset (&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
    address.sin_port = htons ((uint16_t) atoi (port + 1));
    return address;
}

TEST (a_radio_sends_datagrams_of_a_known_layout)
{
    static char large[8200], got[9000];
    char text[64], endpoint[80];
    struct sockaddr_in address;
    int fd = plain_socket (text, &address);
    void *radio = open_socket (context, ZMQ_RADIO);
    sprintf (endpoint, "udp://%s", text);
    GOOD (zmq_connect (radio, endpoint));
    memset (large, 'x', sizeof large);
    GOOD (send_to_group (radio, "TV", "Friends"));
    EQUAL (receive_plain (fd, got, sizeof got), 10);
    CHECK (!memcmp (got, "\x02TVFriends", 10));
    large[8193 - 3] = 0;
    GOOD (send_to_group (radio, "TV", large));
    large[8192 - 3] = 0;
    GOOD (send_to_group (radio, "TV", large));
    /* The first was too large by one byte. */
    EQUAL (receive_plain (fd, got, sizeof got), 8192);
    GOOD (zmq_disconnect (radio, endpoint));
    FAILS (zmq_disconnect (radio, endpoint), ENOENT);
    GOOD (zmq_close (radio));
    close (fd);
}

TEST (a_dish_takes_only_whole_datagrams_of_its_groups)
{
    static char large[8193];
    static const struct { const char *bytes; size_t size; } wrong[] = {
        {"", 0}, {"\x01", 1}, {"\xff""a", 2}, {"\x80", 1}, {"\xff\xff\xff", 3}, {"\x03TV", 3}, {"\x02TXother", 8}};
    struct sockaddr_in address;
    size_t i;
    int fd;
    void *dish;
    if (!ours ())
        return;
    fd = socket (AF_INET, SOCK_DGRAM, 0);
    dish = bound (context, ZMQ_DISH, "udp://127.0.0.1:*");
    address = address_of (dish);
    GOOD (zmq_join (dish, "TV"));
    for (i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK (sendto (fd, wrong[i].bytes, wrong[i].size, 0, (struct sockaddr *) &address, sizeof address) >= 0);
    memcpy (large, "\x02TV", 3);
    CHECK (sendto (fd, large, sizeof large, 0, (struct sockaddr *) &address, sizeof address) >= 0);
    CHECK (sendto (fd, "\x02TVFriends", 10, 0, (struct sockaddr *) &address, sizeof address) >= 0);
    expect_group (dish, "TV", "Friends");
    EQUAL (poll_one (dish, ZMQ_POLLIN, 0), 0);
    /* It stops at its mark, and goes on when there is room. */
    GOOD (zmq_close (dish));
    close (fd);
}

TEST (a_bound_datagram_address_can_be_given_up)
{
    char endpoint[512];
    void *dish, *other;
    if (!ours ())
        return;
    dish = bound (context, ZMQ_DISH, "udp://127.0.0.1:*");
    strcpy (endpoint, last_endpoint (dish));
    CHECK (!strncmp (endpoint, "udp://127.0.0.1:", 16) && atoi (endpoint + 16) > 0);
    GOOD (zmq_unbind (dish, endpoint));
    FAILS (zmq_unbind (dish, endpoint), ENOENT);
    GOOD (zmq_bind (dish, "udp://*:*"));
    GOOD (zmq_unbind (dish, "udp://*:*"));
    FAILS (zmq_bind (dish, "udp://192.0.2.1:*"), EADDRNOTAVAIL);
    other = bound (context, ZMQ_DISH, endpoint);
    GOOD (zmq_close (other));
    GOOD (zmq_close (dish));
}

TEST (a_dgram_talks_to_anybody)
{
    char far[64], got[64], own[64];
    struct sockaddr_in address, here;
    int fd = plain_socket (far, &address);
    void *dgram = open_socket (context, ZMQ_DGRAM);
    if (!ours ()) {
        GOOD (zmq_close (dgram));
        close (fd);
        return;
    }
    FAILS (send_text (dgram, far, ZMQ_SNDMORE), ENOTCONN);
    EQUAL (get_int (dgram, ZMQ_EVENTS), 0);
    FAILS (zmq_connect (dgram, "udp://127.0.0.1:5"), ENOCOMPATPROTO);
    GOOD (zmq_bind (dgram, "udp://127.0.0.1:*"));
    here = address_of (dgram);
    FAILS (send_text (dgram, "no body", 0), EINVAL);
    GOOD (send_text (dgram, far, ZMQ_SNDMORE));
    FAILS (send_text (dgram, "a second", ZMQ_SNDMORE), EINVAL);
    GOOD (send_text (dgram, "body", 0));
    EQUAL (receive_plain (fd, got, sizeof got), 4);
    CHECK (!memcmp (got, "body", 4));
    /* What names no address goes nowhere. */
    GOOD (send_text (dgram, "nowhere", ZMQ_SNDMORE));
    GOOD (send_text (dgram, "lost", 0));
    CHECK (sendto (fd, "answer", 6, 0, (struct sockaddr *) &here, sizeof here) == 6);
    EXPECT_BYTES (dgram, far, strlen (far) + 1);
    EQUAL (more (dgram), 1);
    EXPECT (dgram, "answer");
    EQUAL (more (dgram), 0);
    sprintf (own, "127.0.0.1:%d", ntohs (here.sin_port));
    GOOD (zmq_send (dgram, own, strlen (own) + 1, ZMQ_SNDMORE));
    GOOD (send_text (dgram, "to myself", 0));
    EXPECT_BYTES (dgram, own, strlen (own) + 1);
    EXPECT (dgram, "to myself");
    GOOD (zmq_close (dgram));
    close (fd);
}

/* ---------------------------------------------------------------------------- messages that mark a connection's life */

static void set_text (void *socket, int option, const char *text)
{
    GOOD (zmq_setsockopt (socket, option, text, strlen (text)));
}

TEST (a_greeting_comes_first_both_ways)
{
    int t;
    for (t = 0; t < TRANSPORTS; t++) {
        void *router = open_socket (context, ZMQ_ROUTER), *dealer = open_socket (context, ZMQ_DEALER);
        set_text (router, ZMQ_HELLO_MSG, "from router");
        set_text (dealer, ZMQ_HELLO_MSG, "from dealer");
        set_text (dealer, ZMQ_ROUTING_ID, "D");
        GOOD (zmq_bind (router, address_on (transports[t])));
        GOOD (zmq_connect (dealer, last_endpoint (router)));
        GOOD (send_text (dealer, "after", 0));
        EXPECT (dealer, "from router");
        EXPECT (router, "D");
        EXPECT (router, "from dealer");
        EXPECT (router, "D");
        EXPECT (router, "after");
        GOOD (zmq_close (dealer));
        GOOD (zmq_close (router));
    }
}

TEST (the_end_of_a_peer_is_a_message)
{
    int t;
    for (t = 0; t < TRANSPORTS; t++) {
        void *router = open_socket (context, ZMQ_ROUTER), *dealer = open_socket (context, ZMQ_DEALER);
        set_text (router, ZMQ_DISCONNECT_MSG, "gone");
        set_text (dealer, ZMQ_ROUTING_ID, "D");
        set_int (dealer, ZMQ_LINGER, PATIENCE_MS);
        GOOD (zmq_bind (router, address_on (transports[t])));
        GOOD (zmq_connect (dealer, last_endpoint (router)));
        GOOD (send_text (dealer, "last", 0));
        GOOD (zmq_close (dealer));
        EXPECT (router, "D");
        EXPECT (router, "last");
        EXPECT (router, "D");
        EXPECT (router, "gone");
        FAILS (zmq_recv (router, NULL, 0, ZMQ_DONTWAIT), EAGAIN);
        GOOD (zmq_close (router));
    }
}

TEST (a_lost_connection_is_a_message)
{
    char endpoint[512];
    void *server = bound (context, ZMQ_ROUTER, "tcp://127.0.0.1:*"), *dealer = open_socket (context, ZMQ_DEALER);
    strcpy (endpoint, last_endpoint (server));
    set_text (dealer, ZMQ_HICCUP_MSG, "hiccup");
    set_text (dealer, ZMQ_HELLO_MSG, "hello");
    set_text (dealer, ZMQ_ROUTING_ID, "D");
    set_int (dealer, ZMQ_RECONNECT_IVL, 10);
    GOOD (zmq_connect (dealer, endpoint));
    EXPECT (server, "D");
    EXPECT (server, "hello");
    GOOD (zmq_close (server));
    EXPECT (dealer, "hiccup");
    server = open_socket (context, ZMQ_ROUTER);
    WAIT_UNTIL (server, zmq_bind (server, endpoint) == 0);
    EXPECT (server, "D");
    EXPECT (server, "hello");
    GOOD (zmq_close (server));
    GOOD (zmq_close (dealer));
}

/* ------------------------------------------------------------------------------------------------ polling, statistics */

TEST (the_poller_has_a_descriptor)
{
    int t;
    for (t = 0; t < TRANSPORTS; t++) {
        void *server, *client, *pair = open_socket (context, ZMQ_PAIR), *poller = zmq_poller_new (), *again;
        zmq_poller_event_t event;
        struct pollfd item;
        zmq_fd_t fd;
        pair_of (context, transports[t], ZMQ_SERVER, ZMQ_CLIENT, &server, &client);
        again = poller;
        GOOD (zmq_poller_add (poller, pair, NULL, ZMQ_POLLIN));
        FAILS (zmq_poller_fd (poller, &fd), EINVAL);
        GOOD (zmq_poller_add (poller, server, &fd, ZMQ_POLLIN));
        GOOD (zmq_poller_fd (poller, &fd));
        FAILS (zmq_poller_wait (poller, &event, 0), EAGAIN);
        GOOD (send_text (client, "wake up", 0));
        item.fd = fd;
        item.events = POLLIN;
        do {
            EQUAL (poll (&item, 1, PATIENCE_MS), 1);
        } while (zmq_poller_wait (poller, &event, 0) != 0 && errno == EAGAIN);
        CHECK (event.socket == server && event.fd == -1 && event.user_data == &fd);
        EQUAL (event.events, ZMQ_POLLIN);
        EXPECT (server, "wake up");
        GOOD (zmq_poller_remove (poller, server));
        GOOD (zmq_poller_fd (poller, &fd));
        EQUAL (fd, item.fd);
        EQUAL (zmq_poller_size (poller), 1);
        GOOD (zmq_poller_add (poller, client, NULL, ZMQ_POLLOUT));
        GOOD (zmq_poller_wait (poller, &event, PATIENCE_MS));
        CHECK (event.socket == client);
        GOOD (zmq_poller_destroy (&poller));
        CHECK (poller == NULL);
        FAILS (zmq_poller_fd (poller, &fd), EFAULT);
        if (ours ())
            FAILS (zmq_poller_fd (again, &fd), EFAULT);
        GOOD (zmq_close (server));
        GOOD (zmq_close (client));
        GOOD (zmq_close (pair));
    }
}

/* What ZMQ_FD says of a thread-safe socket; the original refuses. */
TEST (thread_safe_sockets_have_a_descriptor)
{
    void *server, *client;
    struct pollfd item;
    if (!ours ())
        return;
    pair_of (context, "tcp", ZMQ_SERVER, ZMQ_CLIENT, &server, &client);
    item.fd = get_int (server, ZMQ_FD);
    item.events = POLLIN;
    EQUAL (get_int (server, ZMQ_EVENTS) & ZMQ_POLLIN, 0);
    GOOD (send_text (client, "wake up", 0));
    do {
        EQUAL (poll (&item, 1, PATIENCE_MS), 1);
    } while (!(get_int (server, ZMQ_EVENTS) & ZMQ_POLLIN));
    EXPECT (server, "wake up");
    GOOD (zmq_close (server));
    GOOD (zmq_close (client));
}

static volatile sig_atomic_t signals;

static void count_signal (int number)
{
    (void) number;
    signals++;
}

TEST (ppoll_blocks_signals_only_outside)
{
    void *pull, *push;
    struct sigaction action;
    zmq_pollitem_t items[2];
    sigset_t blocked, before, none;
    int pipes[2];
    int64_t began;
    char byte;
    memset (&action, 0, sizeof action);
    action.sa_handler = count_signal;
    sigaction (SIGUSR1, &action, NULL);
    sigemptyset (&none);
    sigemptyset (&blocked);
    sigaddset (&blocked, SIGUSR1);
    sigprocmask (SIG_BLOCK, &blocked, &before);
    pair_of (context, "tcp", ZMQ_PULL, ZMQ_PUSH, &pull, &push);
    CHECK (pipe (pipes) == 0);
    memset (items, 0, sizeof items);
    items[0].socket = pull;
    items[0].events = ZMQ_POLLIN;
    items[1].fd = pipes[0];
    items[1].events = ZMQ_POLLIN;
    kill (getpid (), SIGUSR1);
    began = now_ms ();
    EQUAL (zmq_ppoll (items, 2, 50, NULL), 0);
    CHECK (now_ms () - began >= 49);
    EQUAL (zmq_ppoll (items, 2, 50, &blocked), 0);
    EQUAL (signals, 0);
    FAILS (zmq_ppoll (items, 2, PATIENCE_MS, &none), EINTR);
    EQUAL (signals, 1);
    /* Without anything to wait for as well. */
    kill (getpid (), SIGUSR1);
    FAILS (zmq_ppoll (items, 0, PATIENCE_MS, &none), EINTR);
    EQUAL (signals, 2);
    GOOD (send_text (push, "message", 0));
    EQUAL (zmq_ppoll (items, 2, PATIENCE_MS, &none), 1);
    EQUAL (items[0].revents, ZMQ_POLLIN);
    EQUAL (items[1].revents, 0);
    EXPECT (pull, "message");
    CHECK (write (pipes[1], "x", 1) == 1);
    EQUAL (zmq_ppoll (items, 2, PATIENCE_MS, &none), 1);
    EQUAL (items[1].revents, ZMQ_POLLIN);
    if (ours ()) {
        /* As zmq_poll says it; select(2), which the original uses, knows no such thing. */
        CHECK (read (pipes[0], &byte, 1) == 1);
        close (pipes[1]);
        EQUAL (zmq_ppoll (items, 2, PATIENCE_MS, &none), 1);
        EQUAL (items[1].revents, ZMQ_POLLERR);
        FAILS (zmq_ppoll (NULL, 1, 0, NULL), EFAULT);
        FAILS (zmq_ppoll (items, -1, 0, NULL), EINVAL);
    }
    close (pipes[0]);
    sigprocmask (SIG_SETMASK, &before, NULL);
    GOOD (zmq_close (pull));
    GOOD (zmq_close (push));
}

static uint64_t number_in (void *monitor)
{
    uint64_t number = ~(uint64_t) 0;
    EQUAL (zmq_recv (monitor, &number, sizeof number, 0), sizeof number);
    return number;
}

TEST (statistics_count_what_waits)
{
    int t;
    for (t = 0; t < TRANSPORTS; t++) {
        void *push = open_socket (context, ZMQ_PUSH), *pull, *monitor = open_socket (context, ZMQ_PAIR);
        char endpoint[512], events[32];
        int i;
        sprintf (events, "inproc://stats-%d", t);
        FAILS (zmq_socket_monitor_pipes_stats (push), EINVAL);
        GOOD (zmq_socket_monitor_versioned (push, events, ZMQ_EVENT_PIPES_STATS, 2, ZMQ_PAIR));
        GOOD (zmq_connect (monitor, events));
        FAILS (zmq_socket_monitor_pipes_stats (push), EAGAIN);
        pull = bound (context, ZMQ_PULL, address_on (transports[t]));
        strcpy (endpoint, last_endpoint (pull));
        GOOD (zmq_connect (push, endpoint));
        for (i = 0; i < 7; i++)
            GOOD (send_text (push, "m", 0));
        for (i = 0; i < 7; i++)
            EXPECT (pull, "m");
        GOOD (zmq_socket_monitor_pipes_stats (push));
        /* Where two sockets share the pipe both have to look at their news. */
        EQUAL (poll_one (pull, ZMQ_POLLIN, 10), 0);
        EQUAL (poll_one (push, ZMQ_POLLIN, 10), 0);
        EQUAL (number_in (monitor), ZMQ_EVENT_PIPES_STATS);
        EQUAL (number_in (monitor), 2);
        EQUAL (number_in (monitor), 7);
        EQUAL (number_in (monitor), 0);
        CHECK (zmq_recv (monitor, NULL, 0, 0) >= 0);
        EXPECT (monitor, endpoint);
        EQUAL (more (monitor), 0);
        GOOD (zmq_close (monitor));
        GOOD (zmq_close (push));
        GOOD (zmq_close (pull));
    }
}

int main (void)
{
    context = zmq_ctx_new ();
    RUN (many_threads_share_two_sockets);
    RUN (many_threads_scatter_and_gather);
    RUN (messages_of_several_parts_are_dropped_whole);
    RUN (a_server_sends_a_client_away);
    RUN (peers_know_whom_they_connect_to);
    RUN (connect_peer_has_its_own_errors);
    RUN (groups_are_joined_by_their_whole_name);
    RUN (a_radio_sends_datagrams_of_a_known_layout);
    RUN (a_dish_takes_only_whole_datagrams_of_its_groups);
    RUN (a_bound_datagram_address_can_be_given_up);
    RUN (a_dgram_talks_to_anybody);
    RUN (a_greeting_comes_first_both_ways);
    RUN (the_end_of_a_peer_is_a_message);
    RUN (a_lost_connection_is_a_message);
    RUN (the_poller_has_a_descriptor);
    RUN (thread_safe_sockets_have_a_descriptor);
    RUN (ppoll_blocks_signals_only_outside);
    RUN (statistics_count_what_waits);
    GOOD (zmq_ctx_term (context));
    return finished ();
}
