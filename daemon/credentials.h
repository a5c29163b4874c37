// credentials.h: a camera's user and password, fetched when they are needed and forgotten after.

#pragma once

#include "config.h"

struct credentials {
    char *user, *password; // NULL where the camera needs none
};

// WW_E_FILE: a password file or a systemd credential cannot be read, or others can read it, too (of a
// credential its group may: systemd gives it that way).
// Nothing of a password is in the text.
bool credentials_read(const struct stream_config *stream, struct credentials *out,
                      struct ww_error *err);

// When the file that the password is in was last changed, ns; 0: there is none.
gint64 credentials_changed_ns(const struct stream_config *stream);

void credentials_clear(struct credentials *credentials);
