#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <watchword/watch.h>

#include "cli.h"

// Edits that turn one word into another: a letter more, less, changed, or two swapped (optimal
// string alignment). Words longer than that are never near.
enum { MAX_WORD = 40 };

static int edits(const char *a, const char *b)
{
    const int m = (int)strlen(a), n = (int)strlen(b);
    int row[3][MAX_WORD + 1];
    if (m > MAX_WORD || n > MAX_WORD)
        return INT_MAX;
    for (int j = 0; j <= n; j++)
        row[0][j] = j;
    for (int i = 1; i <= m; i++) {
        int *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[m % 3][n];
}

const char *nearest_name(const char *typed, const char *const *names, size_t stride, int num)
{
    const char *best = NULL;
    int least = (int)strlen(typed) / 3 + 1; // a third of the letters may be wrong
    for (int i = 0; i < num; i++) {
        const char *name = *(const char *const *)((const char *)names + (size_t)i * stride);
        const size_t n = strlen(typed);
        const int distance =
            n >= 3 && strncmp(typed, name, n) == 0 ? 0 : edits(typed, name); // or its beginning
        if (distance <= least && (!best || distance < least)) {
            least = distance;
            best = name;
        }
    }
    return best;
}

int split_phrases(char *text, const char ***out, float **thresholds, struct ww_error *err)
{
    int count = 0, most = 1;
    for (const char *p = text; *p; p++)
        most += *p == ';';
    const char **items = calloc((size_t)most, sizeof(*items));
    float *scores = calloc((size_t)most, sizeof(*scores));
    if (!items || !scores)
        abort();
    for (char *rest = text, *item; (item = strsep(&rest, ";"));) {
        while (isspace((unsigned char)*item))
            item++;
        size_t n = strlen(item);
        while (n > 0 && isspace((unsigned char)item[n - 1]))
            item[--n] = '\0';
        if (n == 0)
            continue;
        if (!ww_phrase_threshold(item, &scores[count], err)) {
            free(items);
            free(scores);
            return -1;
        }
        items[count++] = item;
    }
    *out = items;
    *thresholds = scores;
    return count;
}

static void print_help(const char *command, const struct manual *m, const struct option *options)
{
    const char *line = m->usage;
    for (bool first = true; *line; first = false) {
        const int n = (int)strcspn(line, "\n");
        printf("%s watchword %.*s\n", first ? "Usage:" : "      ", n, line);
        line += n + (line[n] == '\n');
    }
    printf("\n%s\n\nOptions:\n", m->about);
    for (const struct option *o = options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof(left), o->kind == OPTION_MAYBE ? "--%s[=%s]" : o->value ? "--%s %s" : "--%s",
                 o->name, o->value);
        // The help's own line breaks go under its first line.
        const char *help = o->help;
        for (bool first = true; *help; first = false) {
            const int n = (int)strcspn(help, "\n");
            printf("  %-24s %.*s\n", first ? left : "", n, help);
            help += n + (help[n] == '\n');
        }
    }
    printf("  %-24s %s\n", "--help", "this text");
    printf("\nExamples:\n%s\n", m->examples);
    printf("\nExit status: 0 done, 1 failed, 2 wrong usage.%s%s\n", m->exits ? " " : "",
           m->exits ? m->exits : "");
    printf("See also: man watchword%s%s\n", *command ? ", watchword " : "",
           *command ? "--help" : "");
}

// Numbers are written as in C whatever the locale; the program never calls setlocale().
static bool read_number(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && !*end && errno == 0 && isfinite(*out);
}

static bool read_size(const char *text, int out[2])
{
    char *end;
    const long width = strtol(text, &end, 10);
    if (end == text || (*end != 'x' && *end != 'X'))
        return false;
    const char *rest = end + 1;
    const long height = strtol(rest, &end, 10);
    if (end == rest || *end || width < 1 || height < 1 || width > WW_INPUT_MAX_SIDE ||
        height > WW_INPUT_MAX_SIDE)
        return false;
    out[0] = (int)width;
    out[1] = (int)height;
    return true;
}

