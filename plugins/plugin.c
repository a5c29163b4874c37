// plugin.c: the plugin `watchword`.

#include "meta.h"
#include "wwinfer.h"
#include "wwoverlay.h"

static gboolean plugin_init(GstPlugin *plugin)
{
    ww_meta_register();
    return gst_element_register(plugin, "wwinfer", GST_RANK_NONE, ww_infer_get_type()) &&
           gst_element_register(plugin, "wwoverlay", GST_RANK_NONE, ww_overlay_get_type());
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, watchword,
                  "Tell a camera, in words, what to watch for", plugin_init, WW_VERSION, "MIT/X11",
                  "watchword", WW_ORIGIN)
