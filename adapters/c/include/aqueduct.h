/* Aqueduct's core behind a C boundary.
 *
 * A node is a machine: it opens no socket, reads no clock and starts no thread. Its caller feeds it
 * the datagrams that a UDP socket received, sends what it wants sent, and calls it again at the
 * time that it names. One turn of a loop:
 *
 *     aqueduct_feed(node, datagrams, len, &from, now);         // whatever came
 *     do {
 *         moved = 0;
 *         while (aqueduct_poll_event(node, now, &event) == AQUEDUCT_OK) { moved = 1; ... }
 *         while (aqueduct_poll_transmit(node, now, buffer, sizeof buffer, &len, &to)
 *                == AQUEDUCT_OK) { moved = 1; sendto(...); }
 *     } while (moved);
 *     aqueduct_next_timeout(node, now, &at);                   // sleep until `at`, or until more came
 *
 * Times are nanoseconds since a moment of the caller's choice, on a clock that never goes back, the
 * same for all calls of a node. A node is used by one thread at a time. Pointers are valid for the
 * call and belong to the caller; where bytes are counted by a length of zero the pointer may be null.
 *
 * No panic of the library crosses this boundary. Where one happened, the call returns
 * AQUEDUCT_PANICKED, and so does every later call with that node, which can only be freed: but its
 * tape, if it has one, can be taken first.
 */
#ifndef AQUEDUCT_H
#define AQUEDUCT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An endpoint on one UDP socket. */
typedef struct aqueduct_node aqueduct_node;

/* What a call returns: zero and more if it did its work, less if not. */
enum {
    AQUEDUCT_OK = 0,        /* done; what was asked for is there */
    AQUEDUCT_NOTHING = 1,   /* nothing to give, or no room now; an event says when to try again */
    AQUEDUCT_END = 2,       /* the stream was read to its end, or the tape */
    AQUEDUCT_INVALID = -1,  /* an argument that cannot be */
    AQUEDUCT_UNKNOWN = -2,  /* no connection or stream of that number; it may have been there once */
    AQUEDUCT_REFUSED = -3,  /* it cannot be done now, or with this peer */
    AQUEDUCT_OVER = -4,     /* the stream is over: reset, stopped, finished */
    AQUEDUCT_TOO_SMALL = -5, /* the buffer is too small; nothing was lost */
    AQUEDUCT_PANICKED = -6, /* the library met a fault of its own; free the node */
    AQUEDUCT_SKIPPED = -7   /* bytes come next that the peer will never send: `aqueduct_pass_skipped` */
};
typedef int32_t aqueduct_status;

/* News of a connection. Pass over kinds that are not named here. */
enum {
    AQUEDUCT_EVENT_CONNECTED = 1,  /* the handshake is done; `aqueduct_peer` says with whom. The side
                                      that was dialed hears of the connection here, its number too */
    AQUEDUCT_EVENT_STREAM = 2,     /* `aqueduct_accept_stream` may give a stream */
    AQUEDUCT_EVENT_READABLE = 3,   /* read until AQUEDUCT_NOTHING */
    AQUEDUCT_EVENT_WRITABLE = 4,   /* after a write took less than it was given */
    AQUEDUCT_EVENT_DELIVERED = 5,  /* every byte and the end of the stream were acknowledged */
    AQUEDUCT_EVENT_STOPPED = 6,    /* the peer wants no more of the stream */
    AQUEDUCT_EVENT_OPENABLE = 7,   /* after `aqueduct_open_stream` met the peer's limit */
    AQUEDUCT_EVENT_CLOSED = 8,     /* the connection ended; `aqueduct_close_reason` says why */
    AQUEDUCT_EVENT_DRAINED = 9,    /* its number is dead from now on */
    AQUEDUCT_EVENT_STUCK = 10      /* the stream was ended by this side: nothing moved on it */
};
typedef struct {
    uint32_t kind;
    uint32_t reserved;
    uint64_t connection;
    uint64_t stream; /* zero if the news is of no stream */
} aqueduct_event;

