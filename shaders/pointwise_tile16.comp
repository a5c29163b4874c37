#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"

// As pointwise_tile.comp, in halves, where what comes in and what goes out is stored as such.
#define SUMS_OF_HALVES
#include "tile.glsl"
