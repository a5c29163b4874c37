// watchword watch: what a running watchwordd publishes, for people or as it is.

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <watchword/message.h>

#include "cli.h"
#include "json.h"
#include "readable.h"
#include "subscriber.h"

static const struct manual manual = {
    .usage = "watch [OPTIONS] [TOPIC...]",
    .about =
        "Shows what watchwordd publishes, live. A topic is KIND, KIND/STREAM or */STREAM; without\n"
        "one, everything is shown. Kinds are detection, grounding, pose and status\n"
        "(docs/messages.md).\n"
        "Waits for a daemon that is not there yet, and for one that went away.",
    .examples = "  watchword watch\n"
                "  watchword watch detection/gate \"*/yard\"\n"
                "  watchword watch --json --count 100 detection > hundred.jsonl",
    .exits = "1: --seconds were over before\n--count messages came.",
    .max_args = -1,
};

enum { MAX_PREFIXES = 256, PREFIX_BYTES = 256, MAX_TOPICS = 512, PATIENCE_NS = 2000000000 };

// To tell what was missed: the number of the last message of a topic.
struct last_seen {
    char topic[PREFIX_BYTES];
    char epoch[32];
    double seq;
};

struct session {
    const char *endpoint;
    int count;
    double seconds;
    bool json;
    char prefixes[MAX_PREFIXES][PREFIX_BYTES];
    int num_prefixes;
    struct last_seen topics[MAX_TOPICS];
    int num_topics;
};

// The slash at the end keeps "detection/gate" from being "detection/gate2" as well.
static void add_prefix(struct session *s, const char *kind, const char *rest)
{
    if (s->num_prefixes == MAX_PREFIXES)
        return;
    char *prefix = s->prefixes[s->num_prefixes++];
    int n = snprintf(prefix, PREFIX_BYTES - 1, "%s%s", kind, rest);
    n = n < PREFIX_BYTES - 2 ? n : PREFIX_BYTES - 2;
    if (n > 0 && prefix[n - 1] != '/')
        strcpy(prefix + n, "/");
}

static void add_topic(struct session *s, const char *topic)
{
    if (strncmp(topic, "*/", 2) != 0) {
        add_prefix(s, topic, "");
        return;
    }
    // ZeroMQ compares beginnings alone, so any kind is each of them.
    static const char *const kinds[] = {"status", "event", "snapshot"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        add_prefix(s, kinds[i], topic + 1);
    for (int task = 0; task < WW_NUM_TASKS; task++)
        add_prefix(s, ww_task_kind((enum ww_task)task), topic + 1);
}

// How many messages of this topic went by unseen since the last.
static double missed(struct session *s, const char *topic, const struct cJSON *message)
{
    const char *epoch = json_text(message, "epoch", "");
    const double seq = json_number(message, "seq", -1);
    struct last_seen *last = NULL;
    for (int i = 0; i < s->num_topics && !last; i++)
        if (strcmp(s->topics[i].topic, topic) == 0)
            last = &s->topics[i];
    if (!last && s->num_topics < MAX_TOPICS && seq >= 0) {
        last = &s->topics[s->num_topics++];
        snprintf(last->topic, sizeof(last->topic), "%s", topic);
    }
    if (!last || seq < 0)
        return 0;
    const bool same = strcmp(last->epoch, epoch) == 0;
    const double gap = same && seq > last->seq + 1 ? seq - last->seq - 1 : 0;
    snprintf(last->epoch, sizeof(last->epoch), "%s", epoch);
    last->seq = seq;
    return gap;
}

static bool show(struct session *s, const struct publication *p)
{
    if (s->json)
        return print_line(p->text, p->text_size);
    struct cJSON *message = json_parse(p->text, p->text_size);
    if (!message) {
        complain("watch: %s: a message that is no JSON", p->topic);
        return true;
    }
    const double gap = missed(s, p->topic, message);
    if (gap > 0)
        complain("watch: %s: %.0f messages were missed", p->topic, gap);
    readable_print(stdout, message);
    json_free(message);
    return print_line("", 0);
}

static int follow(struct session *s, struct subscriber *subscriber)
{
    const int64_t begun_ns = monotonic_ns();
    bool connected = false, told = false;
    for (int shown = 0; !stopped && (s->count == 0 || shown < s->count);) {
        const int64_t spent_ns = monotonic_ns() - begun_ns;
        const double left_ms = s->seconds * 1e3 - (double)spent_ns / 1e6;
        if (s->seconds > 0 && left_ms <= 0) {
            if (s->count > 0)
                complain("watch: %d of %d messages came in %g s", shown, s->count, s->seconds);
            return s->count > 0 ? FAILED : DONE;
        }
        const int wait_ms = s->seconds > 0 && left_ms < 500 ? (int)left_ms + 1 : 500;
        struct publication publication;
        switch (subscriber_next(subscriber, wait_ms, &publication)) {
        case SUBSCRIBER_MESSAGE:
            shown++;
            if (!show(s, &publication))
                return DONE;
            break;
        case SUBSCRIBER_CONNECTED:
            if (told)
                complain("watch: connected to %s", s->endpoint);
            connected = true;
            break;
        case SUBSCRIBER_LOST:
            complain("watch: the daemon at %s went away; waiting for it", s->endpoint);
            told = true;
            break;
        case SUBSCRIBER_NOTHING:
            if (!connected && !told && monotonic_ns() - begun_ns > PATIENCE_NS) {
                complain("watch: no daemon at %s yet (systemctl status watchwordd); waiting for it",
                         s->endpoint);
                told = true;
            }
            break;
        }
    }
    return DONE;
}

int cmd_watch(int argc, char **argv)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        abort();
    s->endpoint = DEFAULT_ENDPOINT;
    const struct option options[] = {
        {"endpoint", "URL", "where the daemon publishes\n[" DEFAULT_ENDPOINT "]", OPTION_TEXT,
         &s->endpoint},
        {"json", NULL, "the messages as they come, one a line", OPTION_FLAG, &s->json},
        {"count", "N", "end after so many messages", OPTION_WHOLE, &s->count, 1, 1e9},
        {"seconds", "S", "end after so long", OPTION_REAL, &s->seconds, 0.001, 1e9},
        {0},
    };
    int status;
    if (!parse_options(&argc, argv, &manual, options, &status))
        goto done;
    for (int i = 0; i < argc; i++)
        add_topic(s, argv[i]);
    const char *prefixes[MAX_PREFIXES];
    for (int i = 0; i < s->num_prefixes; i++)
        prefixes[i] = s->prefixes[i];
    catch_signals();
    struct ww_error err = {0};
    struct subscriber *subscriber = subscriber_open(s->endpoint, prefixes, s->num_prefixes, &err);
    if (!subscriber) {
        complain("watch: %s", err.text);
        status = WRONG_USAGE;
        goto done;
    }
    status = finish_output(follow(s, subscriber));
    subscriber_close(&subscriber);
done:
    free(s);
    return status;
}
