/* The client's side of a CURVE handshake (RFC 26), command by command, for test_security_curve, which spoils them
 * before it sends them. Names and arguments are those that the program uses; the rest follows the RFC. libsodium is
 * loaded at run time: Debian's libzmq5 brings it along, without its headers. */

#ifndef FERROZMQ_CONFORMANCE_CURVE_CLIENT_TOOLS_HPP
#define FERROZMQ_CONFORMANCE_CURVE_CLIENT_TOOLS_HPP

/* The program itself uses assert and htonl without asking for them. */
#include <arpa/inet.h>
#include <assert.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define crypto_box_BEFORENMBYTES 32

namespace zmq
{
struct sodium_t
{
    int (*init) ();
    int (*keypair) (uint8_t *public_, uint8_t *secret_);
    void (*random) (void *bytes_, size_t size_);
    int (*agree) (uint8_t *shared_, const uint8_t *public_, const uint8_t *secret_);
    int (*seal) (uint8_t *box_, const uint8_t *plain_, unsigned long long size_, const uint8_t *nonce_,
                 const uint8_t *shared_);
    int (*open) (uint8_t *plain_, const uint8_t *box_, unsigned long long size_, const uint8_t *nonce_,
                 const uint8_t *shared_);

    sodium_t () : library (dlopen ("libsodium.so.23", RTLD_NOW))
    {
        if (!library)
            give_up (dlerror ());
        find (init, "sodium_init");
        find (keypair, "crypto_box_keypair");
        find (random, "randombytes_buf");
        find (agree, "crypto_box_beforenm");
        find (seal, "crypto_box_easy_afternm");
        find (open, "crypto_box_open_easy_afternm");
        if (init () < 0)
            give_up ("sodium_init failed");
    }

    static const sodium_t &get ()
    {
        static const sodium_t loaded;
        return loaded;
    }

  private:
    void *library;

    template <typename F> void find (F &function_, const char *name_)
    {
        void *const symbol = dlsym (library, name_);
        if (!symbol)
            give_up (dlerror ());
        memcpy (&function_, &symbol, sizeof symbol);
    }

    static void give_up (const char *why_)
    {
        fprintf (stderr, "libsodium (Debian: libsodium23) is needed: %s\n", why_);
        exit (1);
    }
};

class curve_client_tools_t
{
  public:
    curve_client_tools_t (const uint8_t *public_, const uint8_t *secret_, const uint8_t *server_)
    {
        memcpy (own_public, public_, sizeof own_public);
        memcpy (own_secret, secret_, sizeof own_secret);
        memcpy (server, server_, sizeof server);
        sodium_t::get ().keypair (short_public, short_secret);
    }

    /* 200 bytes. */
    int produce_hello (void *data_, uint64_t number_)
    {
        uint8_t *out = static_cast<uint8_t *> (data_), shared[32], nonce[24], zeros[64];
        memset (zeros, 0, sizeof zeros);
        memset (out, 0, 200);
        memcpy (out, "\x05HELLO\x01", 7);
        memcpy (out + 80, short_public, 32);
        number (out + 112, nonce, "CurveZMQHELLO---", number_);
        const sodium_t &sodium = sodium_t::get ();
        if (sodium.agree (shared, server, short_secret) != 0)
            return -1;
        return sodium.seal (out + 120, zeros, sizeof zeros, nonce, shared);
    }

    /* The key of what follows goes to shared_. */
    int process_welcome (const uint8_t *data_, size_t size_, uint8_t *shared_)
    {
        uint8_t shared[32], nonce[24], plain[128];
        if (size_ != 168 || memcmp (data_, "\x07WELCOME", 8) != 0)
            return -1;
        memcpy (nonce, "WELCOME-", 8);
        memcpy (nonce + 8, data_ + 8, 16);
        const sodium_t &sodium = sodium_t::get ();
        if (sodium.agree (shared, server, short_secret) != 0
            || sodium.open (plain, data_ + 24, 144, nonce, shared) != 0)
            return -1;
        memcpy (server_short, plain, 32);
        memcpy (cookie, plain + 32, 96);
        return sodium.agree (shared_, server_short, short_secret);
    }

    int produce_initiate (
      void *data_, size_t size_, uint64_t number_, const uint8_t *properties_, size_t properties_size_)
    {
        uint8_t *out = static_cast<uint8_t *> (data_), shared[32], nonce[24], plain[128 + 1024], vouched[64];
        if (properties_size_ > 1024 || size_ != 257 + properties_size_)
            return -1;
        const sodium_t &sodium = sodium_t::get ();

        memcpy (vouched, short_public, 32);
        memcpy (vouched + 32, server, 32);
        memcpy (plain, own_public, 32);
        sodium.random (plain + 32, 16);
        memcpy (nonce, "VOUCH---", 8);
        memcpy (nonce + 8, plain + 32, 16);
        if (sodium.agree (shared, server_short, own_secret) != 0
            || sodium.seal (plain + 48, vouched, sizeof vouched, nonce, shared) != 0)
            return -1;
        if (properties_size_)
            memcpy (plain + 128, properties_, properties_size_);

        memcpy (out, "\x08INITIATE", 9);
        memcpy (out + 9, cookie, 96);
        number (out + 105, nonce, "CurveZMQINITIATE", number_);
        if (sodium.agree (shared, server_short, short_secret) != 0)
            return -1;
        return sodium.seal (out + 113, plain, 128 + properties_size_, nonce, shared);
    }

  private:
    uint8_t own_public[32], own_secret[32], server[32];
    uint8_t short_public[32], short_secret[32];
    uint8_t server_short[32], cookie[96];

    /* Writes a number as it goes onto the wire, and the nonce made of it. */
    static void number (uint8_t *out_, uint8_t *nonce_, const char *prefix_, uint64_t number_)
    {
        for (int i = 0; i < 8; i++)
            out_[i] = static_cast<uint8_t> (number_ >> (56 - 8 * i));
        memcpy (nonce_, prefix_, 16);
        memcpy (nonce_ + 16, out_, 8);
    }
};
}

#endif
