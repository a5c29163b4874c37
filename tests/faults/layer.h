// layer.h: a Vulkan layer that makes calls fail, as a device does that is lost or full.
//
// It lies between the loader and the real driver, so everything above is what users run. A program
// names it in VK_INSTANCE_LAYERS and holds its file in $WATCHWORD_FAULTS, which it may open with
// dlopen to steer it: the loader's layer is the same object. A program that knows nothing of it is
// steered by $WATCHWORD_FAULT, "KIND N": the Nth call of that kind fails, once; "KIND N lasting": all from it on.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>

enum fault {
    FAULT_MEMORY,  // whatever takes memory, but pipelines: VK_ERROR_OUT_OF_DEVICE_MEMORY
    FAULT_COMPILE, // a shader module or a pipeline: the same
    FAULT_SUBMIT,  // VK_ERROR_DEVICE_LOST, and every submit and wait on that device from then on
    FAULT_WAIT,    // the same, once the device has finished
    FAULT_HANG,    // a wait: VK_TIMEOUT, once
    FAULT_STARVE,  // a wait: VK_ERROR_OUT_OF_HOST_MEMORY, once
    NUM_FAULTS
};

struct faults {
    atomic_int calls[NUM_FAULTS]; // since somebody set it to 0
    atomic_int at[NUM_FAULTS];    // the call that fails; 0: none
    atomic_bool lasting;          // the later ones fail, too
    atomic_int struck;            // calls that were made to fail
    atomic_int objects;           // created and not destroyed, devices among them
};

// The name of the one symbol, of type `struct faults`.
#define FAULTS_SYMBOL "watchword_faults"
