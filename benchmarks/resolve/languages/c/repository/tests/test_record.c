#include "record.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void expect(const char *text, const char **fields, size_t count)
{
    char line[256];
    struct record record;

    printf("record %s\n", text);
    fflush(stdout);
    strcpy(line, text);
    assert(record_split(&record, line) == 0);
    assert(record.count == count);
    for (size_t i = 0; i < count; i++)
        assert(strcmp(record_field(&record, (int)i + 1), fields[i]) == 0);
    assert(strcmp(record_field(&record, (int)count + 1), "") == 0);
}

int main(void)
{
    struct record record;
    char open[] = "a,\"b";

    expect("one,two\n", (const char *[]){"one", "two"}, 2);
    expect(",", (const char *[]){"", ""}, 2);
    expect("\"a,b\",c", (const char *[]){"a,b", "c"}, 2);
    expect("\"say \"\"no\"\"\"", (const char *[]){"say \"no\""}, 1);
    assert(record_split(&record, open) == -1);
    puts("ok");
    return 0;
}
