#version 450
#extension GL_GOOGLE_include_directive : require
#include "ww.glsl"
#include "activation.glsl"

// y[p][n] = act(b[n] + sum over k of x[p][k] s[k] w[k][n]) + r[p][n], for cards.
#include "tile.glsl"
