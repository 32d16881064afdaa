#ifndef COLUMNS_H
#define COLUMNS_H

#include <stddef.h>

#define MAX_COLUMNS 64

/* Column numbers, counted from 1, in the order in which they are wanted. */
struct columns {
    int numbers[MAX_COLUMNS];
    size_t count;
};

/* Reads a list such as "1,3-5". Returns 0, or -1 where the text is no such list. */
int columns_parse(struct columns *columns, const char *text);

#endif
