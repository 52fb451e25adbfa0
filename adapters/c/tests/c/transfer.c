/* Two nodes, each behind a UDP socket of its own on loopback, in one plain poll(2) loop: the first
 * sends a file of 4 MiB to the second, and both say its digest. On Linux datagrams leave and come in
 * batches, and with their ECN marks. */
#include "aqueduct.h"

#include <arpa/inet.h>
#ifdef __linux__
#include <netinet/udp.h>
#endif
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE (4u << 20)

struct side {
    const char *name;
    aqueduct_node *node;
    int socket;
    uint64_t connection, stream;
    uint64_t digest;  /* FNV-1a of what was written, or read */
    size_t bytes;     /* written, or read */
    int done;         /* delivered, or read to the end */
    int drained;
    uint32_t batch;   /* datagrams that the socket takes at once */
    size_t largest;   /* the largest batch, sent or received, in datagrams */
    size_t marked;    /* receives that were marked */
};

static uint8_t file[SIZE];

static void check(struct side *side, aqueduct_status status, const char *what) {
    if (status < 0) {
        fprintf(stderr, "%s: %s: %s (%d)\n", side->name, what, aqueduct_error(side->node), status);
        exit(1);
    }
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t digest(uint64_t so_far, const uint8_t *bytes, size_t len) {
    for (size_t at = 0; at < len; at++) {
        so_far = (so_far ^ bytes[at]) * 0x100000001b3u;
    }
    return so_far;
}

static void fill(void *bytes, size_t len) {
    FILE *random = fopen("/dev/urandom", "rb");
    if (!random || fread(bytes, 1, len, random) != len) {
        perror("/dev/urandom");
        exit(1);
    }
    fclose(random);
}

/* Tells the node what its socket can do. */
static void prepare(struct side *side) {
    side->batch = 1;
#ifdef UDP_SEGMENT
    int yes = 1, none = 0;
    setsockopt(side->socket, IPPROTO_IP, IP_RECVTOS, &yes, sizeof yes);
    setsockopt(side->socket, IPPROTO_UDP, UDP_GRO, &yes, sizeof yes);
    if (setsockopt(side->socket, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0) {
        side->batch = 16;
    }
#endif
    check(side, aqueduct_set_batch(side->node, side->batch, now()), "set_batch");
}

static void begin(struct side *side, const char *name) {
    uint8_t key[32], seed[32];
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fill(key, sizeof key);
    fill(seed, sizeof seed);
    memset(side, 0, sizeof *side);
    side->name = name;
    side->digest = 0xcbf29ce484222325u;
    side->node = aqueduct_node_new(key, seed);
    side->socket = socket(AF_INET, SOCK_DGRAM, 0);
    if (!side->node || bind(side->socket, (struct sockaddr *)&here, sizeof here)) {
        perror(name);
        exit(1);
    }
    prepare(side);
}

static aqueduct_address from_system(const struct sockaddr_in *there) {
    aqueduct_address address = {.port = ntohs(there->sin_port), .family = 4};
    memcpy(address.ip, &there->sin_addr, 4);
    return address;
}

static aqueduct_address where(const struct side *side) {
    struct sockaddr_in here;
    socklen_t len = sizeof here;
    getsockname(side->socket, (struct sockaddr *)&here, &len);
    return from_system(&here);
}

/* Writes as much of the file as the stream takes. */
static void write_on(struct side *side) {
    while (side->bytes < SIZE) {
        size_t taken = 0;
        check(side,
              aqueduct_write(side->node, side->connection, side->stream, file + side->bytes,
                             SIZE - side->bytes, &taken),
              "write");
        if (taken == 0) {
            return; /* AQUEDUCT_EVENT_WRITABLE follows */
        }
        side->digest = digest(side->digest, file + side->bytes, taken);
        side->bytes += taken;
    }
    check(side, aqueduct_finish(side->node, side->connection, side->stream), "finish");
}

static void read_on(struct side *side) {
    uint8_t buffer[16384];
    for (;;) {
        size_t len = 0;
        aqueduct_status status = aqueduct_read(side->node, side->connection, side->stream, buffer,
                                               sizeof buffer, &len);
        check(side, status, "read");
        if (status != AQUEDUCT_OK) {
            side->done |= status == AQUEDUCT_END;
            return;
        }
        side->digest = digest(side->digest, buffer, len);
        side->bytes += len;
    }
}

static void on_event(struct side *side, int sends, const aqueduct_event *event) {
    char why[256];
    size_t len = 0;
    switch (event->kind) {
    case AQUEDUCT_EVENT_CONNECTED:
        side->connection = event->connection;
        if (sends) {
            check(side, aqueduct_open_stream(side->node, event->connection, "file", 0, &side->stream),
                  "open");
            write_on(side);
        }
        break;
    case AQUEDUCT_EVENT_STREAM:
        if (aqueduct_accept_stream(side->node, event->connection, &side->stream) == AQUEDUCT_OK) {
            read_on(side);
        }
        break;
    case AQUEDUCT_EVENT_READABLE:
        read_on(side);
        break;
    case AQUEDUCT_EVENT_WRITABLE:
        write_on(side);
        break;
    case AQUEDUCT_EVENT_DELIVERED:
        side->done = 1;
        check(side, aqueduct_close(side->node, event->connection, 0, (const uint8_t *)"bye", 3),
              "close");
        break;
    case AQUEDUCT_EVENT_CLOSED:
        check(side,
              aqueduct_close_reason(side->node, event->connection, (uint8_t *)why, sizeof why, &len),
              "why");
        printf("%s: %.*s\n", side->name, (int)len, why);
        break;
    case AQUEDUCT_EVENT_DRAINED:
        side->drained = 1;
        break;
    default:
        break;
    }
}

/* A full socket loses what it does not take, as any router may: it is sent again. */
static void transmit(struct side *side, uint8_t *bytes, size_t len, const aqueduct_way *way) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(way->address.port)};
    struct iovec piece = {bytes, len};
    struct msghdr message = {.msg_name = &there, .msg_namelen = sizeof there, .msg_iov = &piece,
                             .msg_iovlen = 1};
    memcpy(&there.sin_addr, way->address.ip, 4);
#ifdef UDP_SEGMENT
    union {
        char room[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr aligned;
    } control;
    int mark = way->ecn;
    uint16_t segment = (uint16_t)way->segment;
    memset(&control, 0, sizeof control);
    message.msg_control = control.room;
    message.msg_controllen = CMSG_SPACE(sizeof mark);
    struct cmsghdr *note = CMSG_FIRSTHDR(&message);
    *note = (struct cmsghdr){CMSG_LEN(sizeof mark), IPPROTO_IP, IP_TOS};
    memcpy(CMSG_DATA(note), &mark, sizeof mark);
    if (segment) {
        message.msg_controllen = sizeof control.room;
        note = CMSG_NXTHDR(&message, note);
        *note = (struct cmsghdr){CMSG_LEN(sizeof segment), IPPROTO_UDP, UDP_SEGMENT};
        memcpy(CMSG_DATA(note), &segment, sizeof segment);
        size_t count = (len + segment - 1) / segment;
        side->largest = count > side->largest ? count : side->largest;
    }
#endif
    sendmsg(side->socket, &message, 0);
}

/* All that the node has to say. Returns when it wants to be called again. */
static uint64_t drive(struct side *side, int sends) {
    static uint8_t buffer[AQUEDUCT_MAX_BATCH];
    uint64_t at = 0, time = now();
    int moved;
    do {
        aqueduct_event event;
        aqueduct_way to;
        aqueduct_status status;
        size_t len;
        moved = 0;
        while ((status = aqueduct_poll_event(side->node, time, &event)) == AQUEDUCT_OK) {
            moved = 1;
            on_event(side, sends, &event);
        }
        check(side, status, "poll_event");
        while ((status = aqueduct_poll_transmit(side->node, time, buffer, sizeof buffer, &len, &to))
               == AQUEDUCT_OK) {
            moved = 1;
            transmit(side, buffer, len, &to);
        }
        check(side, status, "poll_transmit");
    } while (moved);
    check(side, aqueduct_next_timeout(side->node, time, &at), "next_timeout");
    return at;
}

static void receive(struct side *side) {
    static uint8_t bytes[65536];
    struct sockaddr_in there;
    char control[256];
    for (;;) {
        struct iovec piece = {bytes, sizeof bytes};
        struct msghdr message = {.msg_name = &there, .msg_namelen = sizeof there,
                                 .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t len = recvmsg(side->socket, &message, MSG_DONTWAIT);
        if (len < 0) {
            return;
        }
        aqueduct_way from = {.address = from_system(&there)};
#ifdef UDP_SEGMENT
        for (struct cmsghdr *note = CMSG_FIRSTHDR(&message); note;
             note = CMSG_NXTHDR(&message, note)) {
            if (note->cmsg_level == IPPROTO_IP && note->cmsg_type == IP_TOS) {
                from.ecn = *CMSG_DATA(note) & 3;
            } else if (note->cmsg_level == IPPROTO_UDP && note->cmsg_type == UDP_GRO) {
                int segment;
                memcpy(&segment, CMSG_DATA(note), sizeof segment);
                from.segment = (uint32_t)segment;
            }
        }
#endif
        size_t count = from.segment ? ((size_t)len + from.segment - 1) / from.segment : 1;
        side->largest = count > side->largest ? count : side->largest;
        side->marked += from.ecn != 0;
        check(side, aqueduct_feed(side->node, bytes, (size_t)len, &from, now()), "feed");
    }
}

int main(void) {
    struct side sides[2], *sender = &sides[0], *receiver = &sides[1];
    uint8_t id[32], peer[32];
    uint64_t limit = now() + 60000000000u;
    aqueduct_address to;
    fill(file, sizeof file);
    begin(sender, "sender");
    begin(receiver, "receiver");
    check(receiver, aqueduct_node_id(receiver->node, id), "id");
    to = where(receiver);
    check(sender, aqueduct_connect(sender->node, id, &to, now(), &sender->connection), "connect");
    while (!(sender->drained && receiver->drained) && now() < limit) {
        uint64_t first = drive(sender, 1), second = drive(receiver, 0), time = now();
        uint64_t at = first < second ? first : second;
        uint64_t wait = at <= time ? 0 : (at - time + 999999) / 1000000;
        struct pollfd fds[2] = {{sender->socket, POLLIN, 0}, {receiver->socket, POLLIN, 0}};
        poll(fds, 2, wait > 1000 ? 1000 : (int)wait);
        receive(sender);
        receive(receiver);
        if (sender->done && aqueduct_peer(sender->node, sender->connection, peer) == AQUEDUCT_OK
            && memcmp(peer, id, sizeof id) != 0) {
            fprintf(stderr, "connected to somebody else\n");
            return 1;
        }
    }
    for (int at = 0; at < 2; at++) {
        printf("%s: %zu bytes, digest %016llx\n", sides[at].name, sides[at].bytes,
               (unsigned long long)sides[at].digest);
        printf("%s: batches of up to %zu of %u, %zu receives with a mark\n", sides[at].name,
               sides[at].largest, sides[at].batch, sides[at].marked);
        aqueduct_node_free(sides[at].node);
        close(sides[at].socket);
    }
    if (!sender->done || !receiver->done || sender->bytes != SIZE || receiver->bytes != SIZE
        || sender->digest != receiver->digest) {
        fprintf(stderr, "the file did not arrive whole\n");
        return 1;
    }
    if (sender->batch > 1 && (sender->largest < 2 || receiver->marked == 0)) {
        fprintf(stderr, "no batch, or no mark\n");
        return 1;
    }
    puts("equal digests");
    return 0;
}
