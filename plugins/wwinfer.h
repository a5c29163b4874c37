// wwinfer.h: the element that looks at pictures and says what it saw.

#pragma once

#include <gst/base/gstbasetransform.h>

G_DECLARE_FINAL_TYPE(WwInfer, ww_infer, WW, INFER, GstBaseTransform)
