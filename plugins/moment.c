#include "moment.h"

// The best of the buffer's reference timestamps: NTP's, which is a camera's own clock, then Unix's,
// then whatever there is.
static GstReferenceTimestampMeta *find_reference(GstBuffer *buffer)
{
    static GstStaticCaps ntp = GST_STATIC_CAPS("timestamp/x-ntp");
    static GstStaticCaps unix_time = GST_STATIC_CAPS("timestamp/x-unix");
    GstCaps *wanted[] = {gst_static_caps_get(&ntp), gst_static_caps_get(&unix_time), NULL};
    GstReferenceTimestampMeta *found = NULL;
    for (guint i = 0; i < G_N_ELEMENTS(wanted) && !found; i++)
        found = gst_buffer_get_reference_timestamp_meta(buffer, wanted[i]);
    gst_caps_unref(wanted[0]);
    gst_caps_unref(wanted[1]);
    return found;
}

struct ww_moment ww_moment_of(GstBuffer *buffer, const GstSegment *segment, guint64 index)
{
    struct ww_moment moment = {
        .index = index,
        .running_time = GST_CLOCK_TIME_NONE,
        .arrival = (guint64)g_get_real_time() * 1000,
    };
    if (segment->format == GST_FORMAT_TIME)
        moment.running_time =
            gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    GstReferenceTimestampMeta *reference = find_reference(buffer);
    if (reference) {
        GstStructure *clock = gst_caps_get_structure(reference->reference, 0);
        moment.reference = reference->timestamp;
        moment.reference_clock = g_intern_string(gst_structure_get_name(clock));
    }
    return moment;
}

void ww_moments_add(struct ww_moments *moments, const struct ww_moment *moment)
{
    moments->ring[moments->num_added++ % WW_MOMENTS] = *moment;
}

bool ww_moments_find(const struct ww_moments *moments, guint64 index, struct ww_moment *out)
{
    unsigned kept = MIN(moments->num_added, (unsigned)WW_MOMENTS);
    for (unsigned i = 1; i <= kept; i++) { // newest first: that is where it usually is
        const struct ww_moment *moment = &moments->ring[(moments->num_added - i) % WW_MOMENTS];
        if (moment->index == index) {
            *out = *moment;
            return true;
        }
    }
    *out = (struct ww_moment){.index = index, .running_time = GST_CLOCK_TIME_NONE};
    return false;
}
