/* SPDX-License-Identifier: Apache-2.0 */
#include "base/list.h"

#include "harness.h"

typedef struct thing {
    int number;
    pn_item item;
} thing;

static void assert_order(const pn_list *list, const char *want)
{
    char forth[8] = "";
    char back[8] = "";
    size_t n = 0;

    for (const pn_item *i = list->first; i != NULL; i = i->next) {
        forth[n++] = (char)('0' + PN_LIST_HOLDER(i, thing, item)->number);
    }
    assert_string_equal(forth, want);
    assert_int_equal(list->n, n);
    for (const pn_item *i = list->last; i != NULL; i = i->prev) {
        back[--n] = (char)('0' + PN_LIST_HOLDER(i, thing, item)->number);
    }
    assert_string_equal(back, want);
}

static void test_base_list_order(void **state)
{
    thing t[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    pn_list list = {0};

    (void)state;
    assert_order(&list, "");
    assert_null(PN_LIST_FIRST(&list, thing, item));
    assert_null(PN_LIST_TAKE(&list, thing, item));
    pn_list_append(&list, &t[1].item);
    pn_list_append(&list, &t[3].item);
    pn_list_insert(&list, NULL, &t[0].item);
    pn_list_insert(&list, &t[1].item, &t[2].item);
    assert_order(&list, "0123");
    assert_ptr_equal(PN_LIST_NEXT(&t[1], thing, item), &t[2]);
    assert_null(PN_LIST_NEXT(&t[3], thing, item));
    pn_list_remove(&t[1].item);
    assert_order(&list, "023");
    pn_list_remove(&t[1].item); /* harmless */
    assert_order(&list, "023");
    pn_list_remove(&t[3].item);
    assert_order(&list, "02");
    assert_ptr_equal(PN_LIST_TAKE(&list, thing, item), &t[0]);
    assert_null(t[0].item.list);
    assert_order(&list, "2");
    pn_list_remove(&t[2].item);
    assert_order(&list, "");
}

/* The body may remove what it has. */
static void test_base_list_each(void **state)
{
    thing t[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    pn_list list = {0};
    pn_list odd = {0};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pn_list_append(&list, &t[i].item);
    }
    PN_LIST_EACH(thing, one, &list, item) {
        if (one->number % 2 == 1) {
            pn_list_remove(&one->item);
            pn_list_append(&odd, &one->item);
        }
    }
    assert_order(&list, "02");
    assert_order(&odd, "1");
}

int main(void)
{
    pn_test_add("base/list/order", test_base_list_order, NULL);
    pn_test_add("base/list/each", test_base_list_each, NULL);
    return pn_test_run("base/list");
}
