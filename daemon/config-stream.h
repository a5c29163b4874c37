// config-stream.h: the streams of a configuration. Only for config*.c.

#pragma once

#include "config-read.h"
#include "config.h"

// For `struct field`, into a struct config.
void read_streams(struct reader *r, const struct cJSON *value, const struct field *field, void *into);
