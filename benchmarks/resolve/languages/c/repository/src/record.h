#ifndef RECORD_H
#define RECORD_H

#include <stddef.h>

#define MAX_FIELDS 256

/* One line, cut into its fields. They point into the line. */
struct record {
    char *fields[MAX_FIELDS];
    size_t count;
};

/* Splits a line in place. A field may stand in double quotes, which are taken away; in there a
 * comma is a character like any other, and two quotes are one. Returns 0, or -1 where a quote is
 * not closed or there are too many fields. */
int record_split(struct record *record, char *line);

/* The field of a column, counted from 1; "" where the line has no such column. */
const char *record_field(const struct record *record, int column);

#endif