/* Of an IPv4 address the first four bytes of `ip` count. Port as a number of this machine. */
typedef struct {
    uint8_t ip[16];
    uint16_t port;
    uint8_t family; /* 4 or 6 */
    uint8_t reserved;
} aqueduct_address;

/* Where datagrams come from, or go to, and how. One call may take a batch: datagrams of `segment` bytes
 * one behind the other, of which the last may be shorter; zero: it is one datagram. `ecn` are the two
 * bits of the IP header: send with them, and say with which a datagram came. Who cannot, says zero: then
 * marks are not used. */
typedef struct {
    aqueduct_address address;
    uint32_t segment;
    uint8_t ecn;
    uint8_t reserved[3];
} aqueduct_way;

/* No datagram that is sent is longer, in bytes; and no batch. */
#define AQUEDUCT_MAX_DATAGRAM 1452
#define AQUEDUCT_MAX_BATCH 65535

/* A node with the key whose secret is `key`. Everything random in it comes from `seed`, which must be
 * fresh from the system's generator for every node. Null if that failed. */
aqueduct_node *aqueduct_node_new(const uint8_t key[32], const uint8_t seed[32]);
void aqueduct_node_free(aqueduct_node *node);

/* What of the payload a tape keeps. */
enum {
    AQUEDUCT_TAPE_FULL = 0,       /* all of it: `aqueduct trace replay` needs nothing else */
    AQUEDUCT_TAPE_REFERENCED = 1, /* not the bytes that the application gave to be sent */
    AQUEDUCT_TAPE_ELIDED = 2      /* none, and no keys: to be looked at, not replayed */
};

/* As `aqueduct_node_new`, and recorded from its first moment: what goes into the node and comes out
 * of it is on its tape, which runs again elsewhere, step by step (spec/22-tapes.md). Unless it is
 * AQUEDUCT_TAPE_ELIDED the tape holds the node's key and every key of its connections: keep it as
 * you keep the key. Null, too, where `payload` is none of the above. */
aqueduct_node *aqueduct_node_new_recorded(const uint8_t key[32], const uint8_t seed[32],
                                          int32_t payload);

/* Why the last call with this node failed, in words; empty if it did not. Stands until the next. */
const char *aqueduct_error(const aqueduct_node *node);

/* The node's own id: its public key. */
aqueduct_status aqueduct_node_id(aqueduct_node *node, uint8_t id[32]);

/* Begins a connection to the node `id`; null connects to whoever answers there. */
aqueduct_status aqueduct_connect(aqueduct_node *node, const uint8_t id[32],
                                 const aqueduct_address *to, uint64_t now, uint64_t *connection);

/* The socket takes up to `most` datagrams of one size in one call (1 to 64; UDP_SEGMENT on Linux), and
 * AQUEDUCT_MAX_BATCH bytes: `aqueduct_poll_transmit` gives so many at once from now on. It is 1 before. */
aqueduct_status aqueduct_set_batch(aqueduct_node *node, uint32_t most, uint64_t now);

/* A datagram came, or a batch of one sender and one mark. They are opened in place: their bytes are
 * changed. */
aqueduct_status aqueduct_feed(aqueduct_node *node, uint8_t *datagrams, size_t len,
                              const aqueduct_way *from, uint64_t now);

/* The next event; AQUEDUCT_NOTHING while there is none, or while a datagram waits to be taken. */
aqueduct_status aqueduct_poll_event(aqueduct_node *node, uint64_t now, aqueduct_event *event);

/* The next datagram or batch to send; AQUEDUCT_NOTHING while there is none, or while an event waits to
 * be taken. With AQUEDUCT_TOO_SMALL `len` says what is needed. */
aqueduct_status aqueduct_poll_transmit(aqueduct_node *node, uint64_t now, uint8_t *buffer,
                                       size_t room, size_t *len, aqueduct_way *to);

