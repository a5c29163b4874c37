// catalogue.h: which models can be fetched, from where, and how to know that it is them.
//
// A catalogue is JSON. The one that came with the library is <prefix>/share/watchword/catalogue.json,
// or the file that $WATCHWORD_CATALOGUE names; a user adds to it in
// $XDG_CONFIG_HOME/watchword/catalogue.json, or else ~/.config/watchword/catalogue.json:
//
//     {"catalogue": 1, "models": [{
//         "name": "all-MiniLM-L6-v2", "family": "bert", "licence": "Apache-2.0",
//         "hub": "sentence-transformers/all-MiniLM-L6-v2", "revision": "main",
//         "files": [{"name": "config.json"},
//                   {"name": "model.safetensors", "bytes": 90868376, "sha256": "53aa5117..."}]}]}
//
// Instead of "hub" and "revision" there may be "url", a folder: "https://example.org/models/mine/".
// Nothing here touches the network. Thread-safety: a catalogue is read only, any thread may use it.

#pragma once

#include <stdint.h>
#include <watchword/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ww_catalogue;

// Of letters, digits and "._+-" only, each part begins with none of "." and "-": so that a name is safe
// in a URL as it is, and joined to a folder it stays in that folder.
struct ww_catalogue_file {
    const char *name;   // below the model's folder; may have folders of its own: "1_Pooling/config.json"
    int64_t bytes;      // 1 or more; -1: not known
    const char *sha256; // 64 digits, lower case; NULL: not known
};

struct ww_catalogue_model {
    const char *name; // made as a part of a file's name is
    const char *family, *licence;
    const char *hub, *revision; // "owner/repository" and what of it; NULL where there is a `url`
    const char *url;            // ends in '/'; https, or http on this machine; NULL where there is a `hub`
    const struct ww_catalogue_file *files;
    int num_files;         // 1 or more
    int64_t bytes;         // of all files; -1: one is not known
    const char *catalogue; // the file this entry is from
};

// Reads the catalogue in the file `path`; NULL: the user's, if there is one, and the library's. The user's
// entry wins where both have the name. NULL: WW_E_FILE names file, field and what is allowed;
// WW_E_MEMORY.
WW_API struct ww_catalogue *ww_catalogue_open(const char *path, struct ww_error *err);
WW_API void ww_catalogue_close(struct ww_catalogue **catalogue);

// What these give lives as long as the catalogue.
WW_API int ww_catalogue_count(const struct ww_catalogue *catalogue);
WW_API const struct ww_catalogue_model *ww_catalogue_at(const struct ww_catalogue *catalogue,
                                                        int index);
WW_API const struct ww_catalogue_model *ww_catalogue_find(const struct ww_catalogue *catalogue,
                                                          const char *name); // NULL: not there

#ifdef __cplusplus
}
#endif
