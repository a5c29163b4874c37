#include "cli.h"

volatile sig_atomic_t stopped;

// In nanoseconds; only the handler uses it, and signals of this handler do not interrupt each other.
static int64_t first_ns;

// The second signal ends the program at once, but not the echo of the first: some send to a process and
// then to its group.
static void on_signal(int number)
{
    const int64_t now_ns = monotonic_ns();
    if (stopped && now_ns - first_ns > 500000000) {
        signal(number, SIG_DFL);
        raise(number);
    } else if (!stopped) {
        first_ns = now_ns;
        stopped = 1;
    }
}

void catch_signals(void)
{
    // No SA_RESTART: calls that wait return.
    struct sigaction action = {.sa_handler = on_signal};
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}
