// cmd.h: recording a forward pass, and replaying it.
//
// A model's forward function calls kernels, and kernels launch; nothing runs yet. Errors are sticky:
// a wrong shape marks the recording, later launches do nothing, ww_plan_create reports it. Then the
// plan places every activation in one arena by its lifetime (what is dead makes room), puts barriers
// where a launch reads what an earlier one wrote, and records the command buffer. Replaying is:
// write the parameter block, submit, wait, read.
//
// The parameter block is read by shaders as a uniform block (binding 0) and written by the host
// before each submit: thresholds, lengths, positions, regions. The batch may vary from replay to
// replay up to the n it was recorded with: launches that say so take their z from it.

#pragma once

#include "memory.h"
#include "tensor.h"

#define WW_MAX_OPERANDS 8 // of a launch: outputs first, then inputs
#define WW_MAX_OUTPUTS  2
#define WW_MAX_INPUTS   6
#define WW_MAX_SPEC     16
#define WW_PUSH_BYTES   88 // a kernel's own; the engine's header of 40 bytes goes before
#define WW_PARAM_BYTES  4096

struct ww_kernel;
struct ww_cmd;
struct ww_plan;

struct ww_cmd *ww_cmd_create(struct ww_device *device);
void ww_cmd_destroy(struct ww_cmd **cmd);

// An activation, undefined until a launch writes it.
struct ww_tensor ww_activation(struct ww_cmd *g, int n, int c, int h, int w);
// One that is stored as halves, where the device is asked to (ww_device.halves): half the memory and half the
// traffic, of values up to 65504 with 11 bits. Sums, products and all other arithmetic stay float32.
struct ww_tensor ww_half_activation(struct ww_cmd *g, int n, int c, int h, int w);
// One that is stored as `x` is; with `c` channels for each of its pixels.
struct ww_tensor ww_activation_as(struct ww_cmd *g, struct ww_tensor x, int n, int c, int h, int w);
struct ww_tensor ww_like(struct ww_cmd *g, struct ww_tensor x, int c);
// Bytes of one of its texels, as it is stored.
int ww_texel_bytes(const struct ww_cmd *g, struct ww_tensor x);
// One that another plan writes before each replay, in this one's arena (ww_plan_arena).
struct ww_tensor ww_input_tensor(struct ww_cmd *g, int n, int c, int h, int w);
// One whose elements the host reads after each replay (ww_plan_read), or writes before it.
struct ww_tensor ww_result_tensor(struct ww_cmd *g, int n, int c, int h, int w);
struct ww_tensor ww_upload_tensor(struct ww_cmd *g, int n, int c, int h, int w);
// One that lies in a storage that outlives the plan: weights. `first` in texels of floats.
struct ww_tensor ww_stored_tensor(struct ww_cmd *g, struct ww_storage *storage, uint32_t first,
                                  int n, int c, int h, int w);
// One that may lie there as halves; not on the reference.
struct ww_tensor ww_stored_as(struct ww_cmd *g, bool halves, struct ww_storage *storage, uint32_t first,
                              int n, int c, int h, int w);

// Marks the recording as wrong unless `ok`; the first mark stays.
#define ww_expect(g, ok) ww_expect_(g, ok, #ok, __func__)
bool ww_expect_(struct ww_cmd *g, bool ok, const char *what, const char *where);
bool ww_cmd_sound(const struct ww_cmd *g);

struct ww_launch_params {
    struct ww_tensor out[WW_MAX_OUTPUTS];
    struct ww_tensor in[WW_MAX_INPUTS];
    const void *push; // copied
    int push_bytes;
    const uint32_t *spec; // specialisation constants 0.. in order; copied
    int num_spec;
    uint32_t groups[3];
    bool batched;  // groups[2] is the batch: replayed with the plan's current one
    // The axis along which a workgroup's lanes lie: neighbours there may be made one of more lanes, for
    // software Vulkan allocates memory for each workgroup, and cards have more than 8 lanes to fill. The
    // shader finds its place by LX alone, and what is behind the end does nothing. 0: as they are.
    enum ww_lanes { WW_LANES_FIXED, WW_LANES_X, WW_LANES_Y } lanes;
    int variant;   // which of the kernel's shaders
    double macs;   // multiply-adds, for benchmarks
};
void ww_launch(struct ww_cmd *g, const struct ww_kernel *kernel,
               const struct ww_launch_params *params);

