#include <watchword/watch.h>

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Digits with a point among or before them, to the end of the text; NAN: it is no such number. The locale
// has no say in it.
static double read_number(const char *text)
{
    double value = 0, place = 0;
    bool digits = false;
    for (; *text; text++) {
        if (*text == '.' && place == 0) {
            place = 1;
            continue;
        }
        if (!isdigit((unsigned char)*text))
            return NAN;
        digits = true;
        value = place == 0 ? 10 * value + (*text - '0') : value + (*text - '0') * (place /= 10);
    }
    return digits && place > 0 ? value : NAN;
}

bool ww_phrase_threshold(char *phrase, float *threshold, struct ww_error *err)
{
    char *colon = strrchr(phrase, ':');
    const double value = colon ? read_number(colon + 1 + strspn(colon + 1, " ")) : NAN;
    *threshold = 0;
    if (isnan(value))
        return true;
    if (!(value <= 1))
        return ww_fail(err, WW_E_TEXT, "'%.60s': found %s as its threshold, allowed is a number from 0 to 1",
                       phrase, colon + 1);
    while (colon > phrase && isspace((unsigned char)colon[-1]))
        colon--;
    if (colon == phrase)
        return ww_fail(err, WW_E_TEXT, "'%.60s': a threshold, but no phrase before it", phrase);
    *colon = '\0';
    *threshold = (float)value;
    return true;
}
