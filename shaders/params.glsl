// The parameter block: what the host says before each replay.
layout(binding = 0) uniform Params { vec4 at[256]; } params;