// Stores a value; says what is allowed if it is none.
static bool store(const char *command, const struct option *o, const char *text)
{
    double number = 0;
    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->out = true;
        return true;
    case OPTION_TEXT:
    case OPTION_MAYBE:
        *(const char **)o->out = text;
        return true;
    case OPTION_LIST: {
        struct list *list = o->out;
        list->items = realloc(list->items, (size_t)(list->num_items + 1) * sizeof(*list->items));
        if (!list->items)
            abort();
        list->items[list->num_items++] = text;
        return true;
    }
    case OPTION_SIZE:
        if (read_size(text, o->out))
            return true;
        complain("%s: --%s '%s' is no size; sizes are written as 512x384, up to %d a side", command, o->name,
                 text, WW_INPUT_MAX_SIDE);
        return false;
    case OPTION_REAL:
    case OPTION_WHOLE:
        if (!read_number(text, &number) || number < o->min || number > o->max ||
            (o->kind == OPTION_WHOLE && number != floor(number))) {
            complain("%s: --%s '%s' is not %s from %g to %g", command, o->name, text,
                     o->kind == OPTION_WHOLE ? "a whole number" : "a number", o->min, o->max);
            return false;
        }
        if (o->kind == OPTION_WHOLE)
            *(int *)o->out = (int)number;
        else
            *(double *)o->out = number;
        return true;
    }
    return false;
}

static const struct option *find_option(const struct option *options, const char *name, size_t n)
{
    for (const struct option *o = options; o->name; o++)
        if (strlen(o->name) == n && strncmp(o->name, name, n) == 0)
            return o;
    return NULL;
}

static void tell_unknown(const char *command, const struct option *options, const char *arg)
{
    char typed[MAX_WORD + 1];
    const char *name = arg + strspn(arg, "-");
    snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(name, "="), name);
    int num = 0;
    while (options[num].name)
        num++;
    const char *near = nearest_name(typed, &options[0].name, sizeof(*options), num);
    if (near)
        complain("%s: there is no option %s; did you mean --%s?", command, arg, near);
    else
        complain("%s: there is no option %s; see watchword %s --help", command, arg, command);
}

// Takes the option at argv[*i] and its value.
static bool take_option(const char *command, const struct option *options, int argc, char **argv,
                        int *i)
{
    const char *arg = argv[*i];
    const size_t n = strcspn(arg + 2, "=");
    const struct option *o = arg[1] == '-' ? find_option(options, arg + 2, n) : NULL;
    if (!o) {
        tell_unknown(command, options, arg);
        return false;
    }
    const char *value = arg[2 + n] == '=' ? arg + 3 + n : NULL;
    if (o->kind == OPTION_FLAG && value) {
        complain("%s: --%s takes no value", command, o->name);
        return false;
    }
    if (o->kind == OPTION_MAYBE && !value)
        value = "";
    if (o->kind != OPTION_FLAG && !value) {
        if (*i + 1 >= argc) {
            complain("%s: --%s wants a value (%s)", command, o->name, o->value);
            return false;
        }
        value = argv[++*i];
    }
    return store(command, o, value);
}

bool parse_options(int *argc, char **argv, const struct manual *manual,
                   const struct option *options, int *status)
{
    const char *command = argv[0];
    int kept = 0;
    bool only_args = false;
    for (int i = 1; i < *argc; i++) {
        char *arg = argv[i];
        if (only_args || arg[0] != '-' || !arg[1]) {
            argv[kept++] = arg;
        } else if (strcmp(arg, "--") == 0) {
            only_args = true;
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            print_help(command, manual, options);
            *status = finish_output(DONE);
            return false;
        } else if (!take_option(command, options, *argc, argv, &i)) {
            *status = WRONG_USAGE;
            return false;
        }
    }
    if (kept < manual->min_args || (manual->max_args >= 0 && kept > manual->max_args)) {
        if (kept < manual->min_args)
            complain("%s: something is missing; usage: watchword %.*s", command,
                     (int)strcspn(manual->usage, "\n"), manual->usage);
        else
            complain("%s: '%s' is one too many; see watchword %s --help", command,
                     argv[manual->max_args], command);
        *status = WRONG_USAGE;
        return false;
    }
    argv[kept] = NULL;
    *argc = kept;
    return true;
}
