#include "columns.h"

#include <ctype.h>
#include <stdlib.h>

static int add(struct columns *columns, int number)
{
    if (columns->count == MAX_COLUMNS)
        return -1;
    columns->numbers[columns->count++] = number;
    return 0;
}

static int add_range(struct columns *columns, int first, int last)
{
    for (int number = first; number < last; number++)
        if (add(columns, number) != 0)
            return -1;
    return 0;
}

/* A number above zero; moves *text behind it. Returns -1 where there is none. */
static int read_number(const char **text)
{
    char *end;
    long number;

    if (!isdigit((unsigned char)**text))
        return -1;
    number = strtol(*text, &end, 10);
    if (number < 1 || number > 10000)
        return -1;
    *text = end;
    return (int)number;
}

static int read_choice(struct columns *columns, const char **text)
{
    int first, last;

    first = read_number(text);
    if (first < 0)
        return -1;
    if (**text != '-')
        return add(columns, first);
    ++*text;
    last = read_number(text);
    if (last < first)
        return -1;
    return add_range(columns, first, last);
}

int columns_parse(struct columns *columns, const char *text)
{
    columns->count = 0;
    for (;;) {
        if (read_choice(columns, &text) != 0)
            return -1;
        if (*text == '\0')
            return 0;
        if (*text++ != ',')
            return -1;
    }
}