/* When to poll again at the latest: `now`, while something waits to be taken; UINT64_MAX, if nothing
 * will happen before the next input. */
aqueduct_status aqueduct_next_timeout(aqueduct_node *node, uint64_t now, uint64_t *at);

/* Who the peer is, once it is connected. */
aqueduct_status aqueduct_peer(aqueduct_node *node, uint64_t connection, uint8_t id[32]);

/* Why a connection ended, as a sentence without a zero at its end. */
aqueduct_status aqueduct_close_reason(aqueduct_node *node, uint64_t connection, uint8_t *buffer,
                                      size_t room, size_t *len);

/* Opens a stream that speaks `protocol` (1 to 64 bytes and a zero); with `both_ways` not zero the
 * peer may answer on it. */
aqueduct_status aqueduct_open_stream(aqueduct_node *node, uint64_t connection,
                                     const char *protocol, int32_t both_ways, uint64_t *stream);

/* The next stream that the peer opened. */
aqueduct_status aqueduct_accept_stream(aqueduct_node *node, uint64_t connection, uint64_t *stream);

/* Adds bytes to a stream; `taken` says how many, and AQUEDUCT_NOTHING that there was no room. */
aqueduct_status aqueduct_write(aqueduct_node *node, uint64_t connection, uint64_t stream,
                               const uint8_t *data, size_t len, size_t *taken);

/* Ends a stream behind what was written. */
aqueduct_status aqueduct_finish(aqueduct_node *node, uint64_t connection, uint64_t stream);

/* Gives a stream up, as its writer; or wants no more of it, as its reader. */
aqueduct_status aqueduct_reset(aqueduct_node *node, uint64_t connection, uint64_t stream,
                               uint64_t code);
aqueduct_status aqueduct_stop(aqueduct_node *node, uint64_t connection, uint64_t stream,
                              uint64_t code);

/* Reads the next bytes of a stream in order. AQUEDUCT_SKIPPED where the peer left some out: the stream
 * lives on behind them, and every read says so again until it was passed, or stopped. */
aqueduct_status aqueduct_read(aqueduct_node *node, uint64_t connection, uint64_t stream,
                              uint8_t *buffer, size_t room, size_t *len);

/* Goes past bytes that come next and will never be there: those from `start` up to `end`, counted from
 * the stream's beginning. AQUEDUCT_NOTHING where none were left out; AQUEDUCT_END if the stream ends
 * with them, or ended before: then both are zero. */
aqueduct_status aqueduct_pass_skipped(aqueduct_node *node, uint64_t connection, uint64_t stream,
                                      uint64_t *start, uint64_t *end);

/* Another congestion controller for what is sent on a connection from now on: "cubic" (the default),
 * "newreno", "bbr", "weir", or "ledbat", which yields to whatever else uses the path. */
aqueduct_status aqueduct_set_controller(aqueduct_node *node, uint64_t connection, const char *name);

/* Ends a connection when everything that was written is delivered. */
aqueduct_status aqueduct_close(aqueduct_node *node, uint64_t connection, uint64_t code,
                               const uint8_t *why, size_t len);

/* The next bytes of the tape, to be written one piece behind the other; AQUEDUCT_NOTHING while there
 * are none, AQUEDUCT_END behind the last, when the tape was ended or has ended itself: because more
 * than 16 MiB waited to be taken. Taken at every turn it is longer than once a second, or every
 * 64 KiB. */
aqueduct_status aqueduct_take_tape(aqueduct_node *node, uint8_t *buffer, size_t room, size_t *len);

/* Ends the tape here. What was recorded can still be taken, and the node lives on. */
aqueduct_status aqueduct_end_tape(aqueduct_node *node);

/* Room in the module's memory, zeroed, for a WebAssembly host that has no other; null if none. */
uint8_t *aqueduct_alloc(size_t len);
void aqueduct_dealloc(uint8_t *room, size_t len);

#ifdef __cplusplus
}
#endif

#endif
