#include "record.h"

/* Reads a quoted field that begins behind its quote. Returns what follows it, or NULL. */
static char *unquote(char *from)
{
    char *to = from;

    for (;;) {
        if (*from == '\0')
            return NULL;
        if (*from == '"') {
            if (from[1] != '"') {
                *to = '\0';
                return from + 1;
            }
            from++;
        }
        *to++ = *from++;
    }
}

int record_split(struct record *record, char *line)
{
    record->count = 0;
    for (;;) {
        char *end = line;

        if (record->count == MAX_FIELDS)
            return -1;
        if (*line == '"') {
            record->fields[record->count++] = line + 1;
            end = unquote(line + 1);
            if (end == NULL)
                return -1;
        } else {
            record->fields[record->count++] = line;
        }
        while (*end != ',' && *end != '\n' && *end != '\0')
            end++;
        if (*end != ',') {
            *end = '\0';
            return 0;
        }
        *end = '\0';
        line = end + 1;
    }
}

const char *record_field(const struct record *record, int column)
{
    if (column < 1 || (size_t)column > record->count)
        return "";
    return record->fields[column - 1];
}
