/* The table of started calls: what a ticket will bring, and the memory that is lent to the node until then. */
#include "module.h"

#include <string.h>

#define FIRST_BUCKET_COUNT 64

call *call_new(enum call_kind kind) {
    call *entry = PyMem_Calloc(1, sizeof *entry);
    if (entry == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    entry->kind = kind;
    return entry;
}

void call_free(call *entry) {
    if (entry == NULL) {
        return;
    }
    if (entry->view.obj != NULL) {
        PyBuffer_Release(&entry->view);
    }
    Py_XDECREF(entry->reply_type);
    PyMem_Free(entry->block);
    PyMem_Free(entry);
}

/* Tickets count up, so that their low bits spread them evenly. */
static call **bucket_of(const call_table *table, uint64_t ticket) {
    return &table->buckets[ticket & (table->bucket_count - 1)];
}

static void insert(call_table *table, call *entry) {
    call **bucket = bucket_of(table, entry->ticket);
    entry->next = *bucket;
    *bucket = entry;
}

int call_table_reserve(call_table *table) {
    if (table->count < table->bucket_count) {
        return 0;
    }
    call_table larger = {.bucket_count = table->bucket_count == 0 ? FIRST_BUCKET_COUNT : table->bucket_count * 2, .count = table->count};
    larger.buckets = PyMem_Calloc(larger.bucket_count, sizeof *larger.buckets);
    if (larger.buckets == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t index = 0; index < table->bucket_count; index++) {
        for (call *entry = table->buckets[index], *next; entry != NULL; entry = next) {
            next = entry->next;
            insert(&larger, entry);
        }
    }
    PyMem_Free(table->buckets);
    *table = larger;
    return 0;
}

void call_table_add(call_table *table, call *entry) {
    insert(table, entry);
    table->count++;
}

call *call_table_take(call_table *table, uint64_t ticket) {
    if (table->bucket_count == 0) {
        return NULL;
    }
    for (call **link = bucket_of(table, ticket); *link != NULL; link = &(*link)->next) {
        call *entry = *link;
        if (entry->ticket == ticket) {
            *link = entry->next;
            table->count--;
            return entry;
        }
    }
    return NULL;
}

void call_table_clear(call_table *table) {
    call_table old = *table;
    memset(table, 0, sizeof *table);
    for (size_t index = 0; index < old.bucket_count; index++) {
        for (call *entry = old.buckets[index], *next; entry != NULL; entry = next) {
            next = entry->next;
            call_free(entry);
        }
    }
    PyMem_Free(old.buckets);
}
