// capture.h: when was this picture taken, and when did it get here?
//
// A picture is looked at some time after its packets came in, and only its presentation time (PTS)
// still tells which it is. This remembers when the packets of the last few hundred PTS arrived, and
// turns RTP timestamps into the camera's own time once it has sent a report (RFC 3550, 6.4.1).
// Thread-safety: any thread.

#pragma once

#include <gst/gst.h>
#include <watchword/message.h>

struct capture;

struct capture *capture_create(void);
void capture_destroy(struct capture **capture);

// A new connection: PTS and clocks of the old one mean nothing any more.
void capture_reset(struct capture *capture);

// A packet with this PTS left the network; `rtp_time` only if `is_rtp`.
void capture_packet(struct capture *capture, GstClockTime pts, bool is_rtp, guint32 rtp_time);

// The camera said that `rtp_time` was `ntp_time` (seconds since 1900 in 32.32 fixed point).
void capture_report(struct capture *capture, guint64 ntp_time, guint32 rtp_time, int clock_rate);

// A file's frames are as old as the file and their PTS say.
void capture_file(struct capture *capture, gint64 unix_ns);

struct captured {
    gint64 unix_ns; // when, by `clock`
    enum ww_clock clock;
    gint64 decode_ns; // from its last packet to `shown_unix_ns`; -1: not known
};
// What is known about the picture of that PTS, which a watch was shown at `shown_unix_ns`.
void capture_find(struct capture *capture, GstClockTime pts, gint64 shown_unix_ns,
                  struct captured *out);
