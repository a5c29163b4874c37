// clock.h: how long things take.

#pragma once

#include <stdint.h>

int64_t ww_now_ns(void); // monotonic; any thread
