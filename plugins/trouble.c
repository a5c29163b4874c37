#include "trouble.h"

#define WARN_EVERY_US 10000000

void ww_trouble_post(GstElement *element, GstMessageType type, const struct ww_error *err)
{
    GQuark domain = GST_LIBRARY_ERROR;
    gint code = GST_LIBRARY_ERROR_SETTINGS;
    switch (err->code) {
    case WW_E_FILE:
        domain = GST_RESOURCE_ERROR;
        code = GST_RESOURCE_ERROR_NOT_FOUND;
        break;
    case WW_E_DEVICE:
        domain = GST_RESOURCE_ERROR;
        code = GST_RESOURCE_ERROR_OPEN_READ;
        break;
    case WW_E_MEMORY:
        domain = GST_RESOURCE_ERROR;
        code = GST_RESOURCE_ERROR_NO_SPACE_LEFT;
        break;
    case WW_E_FRAME:
        domain = GST_STREAM_ERROR;
        code = GST_STREAM_ERROR_FORMAT;
        break;
    default:
        break;
    }
    gst_element_message_full(element, type, domain, code, g_strdup(err->text), NULL, __FILE__,
                             GST_FUNCTION, __LINE__);
}

bool ww_trouble_due(GstElement *element, gint64 *last_us, gint64 every_us)
{
    gint64 now = g_get_monotonic_time();
    GST_OBJECT_LOCK(element);
    bool due = *last_us == 0 || now - *last_us >= every_us;
    if (due)
        *last_us = now;
    GST_OBJECT_UNLOCK(element);
    return due;
}

void ww_trouble_warn(GstElement *element, gint64 *last_us, const struct ww_error *err)
{
    if (ww_trouble_due(element, last_us, WARN_EVERY_US))
        ww_trouble_post(element, GST_MESSAGE_WARNING, err);
}
