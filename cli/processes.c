#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "demo.h"

// Between fork and exec only what is safe there.
static void become(char *const *argv, int input, int output, int log, int parent)
{
    setpgid(0, 0); // Ctrl-C is ours to handle, and what the program starts itself goes with it
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(126); // we died before the line above
    dup2(input >= 0 ? input : open("/dev/null", O_RDONLY), STDIN_FILENO);
    dup2(output >= 0 ? output : log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execv(argv[0], argv);
    _exit(127);
}

static void close_all(const int *fds, int num_fds)
{
    for (int i = 0; i < num_fds; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

bool process_start(struct process *p, const char *name, char *const *argv, bool piped,
                   const char *log, struct ww_error *err)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    *p = (struct process){.input = -1, .output = -1, .name = name};
    const int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0 || (piped && (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0))) {
        ww_fail(err, WW_E_FILE, "%s: %m", log);
        goto done;
    }
    const int self = getpid();
    p->pid = fork();
    if (p->pid == 0)
        become(argv, in[0], out[1], log_fd, self);
    if (p->pid < 0) {
        p->pid = 0;
        ww_fail(err, WW_E_FILE, "%s: %m", argv[0]);
        goto done;
    }
    setpgid(p->pid, p->pid); // whoever is first
    p->input = in[1];
    p->output = out[0];
    in[1] = out[0] = -1;
done:
    close_all((int[]){in[0], in[1], out[0], out[1], log_fd}, 5);
    return p->pid > 0;
}

bool process_alive(struct process *p)
{
    if (p->pid > 0 && waitpid(p->pid, NULL, WNOHANG) == p->pid)
        p->pid = 0;
    return p->pid > 0;
}

void process_stop(struct process *p)
{
    enum { STEP_MS = 20, PATIENCE_MS = 6000 };
    const int group = p->pid;
    if (process_alive(p))
        kill(-group, SIGTERM);
    for (int ms = 0; ms < PATIENCE_MS && process_alive(p); ms += STEP_MS)
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
    if (p->pid > 0) {
        kill(-group, SIGKILL);
        waitpid(p->pid, NULL, 0);
        p->pid = 0;
    }
    close_all((int[]){p->input, p->output}, 2);
    p->input = p->output = -1;
}
