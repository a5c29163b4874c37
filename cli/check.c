// watchword check: asks watchwordd itself, so that there is one opinion of what is sound.

#include <limits.h>
#include <unistd.h>

#include "cli.h"

int cmd_check(int argc, char **argv)
{
    static const struct manual manual = {
        .usage = "check [FILE]",
        .about = "Checks a configuration as watchwordd does before it starts, and its watches' models,\n"
                 "words and sizes as well, without starting anything. FILE is\n"
                 "/etc/watchword/watchword.json unless told otherwise.\n"
                 "Each error names file, path, what was found and what is allowed.",
        .examples = "  watchword check\n"
                    "  watchword check ./watchword.json && systemctl reload watchwordd",
        .exits = "1: the configuration is not sound.",
        .max_args = 1,
    };
    int status;
    if (!parse_options(&argc, argv, &manual, (const struct option[]){{0}}, &status))
        return status;
    char daemon[PATH_MAX];
    if (!find_program("watchwordd", daemon, sizeof(daemon))) {
        complain("check: watchwordd is not installed: it holds the checks");
        return FAILED;
    }
    execv(daemon,
          (char *[]){(char *)"watchwordd", (char *)"--check-config",
                     argc > 0 ? (char *)"--config" : NULL, argc > 0 ? argv[0] : NULL, NULL});
    complain("check: %s: %m", daemon);
    return FAILED;
}