// What follows is another part of the recording. A replay runs one part (ww_plan_run_part) or, where there
// are none, everything.
void ww_part(struct ww_cmd *g);

// Names the launches that follow ("row 12 expand") in benchmarks, until the next label.
void ww_label(struct ww_cmd *g, const char *fmt, ...) WW_PRINTF(2, 3);

// Whether it is for software Vulkan, where to compute something again costs less than to store it.
bool ww_for_software(const struct ww_cmd *g);
// Whether lanes of a workgroup have memory that they share, and cores many lanes to fill.
bool ww_for_card(const struct ww_cmd *g);
// Whether intermediate results must exist: a fused kernel then runs as its parts.
bool ww_keeps_stages(const struct ww_cmd *g);
void ww_keep_stages(struct ww_cmd *g, bool keep);
// Keeps `t` alive to the end under `name`, so that the host can read it. Ignored unless stages are
// kept.
void ww_stage(struct ww_cmd *g, struct ww_tensor t, const char *fmt, ...) WW_PRINTF(3, 4);
// The same, but a trace shall tell it as PyTorch has it: a map as [n][c][h][w]; rows as [n][rows][c],
// or [n][rows] of one channel.
void ww_stage_map(struct ww_cmd *g, struct ww_tensor t, const char *fmt, ...) WW_PRINTF(3, 4);
void ww_stage_rows(struct ww_cmd *g, struct ww_tensor t, const char *fmt, ...) WW_PRINTF(3, 4);

// Turns the recording into something that can be replayed. Borrows nothing from `g` but the device.
// WW_E_MEMORY, WW_E_DEVICE; a marked recording is WW_E_UNSUPPORTED.
struct ww_plan *ww_plan_create(struct ww_cmd *g, struct ww_error *err);
void ww_plan_destroy(struct ww_plan **plan);

// The parameter block: WW_PARAM_BYTES, written by the caller between replays.
void *ww_plan_params(struct ww_plan *plan);
// Replays with a batch of `n`; blocks until the device is done. A long plan goes to the device in pieces,
// and the device's `pause` is called before each.
bool ww_plan_run(struct ww_plan *plan, int n, struct ww_error *err);
// Replays what was recorded after the call of ww_part of that number, from 0, and before the next one.
bool ww_plan_run_part(struct ww_plan *plan, int part, struct ww_error *err);
// Whether it is stored as halves.
bool ww_plan_has_halves(const struct ww_plan *plan, struct ww_tensor t);
// Where activations lie, and the texel that one of them begins at.
struct ww_storage *ww_plan_arena(struct ww_plan *plan);
uint32_t ww_plan_texel(const struct ww_plan *plan, struct ww_tensor t);
// Memory of a result or upload tensor, as it lies: [n][c/4][h][w][4] floats from its first texel.
void *ww_plan_host(struct ww_plan *plan, struct ww_tensor t);

uint64_t ww_plan_bytes(const struct ww_plan *plan); // of the arena
// Of the activations that are alive at once, where those are largest: no arena can be smaller.
uint64_t ww_plan_live_bytes(const struct ww_plan *plan);
int ww_plan_num_stages(const struct ww_plan *plan);
const char *ww_plan_stage(struct ww_plan *plan, int i, struct ww_tensor *shape);
enum ww_stage_kind { WW_STAGE_PIXELS, WW_STAGE_MAP, WW_STAGE_ROWS };
enum ww_stage_kind ww_plan_stage_kind(struct ww_plan *plan, int i); // by which call it was named
// Copies a stage as [n][h][w][c] floats, whatever its kind.
bool ww_plan_read_stage(struct ww_plan *plan, int i, float *out, struct ww_error *err);

struct ww_launch_info {
    const char *label, *kernel, *variant;
    double macs;
    uint64_t bytes; // of its operands, each once
    uint64_t time_ns;
};
int ww_plan_num_launches(const struct ww_plan *plan);
// Replays launch by launch, each alone, timed on the host; the fastest of `runs`.
bool ww_plan_time_launches(struct ww_plan *plan, int runs, struct ww_launch_info *out,
                           struct ww_error *err);
