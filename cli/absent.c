// What stands in for the commands that need ZeroMQ where the build had none.

#include "cli.h"

static int absent(const char *command)
{
    complain("%s: this build has no ZeroMQ: install libzmq3-dev and build again", command);
    return FAILED;
}

int cmd_demo(int argc, char **argv)
{
    (void)argc;
    return absent(argv[0]);
}

int cmd_watch(int argc, char **argv)
{
    (void)argc;
    return absent(argv[0]);
}
