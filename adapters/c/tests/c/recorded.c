/* Two nodes in one thread, without a socket, on a clock that only counts: the first sends a text to
 * the second. Both are recorded, and their tapes go into the two files that are named. */
#include "aqueduct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 100000u
#define MILLISECOND 1000000u

struct side {
    aqueduct_node *node;
    FILE *tape;
    aqueduct_address address;
    uint64_t connection, stream;
    size_t bytes; /* written, or read */
    int drained;
};

static uint8_t text[SIZE];

static aqueduct_status check(struct side *side, aqueduct_status status, const char *what) {
    if (status < 0) {
        fprintf(stderr, "%s: %s (%d)\n", what, aqueduct_error(side->node), status);
        exit(1);
    }
    return status;
}

static void begin(struct side *side, uint8_t number, const char *file) {
    uint8_t key[32] = {number}, seed[32] = {number}; /* of a generator, where it is no test */
    memset(side, 0, sizeof *side);
    side->node = aqueduct_node_new_recorded(key, seed, AQUEDUCT_TAPE_FULL);
    side->tape = fopen(file, "wb");
    side->address = (aqueduct_address){.ip = {10, 0, 0, number}, .port = 7, .family = 4};
    if (!side->node || !side->tape) {
        perror(file);
        exit(1);
    }
    check(side, aqueduct_set_batch(side->node, 16, 1), "set_batch");
}

/* Writes what was recorded since the last time. Says whether the tape is at its end. */
static int record(struct side *side) {
    uint8_t piece[1000];
    size_t len = 0;
    aqueduct_status status;
    while ((status = check(side, aqueduct_take_tape(side->node, piece, sizeof piece, &len), "tape"))
           == AQUEDUCT_OK) {
        fwrite(piece, 1, len, side->tape);
    }
    return status == AQUEDUCT_END;
}

static void write_on(struct side *side) {
    size_t taken = 1;
    while (side->bytes < SIZE && taken > 0) {
        check(side,
              aqueduct_write(side->node, side->connection, side->stream, text + side->bytes,
                             SIZE - side->bytes, &taken),
              "write");
        side->bytes += taken;
    }
    if (side->bytes == SIZE) {
        check(side, aqueduct_finish(side->node, side->connection, side->stream), "finish");
    }
}

static void read_on(struct side *side) {
    uint8_t buffer[4096];
    size_t len = 0;
    while (check(side,
                 aqueduct_read(side->node, side->connection, side->stream, buffer, sizeof buffer,
                               &len),
                 "read")
           == AQUEDUCT_OK) {
        if (side->bytes + len > SIZE || memcmp(text + side->bytes, buffer, len) != 0) {
            fprintf(stderr, "another text\n");
            exit(1);
        }
        side->bytes += len;
    }
}

static void on_event(struct side *side, int sends, const aqueduct_event *event) {
    switch (event->kind) {
    case AQUEDUCT_EVENT_CONNECTED:
        side->connection = event->connection;
        if (sends) {
            check(side, aqueduct_open_stream(side->node, event->connection, "text", 0, &side->stream),
                  "open");
            write_on(side);
        }
        break;
    case AQUEDUCT_EVENT_STREAM:
        check(side, aqueduct_accept_stream(side->node, event->connection, &side->stream), "accept");
        read_on(side);
        break;
    case AQUEDUCT_EVENT_READABLE:
        read_on(side);
        break;
    case AQUEDUCT_EVENT_WRITABLE:
        write_on(side);
        break;
    case AQUEDUCT_EVENT_DELIVERED:
        check(side, aqueduct_close(side->node, event->connection, 0, (const uint8_t *)"bye", 3),
              "close");
        break;
    case AQUEDUCT_EVENT_DRAINED:
        side->drained = 1;
        break;
    default:
        break;
    }
}

/* All that the node has to say, and to the other. Says whether there was anything. */
static int drive(struct side *side, struct side *other, int sends, uint64_t now) {
    static uint8_t buffer[AQUEDUCT_MAX_BATCH];
    aqueduct_event event;
    aqueduct_way way;
    size_t len;
    int moved = 0;
    while (check(side, aqueduct_poll_event(side->node, now, &event), "poll_event") == AQUEDUCT_OK) {
        moved = 1;
        on_event(side, sends, &event);
    }
    while (check(side, aqueduct_poll_transmit(side->node, now, buffer, sizeof buffer, &len, &way),
                 "poll_transmit")
           == AQUEDUCT_OK) {
        moved = 1;
        way.address = side->address; /* batch and mark arrive as they left */
        check(other, aqueduct_feed(other->node, buffer, len, &way, now), "feed");
    }
    return moved;
}

static uint64_t next(struct side *side, uint64_t now) {
    uint64_t at = 0;
    check(side, aqueduct_next_timeout(side->node, now, &at), "next_timeout");
    return at;
}

int main(int count, char **files) {
    struct side sides[2], *sender = &sides[0], *receiver = &sides[1];
    uint64_t now = 1;
    uint8_t id[32];
    if (count != 3) {
        return 2;
    }
    for (size_t at = 0; at < SIZE; at++) {
        text[at] = (uint8_t)(at * 31 + at / 256);
    }
    begin(sender, 1, files[1]);
    begin(receiver, 2, files[2]);
    check(receiver, aqueduct_node_id(receiver->node, id), "id");
    check(sender,
          aqueduct_connect(sender->node, id, &receiver->address, now, &sender->connection),
          "connect");
    while (!(sender->drained && receiver->drained)) {
        int moved = drive(sender, receiver, 1, now);
        moved |= drive(receiver, sender, 0, now);
        if (moved) {
            now += MILLISECOND;
        } else {
            uint64_t first = next(sender, now), second = next(receiver, now);
            now = first < second ? first : second;
        }
        record(sender);
        record(receiver);
        if (now > 600000u * (uint64_t)MILLISECOND) {
            fprintf(stderr, "no end after ten minutes\n");
            return 1;
        }
    }
    for (int at = 0; at < 2; at++) {
        check(&sides[at], aqueduct_end_tape(sides[at].node), "end_tape");
        if (!record(&sides[at]) || fclose(sides[at].tape) != 0) {
            fprintf(stderr, "the tape has no end\n");
            return 1;
        }
        aqueduct_node_free(sides[at].node);
    }
    if (sender->bytes != SIZE || receiver->bytes != SIZE) {
        fprintf(stderr, "the text did not arrive whole\n");
        return 1;
    }
    puts("recorded");
    return 0;
}
