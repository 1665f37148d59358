/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of one QUIC connection: an allocator like any other, and nothing
 * of it stays when the connection ends (the leak checkers watch). */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "quic/quic_internal.h"

enum { N = 100 };

static void fill(uint8_t *p, size_t len, size_t seed)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = (uint8_t)(seed + i);
    }
}

static void check(const uint8_t *p, size_t len, size_t seed)
{
    assert_non_null(p);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(p[i], (uint8_t)(seed + i));
    }
}

static void test_blocks(void **state)
{
    quic_memory m;
    const ngtcp2_mem *mem = pn_quic_memory_init(&m);
    void *p[N];

    (void)state;
    for (size_t i = 0; i < N; i++) {
        p[i] = mem->malloc(i, mem->user_data);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t)p[i] % _Alignof(max_align_t), 0);
        fill(p[i], i, i);
    }
    /* The oldest, the newest and those between. */
    for (size_t i = 0; i < N; i += 3) {
        mem->free(p[i], mem->user_data);
    }
    for (size_t i = 1; i < N; i += 3) {
        p[i] = mem->realloc(p[i], i * 50, mem->user_data);
        check(p[i], i, i);
        fill(p[i], i * 50, i);
    }
    for (size_t i = 1; i < N; i += 3) {
        check(p[i], i * 50, i);
    }
    for (size_t i = 2; i < N; i += 3) {
        check(p[i], i, i);
    }
    pn_quic_memory_fini(&m);
    assert_null(m.blocks.first);
}

static void test_all_freed(void **state)
{
    quic_memory m;
    const ngtcp2_mem *mem = pn_quic_memory_init(&m);
    void *a = mem->malloc(10, mem->user_data);
    void *b = mem->realloc(NULL, 10, mem->user_data);

    (void)state;
    mem->free(NULL, mem->user_data);
    mem->free(a, mem->user_data);
    assert_non_null(m.blocks.first);
    mem->free(b, mem->user_data);
    assert_null(m.blocks.first);
    pn_quic_memory_fini(&m);
}

static void test_zeros(void **state)
{
    static const uint8_t expected[3000];
    quic_memory m;
    const ngtcp2_mem *mem = pn_quic_memory_init(&m);
    uint8_t *p = mem->calloc(1000, 3, mem->user_data);

    (void)state;
    assert_non_null(p);
    assert_memory_equal(p, expected, sizeof(expected));
    assert_non_null(mem->calloc(0, 0, mem->user_data));
    pn_quic_memory_fini(&m);
}

/* More than the limit: NULL, and the old memory is unchanged. */
static void test_too_much(void **state)
{
    quic_memory m;
    const ngtcp2_mem *mem = pn_quic_memory_init(&m);
    uint8_t *p = mem->malloc(100, mem->user_data);

    (void)state;
    assert_non_null(p);
    fill(p, 100, 7);
    assert_null(mem->malloc(SIZE_MAX, mem->user_data));
    assert_null(mem->realloc(p, SIZE_MAX, mem->user_data));
    assert_null(mem->calloc(SIZE_MAX / 2, 3, mem->user_data));
    assert_null(mem->calloc(3, SIZE_MAX / 2, mem->user_data));
    check(p, 100, 7);
    pn_quic_memory_fini(&m);
}

#define T(name) pn_test_add("barrel/quic_memory/" #name, test_##name, NULL)

int main(void)
{
    T(blocks);
    T(all_freed);
    T(zeros);
    T(too_much);
    return pn_test_run("barrel-quic-memory");
}
