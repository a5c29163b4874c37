// Resizing as Pillow does it: weights are whole numbers, 2^22 is 1, and so are levels, after each pass.
//
// A table has for each output 1 + quads texels: the first source, -, -, -; the weights from there on.

layout(binding = 5, rgba32ui) readonly uniform uimageBuffer table;
uvec4 bits1(uint at) { return imageLoad(table, int(in_[1] + at)); }

const int HALF = 1 << 21;

ivec3 level(ivec3 sum)
{
    return clamp(sum >> 22, 0, 255);
}
