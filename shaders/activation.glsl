// enum ww_activation_fn of pipeline/kernels/kernel.h. `act` is a specialisation constant, so one
// line is left of this. 1/6 is rounded to half precision: so do the nano weights expect it.

vec4 activate(uint act, vec4 x)
{
    const float sixth = 0.1666259765625;
    if (act == 1)
        return max(x, vec4(0));
    if (act == 2)
        return clamp(x, vec4(0), vec4(6));
    if (act == 3)
        return (x * sixth) * clamp(x + 3.0, vec4(0), vec4(6));
    if (act == 4)
        return clamp(x + 3.0, vec4(0), vec4(6)) * sixth;
    if (act == 5)
        return 1.0 / (1.0 + exp(-x));
    if (act == 6)
        return x * 16.0;
    return x;
}
