// trust.h: which certificates a stream takes, over rtsps and https.

#pragma once

#include <gst/gst.h>

#include "config.h"

// Makes a source element (rtspsrc, souphttpsrc) judge certificates as `tls` says. A certificate that is
// refused is an error on the bus, before the element's own, which says why and what would trust it.
// WW_E_NETWORK: there are no certificates in `ca_file`.
bool trust_set(const struct tls_config *tls, GstElement *element, struct ww_error *err);
