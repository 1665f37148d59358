/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of one connection, which goes as a whole when the connection does.
 *
 * ngtcp2 before 1.6 loses frames: one that was allocated for many pieces and
 * has few left when it is sent again is put into the pool of those that never
 * were, and the pool frees its own alone (its issue 1244). Some hundred bytes
 * of a connection that lost packets would stay behind for as long as the
 * process runs.
 */
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "quic_internal.h"

/* In front of each block. */
typedef struct quic_block {
    alignas(max_align_t) pn_item item;
    size_t size;
} quic_block;

static void block_list(quic_memory *memory, quic_block *block, size_t size)
{
    block->size = size;
    memory->bytes += size;
    pn_list_append(&memory->blocks, &block->item);
}

static void block_unlist(quic_memory *memory, quic_block *block)
{
    memory->bytes -= block->size;
    pn_list_remove(&block->item);
}

/* NULL for NULL. */
static quic_block *block_of(void *p)
{
    return p == NULL ? NULL : (quic_block *)p - 1;
}

static void *on_realloc(void *p, size_t size, void *user)
{
    quic_memory *memory = user;
    quic_block *old = block_of(p);
    quic_block *block;

    if (size > SIZE_MAX - sizeof(*block)) {
        return NULL;
    }
    if (old != NULL) {
        block_unlist(memory, old);
    }
    block = realloc(old, sizeof(*block) + size);
    if (block != NULL) {
        block_list(memory, block, size);
    } else if (old != NULL) {
        block_list(memory, old, old->size);
    }
    return block == NULL ? NULL : block + 1;
}

static void *on_malloc(size_t size, void *user)
{
    return on_realloc(NULL, size, user);
}

static void *on_calloc(size_t n, size_t size, void *user)
{
    quic_block *block;

    if (size != 0 && n > (SIZE_MAX - sizeof(*block)) / size) {
        return NULL;
    }
    block = calloc(1, sizeof(*block) + n * size);
    if (block == NULL) {
        return NULL;
    }
    block_list(user, block, n * size);
    return block + 1;
}

static void on_free(void *p, void *user)
{
    quic_block *block = block_of(p);

    if (block != NULL) {
        block_unlist(user, block);
        free(block);
    }
}

const ngtcp2_mem *pn_quic_memory_init(quic_memory *memory)
{
    memory->blocks = (pn_list){0};
    memory->bytes = 0;
    memory->mem = (ngtcp2_mem){.user_data = memory,
        .malloc = on_malloc,
        .free = on_free,
        .calloc = on_calloc,
        .realloc = on_realloc};
    return &memory->mem;
}

void pn_quic_memory_fini(quic_memory *memory)
{
    PN_LIST_EACH(quic_block, block, &memory->blocks, item) {
        block_unlist(memory, block);
        free(block);
    }
}
