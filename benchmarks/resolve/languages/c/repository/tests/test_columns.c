#include "columns.h"

#include <assert.h>
#include <stdio.h>

static void expect(const char *text, const int *numbers, size_t count)
{
    struct columns columns;

    printf("columns %s\n", text);
    fflush(stdout);
    assert(columns_parse(&columns, text) == 0);
    assert(columns.count == count);
    for (size_t i = 0; i < count; i++)
        assert(columns.numbers[i] == numbers[i]);
}

static void expect_error(const char *text)
{
    struct columns columns;

    printf("no columns: '%s'\n", text);
    fflush(stdout);
    assert(columns_parse(&columns, text) == -1);
}

int main(void)
{
    expect("7", (int[]){7}, 1);
    expect("3,1", (int[]){3, 1}, 2);
    expect("2-4", (int[]){2, 3, 4}, 3);
    expect("3-3", (int[]){3}, 1);
    expect("1,4-6,2", (int[]){1, 4, 5, 6, 2}, 5);
    expect_error("");
    expect_error("0");
    expect_error("1,");
    expect_error("4-2");
    expect_error("2-");
    expect_error("1-65");
    puts("ok");
    return 0;
}
