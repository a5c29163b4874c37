// check.h: kernels against their scalar references, and against the clock.

#pragma once

#include "kernels.h"

struct ww_check {
    double worst;  // largest |difference| / largest |expected|
    float tolerance;
    char where[160]; // the element: "out 0 [0][3][1][7]: 0.25, expected 0.5"
    bool ok;
};

// Runs one attempt on `device` and on `reference` and compares all outputs; with `halves`, every operand
// that may be is stored as halves, and the reference is given what those can hold.
bool ww_check_kernel(struct ww_device *device, struct ww_device *reference,
                     const struct ww_kernel *kernel, const int *size, bool halves,
                     struct ww_check *out, struct ww_error *err);

// Records one attempt with each of its operands refused in turn, as a device without room for it does, and
// with all of them: recording goes on and must end in WW_E_UNSUPPORTED. Returns how many operands there are,
// -1 if one of these recordings became a plan.
int ww_check_refusals(struct ww_device *device, const struct ww_kernel *kernel, const int *size);

// Times one attempt: runs until `seconds` have passed, at least 5 times. `times_ms` holds `max`;
// returns how many were taken, -1 on failure.
int ww_time_kernel(struct ww_device *device, const struct ww_kernel *kernel, const int *size,
                   double seconds, double *times_ms, int max, struct ww_launch_info *info,
                   struct ww_error *err);
