/* Intrusive doubly linked list. A zeroed link is not in a list. */
#ifndef FLEET_LIST_H
#define FLEET_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next; /* borrowed: neighbours; the head points at itself when empty */
};

#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
/* NOLINTBEGIN(bugprone-macro-parentheses): `link` is a name to declare */
#define list_each(link, head)                                                         \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head); \
         link = link##_next, link##_next = link->next) /* the current link may be removed */
/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}
static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}
static inline void list_append(struct list *head, struct list *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}
static inline bool list_linked(const struct list *link)
{
    return link->next != NULL;
}
static inline void list_remove(struct list *link)
{
    if (!list_linked(link))
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}
/* Takes the first one off; NULL when there is none. */
static inline struct list *list_take(struct list *head)
{
    struct list *first = head->next;
    if (first == head)
        return NULL;
    head->next = first->next;
    first->next->prev = head;
    first->prev = first->next = NULL;
    return first;
}

#endif
