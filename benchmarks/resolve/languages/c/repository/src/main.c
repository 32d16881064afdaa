#include "columns.h"
#include "record.h"

#include <stdio.h>

#define MAX_LINE 65536

static void print_columns(const struct record *record, const struct columns *columns)
{
    for (size_t i = 0; i < columns->count; i++)
        printf("%s%s", i > 0 ? "," : "", record_field(record, columns->numbers[i]));
    putchar('\n');
}

int main(int argc, char **argv)
{
    static char line[MAX_LINE];
    struct columns columns;
    struct record record;

    if (argc != 2 || columns_parse(&columns, argv[1]) != 0) {
        fprintf(stderr, "usage: cutcsv COLUMNS, such as 1,3-5\n");
        return 2;
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (record_split(&record, line) != 0) {
            fprintf(stderr, "cutcsv: not a record: %s\n", line);
            return 1;
        }
        print_columns(&record, &columns);
    }
    return 0;
}
