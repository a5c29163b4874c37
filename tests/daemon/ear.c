// ear.c: hears COUNT messages of a topic and prints them: ear ENDPOINT TOPIC COUNT

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

// One part of a message; false if there is none, or if more parts follow than `last` allows.
static bool hear(void *socket, char *text, size_t size, bool last)
{
    int more = 0;
    size_t more_size = sizeof(more);
    const int length = zmq_recv(socket, text, size - 1, 0);
    if (length < 0 || (size_t)length >= size)
        return false;
    text[length] = '\0';
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_size);
    return more == !last;
}

int main(int argc, char **argv)
{
    static char topic[256], text[1 << 20];
    if (argc != 4)
        return 2;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_SUB);
    const int timeout_ms = 20000;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof(timeout_ms));
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, argv[2], strlen(argv[2]));
    bool sound = zmq_connect(socket, argv[1]) == 0;
    for (int i = atoi(argv[3]); sound && i > 0; i--) {
        sound = hear(socket, topic, sizeof(topic), false) && hear(socket, text, sizeof(text), true);
        if (sound)
            printf("%s %s\n", topic, text);
    }
    zmq_close(socket);
    zmq_ctx_term(context);
    return sound ? 0 : 1;
}
