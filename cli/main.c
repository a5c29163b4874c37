// watchword: the command. Each subcommand is a file; this one only finds it.

#include <string.h>

#include "cli.h"

static const struct command commands[] = {
    {"demo", "the sample film as an RTSP camera, through the whole system", cmd_demo},
    {"watch", "show what a running watchwordd publishes", cmd_watch},
    {"run", "look at a picture, film or stream, without a daemon", cmd_run},
    {"complete", "a language model goes on with a text, or answers", cmd_complete},
    {"models", "list the installed models, verify or fetch one", cmd_models},
    {"convert", "write weights in another format or type", cmd_convert},
    {"bench", "measure kernels and models on this device", cmd_bench},
    {"tokenize", "the ids of a text's tokens, and back", cmd_tokenize},
    {"trace", "write a model's stages to a file, to compare implementations", cmd_trace},
    {"check", "check a configuration of watchwordd", cmd_check},
};
enum { NUM_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *file)
{
    fputs("Usage: watchword COMMAND [OPTIONS] ...\n\n"
          "Tell a camera, in words, what to watch for.\n\n"
          "Commands:\n",
          file);
    for (int i = 0; i < NUM_COMMANDS; i++)
        fprintf(file, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fputs("\n"
          "  watchword COMMAND --help   tells more about one of them\n"
          "  watchword --version        the version\n\n"
          "Examples:\n"
          "  watchword demo\n"
          "  watchword run --phrases \"person; dog\" --overlay seen.mp4 yard.mp4\n"
          "  watchword watch detection/gate\n\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage.\n",
          file);
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < NUM_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    const char *near = nearest_name(name, &commands[0].name, sizeof(commands[0]), NUM_COMMANDS);
    if (near)
        complain("there is no command '%s'; did you mean '%s'?", name, near);
    else
        complain("there is no command '%s'; see watchword --help", name);
    return NULL;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); // print_line() and finish_output() see it
    use_build_tree();
    if (argc < 2) {
        print_help(stderr);
        return WRONG_USAGE;
    }
    const bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
        print_help(stdout);
        return finish_output(DONE);
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("watchword " WW_VERSION);
        return finish_output(DONE);
    }
    const struct command *command = find_command(argv[help ? 2 : 1]);
    if (!command)
        return WRONG_USAGE;
    if (help)
        return command->run(2, (char *[]){(char *)command->name, (char *)"--help", NULL});
    return command->run(argc - 1, argv + 1);
}
