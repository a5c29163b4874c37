// That this links shows that the library's names are C names to a C++ program, too.

#include <cstring>
#include <watchword/watch.h>

int main()
{
    return std::strcmp(ww_task_name(WW_TASK_DETECT), "detect") == 0 ? 0 : 1;
}
