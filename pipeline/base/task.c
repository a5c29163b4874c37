#include <watchword/watch.h>

#include <stddef.h>
#include <string.h>

static const char *const names[WW_NUM_TASKS] = {
    [WW_TASK_DETECT] = "detect",     [WW_TASK_GROUND] = "ground",   [WW_TASK_POSE] = "pose",
    [WW_TASK_SEGMENT] = "segment",   [WW_TASK_CAPTION] = "caption", [WW_TASK_ASK] = "ask",
    [WW_TASK_INSTRUCT] = "instruct",
};

const char *ww_task_name(enum ww_task task)
{
    return (unsigned)task < WW_NUM_TASKS ? names[task] : NULL;
}

int ww_task_from_name(const char *name)
{
    for (int task = 0; name && task < WW_NUM_TASKS; task++)
        if (strcmp(name, names[task]) == 0)
            return task;
    return -1;
}
