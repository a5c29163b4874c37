// trace-language.h: ww_trace() of token numbers.

#pragma once

#include <watchword/trace.h>

#include "engine.h"

bool ww_trace_language(struct ww_engine *engine, const struct ww_trace_params *params,
                       struct ww_error *err);
