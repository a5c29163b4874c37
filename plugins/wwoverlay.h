// wwoverlay.h: the element that draws what metadata says.

#pragma once

#include <gst/base/gstbasetransform.h>

G_DECLARE_FINAL_TYPE(WwOverlay, ww_overlay, WW, OVERLAY, GstBaseTransform)
