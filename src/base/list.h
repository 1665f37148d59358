/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Doubly linked lists. An item is embedded in what the list holds, so nothing
 * is allocated. Zero-filled is an empty list, and an item of none. An item
 * knows its list: to remove it takes no search, and removing it twice is
 * harmless. <sys/queue.h> has neither property, and musl does not have it.
 */
#ifndef PN_BASE_LIST_H
#define PN_BASE_LIST_H

#include <stddef.h>
#include <stdint.h>

typedef struct pn_list pn_list;

typedef struct pn_item {
    struct pn_item *next;
    struct pn_item *prev;
    pn_list *list; /* NULL: in none */
} pn_item;

struct pn_list {
    pn_item *first;
    pn_item *last;
    uint32_t n;
};

/* after NULL: at the front. */
static inline void pn_list_insert(pn_list *list, pn_item *after, pn_item *item)
{
    item->list = list;
    item->prev = after;
    item->next = after == NULL ? list->first : after->next;
    *(item->prev == NULL ? &list->first : &item->prev->next) = item;
    *(item->next == NULL ? &list->last : &item->next->prev) = item;
    list->n++;
}

static inline void pn_list_append(pn_list *list, pn_item *item)
{
    pn_list_insert(list, list->last, item);
}

/* Does nothing when it is in no list. */
static inline void pn_list_remove(pn_item *item)
{
    pn_list *list = item->list;

    if (list != NULL) {
        *(item->prev == NULL ? &list->first : &item->prev->next) = item->next;
        *(item->next == NULL ? &list->last : &item->next->prev) = item->prev;
        item->list = NULL;
        list->n--;
    }
}

/* The first, which is removed; NULL: the list is empty. */
static inline pn_item *pn_list_take(pn_list *list)
{
    pn_item *item = list->first;

    if (item != NULL) {
        pn_list_remove(item);
    }
    return item;
}

/* The structure that embeds item as its member of that name. */
#define PN_LIST_HOLDER(item, type, member)                                     \
    ((type *)(void *)((uintptr_t)(item)-offsetof(type, member)))
/* The same, and NULL for NULL. */
static inline void *pn_list_holder(const pn_item *item, size_t offset)
{
    return item == NULL ? NULL : (void *)((uintptr_t)item - offset);
}
#define PN_LIST_FIRST(list, type, member)                                      \
    ((type *)pn_list_holder((list)->first, offsetof(type, member)))
#define PN_LIST_TAKE(list, type, member)                                       \
    ((type *)pn_list_holder(pn_list_take(list), offsetof(type, member)))
#define PN_LIST_NEXT(holder, type, member)                                     \
    ((type *)pn_list_holder((holder)->member.next, offsetof(type, member)))
/* A loop over all that the list holds. Its body may remove and free the holder,
 * but not the one after it. */
/* NOLINTBEGIN(bugprone-macro-parentheses): it declares holder. */
#define PN_LIST_EACH(type, holder, list, member)                               \
    for (type *holder = PN_LIST_FIRST(list, type, member),                     \
              *holder##_next =                                                 \
                  holder == NULL ? NULL : PN_LIST_NEXT(holder, type, member);  \
         holder != NULL; holder = holder##_next,                               \
              holder##_next =                                                  \
                  holder == NULL ? NULL : PN_LIST_NEXT(holder, type, member))
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
