/* ZMTP 3.0 with NULL spoken by hand (rfc.zeromq.org/spec/23), so that a peer costs the measured library nothing. */
#ifndef RAW_H
#define RAW_H

#include <stddef.h>

enum { GREETING = 64 };
/* What a client says first: its greeting and READY as `socket_type`; returns how many bytes. */
size_t opening (unsigned char *to, const char *socket_type);
/* How long the frame is that begins with these bytes; 0 when that cannot be told yet. */
size_t frame_length (const unsigned char *from, size_t have);

/* Where not 0, raw_connect comes from 127.0.0.1 plus this. */
extern int raw_source;
/* A connected descriptor, of the address that shared->endpoint[which] names. */
int raw_connect (int which, int nonblocking);
/* As above with the handshake done, on a blocking descriptor. */
int raw_peer (int which, const char *socket_type);
void raw_write (int descriptor, const void *bytes, size_t size);
void raw_read (int descriptor, void *bytes, size_t size);
/* Reads whole frames until one that is no command and has no part after it; its body's length. */
size_t raw_message (int descriptor, unsigned char *body, size_t size);
#endif
