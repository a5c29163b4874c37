// Software Vulkan stores a texel lane by lane, with so much bookkeeping of its own in memory that a core's
// queue of stores holds less than two lines: each line that is not in the cache is waited for alone, four
// times as long as the store takes by itself. So a lane fetches a number of what lies where it will store,
// long before: those waits overlap. The number is made zero, and is for what will be stored to be added to,
// or the compiler would leave the fetch out. For kernels of at most five inputs.
layout(constant_id = 30) const bool SOFTWARE = false;
layout(binding = 18, r32ui) readonly uniform uimageBuffer lines; // of where activations lie

float warm(uint at) // a texel of output 0
{
    if (!SOFTWARE)
        return 0;
#ifdef HALVES
    const uint words = (HALF_OPERANDS >> 6 & 1) != 0 ? 2 : 4;
#else
    const uint words = 4;
#endif
    return uintBitsToFloat(imageLoad(lines, int(in_[5] + at * words)).x & (in_[5] >> 31));
}
