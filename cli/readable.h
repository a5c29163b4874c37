// readable.h: messages for people.

#pragma once

#include <stdio.h>

struct cJSON;

// One line: time, stream, what was seen.
//     10:15:04.120  gate  detection  3 objects  person 0.71 at 221,190 27x75; ...  47 ms
void readable_print(FILE *file, const struct cJSON *message);
