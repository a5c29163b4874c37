// enum ww_activation_fn of pipeline/kernels/kernel.h. `act` is a specialisation constant, so one
// line is left of this. 1/6 is rounded to half precision: so do the nano weights expect it.

// x Phi(x). Phi of the negative side is a polynomial times exp(-x^2 / 2), to 8e-8 (Abramowitz and
// Stegun, 7.1.26), and so falls to zero as it should; the positive side is its mirror image.
vec4 gelu(vec4 x)
{
    const vec4 z = min(abs(x), vec4(16)), t = 1.0 / (1.0 + 0.23164189 * z);
    const vec4 p = t * (0.127414796 +
                   t * (-0.142248368 + t * (0.710706871 + t * (-0.726576014 + t * 0.530702715))));
    const vec4 tail = p * exp(-0.5 * z * z);
    return x * mix(1.0 - tail, tail, lessThan(x, vec4(0)));
}

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
    if (act == 7)
        return gelu(x);
    if (act == 8) // the same tanh as below, of half the argument
        return x / (1.0 + exp(-1.59576912 * (x + 0.044715 * x * x * x)));
    if (act == 9)
        return x / (1.0 + exp(-1.702 * x));
    if (act == 10)
        return 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    return x;
}
