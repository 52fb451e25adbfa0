/* A panic inside the library stays there: a clock that goes back is a fault of the caller, which a
 * library built for debugging does not bear. */
#include "aqueduct.h"

#include <stdio.h>
#include <string.h>

int main(void) {
    uint8_t key[32] = {1}, seed[32] = {2}, id[32], piece[100];
    size_t len = 0, recorded = 0;
    uint64_t at = 0;
    aqueduct_event event;
    aqueduct_node *node = aqueduct_node_new_recorded(key, seed, AQUEDUCT_TAPE_ELIDED);
    if (!node || aqueduct_next_timeout(node, 1000, &at) != AQUEDUCT_OK || at != UINT64_MAX) {
        return 1;
    }
    if (aqueduct_poll_event(node, 999, &event) != AQUEDUCT_PANICKED) {
        return 2;
    }
    printf("%s\n", aqueduct_error(node));
    if (!strstr(aqueduct_error(node), "panicked")
        || aqueduct_poll_event(node, 1001, &event) != AQUEDUCT_PANICKED
        || aqueduct_node_id(node, id) != AQUEDUCT_PANICKED) {
        return 3;
    }
    while (aqueduct_take_tape(node, piece, sizeof piece, &len) == AQUEDUCT_OK) {
        recorded += len;
    }
    if (recorded == 0 || aqueduct_end_tape(node) != AQUEDUCT_PANICKED) {
        return 4;
    }
    aqueduct_node_free(node);
    puts("still here");
    return 0;
}
