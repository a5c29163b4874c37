// config.c: what is wrong with a configuration, in the words that its author reads.

#include <config-text.h>
#include <config.h>
#include <credentials.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define WATCHES "\"watches\":[{}]"
#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
#define LONG_NAME "123456789012345678901234567890123456789012345678901234567890123" // 63 bytes
#define STREAM(body) "{\"streams\":{\"gate\":{" body "}}}"

// Each text, and what the first sentence about it has to say.
static const struct {
    const char *text, *problem;
} bad[] = {
    {"", "line 1, near column 1: this is no JSON: a comma"},
    {"{", "line 1, near column 2: this is no JSON"},
    {"// only\n/* comments */", "line 2, near column 15: this is no JSON"},
    {"{}\n/* no end", "line 2: a comment that never ends"},
    {"{\n\"streams\": {},\n}", "line 3, near column 2: this is no JSON"},
    {"{\"streams\":{}} x", "line 1, near column 16: this is no JSON"},
    {"{\"streams\":{}, \"device\":\"\xff\"}", "byte 26 is no UTF-8 text"},
    {"{\"streams\":{}, \"device\":\"a\\u0000b\"}", "found \\u0000"},
    {"{\"streams\":{}, \"device\":\"a\\nb\"}", "found a control character"},
    {"{\"streams\":{},\"streams\":{}}", "found \"streams\" a second time"},
    {"[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]", "found a list, allowed is an object"},
    {"[]", "t.json: found a list, allowed is an object"},
    {"{}", "found no \"streams\""},
    {"{\"streams\":[]}", "streams: found a list, allowed is an object of up to 1000 streams"},
    {"{\"streams\":{},\"devise\":\"x\"}", "unknown key \"devise\"; did you mean \"device\"? (allowed are "
                                          "publish, device, batch, status_interval, streams)"},
    {"{\"streams\":{},\"" LONG_NAME "\u2026\":1}", "unknown key \"" LONG_NAME "\" (allowed"},
    {"{\"streams\":{\"" LONG_NAME "\u2026\":{}}}", "found a stream named \"" LONG_NAME "\", allowed"},
    {"{\"streams\":{},\"status_interval\":0}",
     "status_interval: found 0, allowed is a number from 0.1 to 60"},
    {"{\"streams\":{},\"publish\":{\"endpoint\":\"tcp://0.0.0.0:5000\"}}",
     "publish.endpoint: found \"tcp://0.0.0.0:5000\", allowed is ipc:///PATH"},
    {"{\"streams\":{},\"publish\":{\"endpoint\":\"tcp://127.0.0.1:99999\"}}", "publish.endpoint"},
    {"{\"streams\":{},\"publish\":{\"endpoint\":\"tcp://127.evil.example:5000\"}}",
     "publish.endpoint"},
    {"{\"streams\":{\"a/b\":{\"url\":\"test:\"," WATCHES "}}}", "streams: found a stream named \"a/b\""},
    {STREAM(WATCHES), "streams.gate: found no \"url\""},
    {STREAM("\"url\":\"test:\""), "streams.gate: found no \"watches\""},
    {STREAM("\"url\":7," WATCHES), "streams.gate.url: found 7, allowed is rtsp://"},
    {STREAM("\"url\":\"ftp://host/x\"," WATCHES), "streams.gate.url: found \"ftp://host/x\""},
    {STREAM("\"url\":\"rtsp://host:0/x\"," WATCHES), "its host or port cannot be read"},
    {STREAM("\"url\":\"rtsp://h/\",\"tls\":{\"verify\":false}," WATCHES), "for rtsps and https only"},
    {STREAM("\"url\":\"rtsps://h/\",\"tls\":true," WATCHES), "tls: found true, allowed is {\"ca_file\""},
    {STREAM("\"url\":\"rtsps://h/\",\"tls\":{\"sha256\":\"12:34\"}," WATCHES),
     "streams.gate.tls.sha256: found \"12:34\", allowed is a certificate's SHA-256"},
    {STREAM("\"url\":\"rtsps://h/\",\"tls\":{\"ca_file\":\"x.pem\"}," WATCHES), "an absolute path"},
    {STREAM("\"url\":\"rtsps://h/\",\"tls\":{\"ca_file\":\"/no/x.pem\"}," WATCHES), "cannot be read"},
    {STREAM("\"url\":\"rtsps://h/\",\"tls\":{\"sha256\":\"" DIGEST "\",\"verify\":false}," WATCHES),
     "streams.gate.tls: found more than one of"},
    {"{\"streams\":{\"gate\":{\"url\":\"rtsps://h/1\",\"tls\":{\"verify\":false}," WATCHES "},"
     "\"yard\":{\"url\":\"rtsps://h/2\"," WATCHES "}}}", "streams.yard: found a tls that differs from that of \"gate\""},
    {STREAM("\"url\":\"rtsps://h/\",\"transport\":\"udp\"," WATCHES), "travel in the clear"},
    {STREAM("\"url\":\"rtsp:///x\"," WATCHES), "its host or port cannot be read"},
    {STREAM("\"url\":\"rtsp://u:a/b@host/x\"," WATCHES), "is written %2F"},
    {STREAM("\"url\":\"file://relative\"," WATCHES), "streams.gate.url"},
    {STREAM("\"url\":\"test:\",\"transport\":\"tcp\"," WATCHES), "found transport, which is for rtsp"},
    {STREAM("\"url\":\"rtsp://h/\",\"transport\":\"sctp\"," WATCHES),
     "streams.gate.transport: found \"sctp\", allowed is \"auto\", \"tcp\" or \"udp\""},
    {STREAM("\"url\":\"rtsp://h/\",\"latency_ms\":1.5," WATCHES),
     "latency_ms: found 1.5, allowed is a whole number from 0 to 10000"},
    {STREAM("\"url\":\"test:\",\"enabled\":\"yes\"," WATCHES), "found \"yes\", allowed is true or false"},
    {STREAM("\"url\":\"test:\",\"watches\":[]"), "allowed is a list of 1 to 32 watches"},
    {STREAM("\"url\":\"test:\",\"watches\":[{},{}]"), "streams.gate.watches[1]: found the name \"detect\""},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"threshold\":1.5}]"),
     "streams.gate.watches[0].threshold: found 1.5, allowed is a number from 0 to 1"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"trashold\":0.5}]"), "did you mean \"threshold\"?"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"task\":\"spot\"}]"),
     "task: found \"spot\", allowed is one of \"detect\""},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"phrases\":\"person\"}]"), "phrases: found \"person\""},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"phrases\":[\"a\",\" \"]}]"), "phrases[1]: found \" \""},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"phrases\":[7]}]"),
     "phrases[0]: found 7, allowed is a string of 1 to 1000 bytes that is not blank, or {\"phrase\""},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"phrases\":[\"a\",{\"threshold\":0.5}]}]"),
     "phrases[1]: found no \"phrase\""},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"phrases\":[{\"phrase\":\"a\",\"threshold\":2}]}]"),
     "streams.gate.watches[0].phrases[0].threshold: found 2, allowed is a number from 0 to 1"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"phrases\":[{\"phrase\":\" \"}]}]"), "phrases[0].phrase: found \" \""},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"phrases\":[{\"phrase\":\"a\",\"trashold\":0.5}]}]"),
     "did you mean \"threshold\"?"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"nms\":1.5}]"), "nms: found 1.5, allowed is a number from 0 to 1"},
    {"{\"streams\":{},\"batch\":65}", "batch: found 65, allowed is a whole number from 0 to 64"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"input_width\":512}]"), "only one of input_width"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"input_size\":1}]"), "a whole number from 32 to 4096"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"input_size\":4097}]"), "a whole number from 32 to 4096"},
    {STREAM("\"url\":\"test:\",\"watches\":[{\"input_width\":4128,\"input_height\":32}]"), "from 32 to 4096"},
    {STREAM("\"url\":\"rtsp://h/\",\"credentials\":{\"user\":\"u\"}," WATCHES),
     "credentials: found no \"password_file\""},
    {STREAM("\"url\":\"rtsp://h/\",\"credentials\":{\"user\":\"u\",\"password\":\"geheim\"}," WATCHES),
     "unknown key \"password\""},
    {STREAM("\"url\":\"rtsp://h/\",\"credentials\":{\"user\":\"u\",\"password_file\":\"x\"}," WATCHES),
     "password_file: found \"x\", allowed is an absolute path"},
    {STREAM("\"url\":\"rtsp://u:p@h/\",\"credentials\":\"gate\"," WATCHES), "allowed is one of them"},
    {STREAM("\"credentials\":\"gate\",\"url\":\"rtsp://u:p@h/\"," WATCHES), "allowed is one of them"},
    {STREAM("\"url\":\"test:\",\"credentials\":\"gate\"," WATCHES), "found credentials, which are for"},
};

static struct config *parse(const char *text, GPtrArray *problems)
{
    return config_parse(text, strlen(text), "t.json", problems);
}

static void test_bad(void)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_about("%s", bad[i].text);
        GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
        struct config *config = parse(bad[i].text, problems);
        CHECK(!config);
        if (CHECK_CMP(problems->len, >=, 1u)) {
            CHECK(g_str_has_prefix(problems->pdata[0], "t.json: "));
            CHECK_HAS((char *)problems->pdata[0], bad[i].problem);
            for (guint k = 0; k < problems->len; k++)
                CHECK(!strstr(problems->pdata[k], "geheim"));
        }
        config_unref(&config);
        g_ptr_array_unref(problems);
    }
    check_about("%s", "");
}

static void test_good(void)
{
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    struct config *c = parse(
        "// a yard\n{ /* all of it */ \"publish\": {\"endpoint\": \"tcp://127.0.0.1:5601\"},\n"
        "\"streams\": {\"gate\": {\"url\": \"rtsp://vi%40wer:ge%2Fheim@cam.local:8554/a?b=//c\",\n"
        "\"transport\": \"udp\", \"watches\": [{\"phrases\": [\"a // b\", \"c /* d */\", {\"threshold\": 0.4, \"phrase\": \"e:0.5\"}],\n"
        "\"nms\": 0.7},\n"
        "{\"name\": \"people\", \"task\": \"pose\", \"threshold\": 0.25}]},\n"
        "\"door\": {\"url\": \"file:///a%20b.mp4\", \"watches\": [{}], \"enabled\": false}}}",
        problems);
    if (problems->len)
        printf("%s\n", (char *)problems->pdata[0]);
    if (!CHECK(c))
        return;
    const struct stream_config *gate = config_stream(c, "gate"), *door = config_stream(c, "door");
    CHECK_STR(gate->url, "rtsp://cam.local:8554/a?b=//c");
    CHECK_STR(gate->shown, "rtsp://…@cam.local:8554/a?b=//c");
    CHECK_STR(gate->host, "cam.local");
    CHECK_CMP(gate->port, ==, 8554);
    CHECK_STR(gate->user, "vi@wer");
    CHECK_STR(gate->password, "ge/heim");
    CHECK_CMP((int)gate->transport, ==, TRANSPORT_UDP);
    CHECK_STR(gate->watches[0].phrases[0], "a // b");
    CHECK_STR(gate->watches[0].phrases[1], "c /* d */");
    CHECK_STR(gate->watches[0].phrases[2], "e:0.5");
    CHECK(gate->watches[0].phrases[3] == NULL);
    CHECK_NEAR(gate->watches[0].thresholds[1], 0, 0);
    CHECK_NEAR(gate->watches[0].thresholds[2], 0.4, 0);
    CHECK_NEAR(gate->watches[0].nms, 0.7, 0);
    CHECK_STR(gate->watches[0].name, "detect");
    CHECK_STR(gate->watches[0].model, "nano");
    CHECK_CMP((int)gate->watches[1].task, ==, WW_TASK_POSE);
    CHECK_NEAR(gate->watches[1].threshold, 0.25, 0);
    CHECK_STR(door->url, "/a b.mp4");
    CHECK(!door->enabled);
    CHECK_CMP(c->status_interval_s, ==, 1.0);
    CHECK(stream_config_equal(gate, gate));
    CHECK(!stream_config_same_place(gate, door));
    config_unref(&c);
    g_ptr_array_unref(problems);
}

static void test_redaction(void)
{
    static const char *const pairs[][2] = {
        {"rtsp://host/path", "rtsp://host/path"},
        {"rtsp://user:geheim@host/path", "rtsp://…@host/path"},
        {"rtsp://user:ge@heim@host/path", "rtsp://…@host/path"},
        {"rtsp://user:ge/heim@host/path", "rtsp://…@host/path"},
        {"http://host/user=admin&password=geheim&channel=1", "http://host/user=admin&password=…&channel=1"},
        {"http://host/?PWD=geheim", "http://host/?PWD=…"},
        {"no url: geheim?", "no url: geheim?"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
        char *text = config_redact_url(pairs[i][0]);
        CHECK_STR(text, pairs[i][1]);
        g_free(text);
    }
}

// A file that others can read is no place for a password; a folder or nothing is no configuration.
static void test_files(void)
{
    char folder[] = "/tmp/watchword-test-XXXXXX";
    if (!CHECK(mkdtemp(folder)))
        return;
    char *secret = g_build_filename(folder, "secret", NULL);
    char *text = g_strdup_printf(STREAM("\"url\":\"rtsp://h/\",\"credentials\":{\"user\":\"u\","
                                        "\"password_file\":\"%s\"}," WATCHES), secret);
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    CHECK(!parse(text, problems));
    CHECK_HAS((char *)problems->pdata[0], "No such file");
    CHECK(g_file_set_contents(secret, "geheim\n", -1, NULL));
    chmod(secret, 0644);
    CHECK(!parse(text, problems));
    CHECK_HAS((char *)problems->pdata[1], "with mode 0644, allowed is a file that only its owner");
    chmod(secret, 0600);
    struct config *config = parse(text, problems);
    CHECK(config);
    config_unref(&config);
    CHECK(!config_load(folder, problems));
    CHECK_HAS((char *)problems->pdata[2], "found a folder, allowed is a regular file");
    CHECK(!config_load("/no/such/file", problems));
    CHECK_HAS((char *)problems->pdata[3], "/no/such/file: No such file");
    unlink(secret);
    rmdir(folder);
    g_ptr_array_unref(problems);
    g_free(secret);
    g_free(text);
}

// Whether a stream gets its password from `path` with that mode.
static bool is_read(const struct stream_config *stream, const char *path, mode_t mode)
{
    struct credentials login;
    struct ww_error err = {0};
    check_about("mode %04o", mode);
    chmod(path, mode);
    const bool ok = credentials_read(stream, &login, &err);
    if (ok)
        CHECK_STR(login.password, "geheim");
    else
        CHECK_HAS(err.text, stream->credential ? "only this service can read (chmod 640)"
                                               : "only its owner can read (chmod 600)");
    credentials_clear(&login);
    check_about("%s", "");
    return ok;
}

// systemd 254 and later give credentials by an access control list, whose mask a group's rights show.
static void test_credentials(void)
{
    char folder[] = "/tmp/watchword-test-XXXXXX";
    if (!CHECK(mkdtemp(folder)))
        return;
    char *path = g_build_filename(folder, "gate", NULL);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    struct stream_config given = {.credential = (char *)"gate"};
    struct stream_config own = {.user = (char *)"viewer", .password_file = path};
    CHECK(g_file_set_contents(path, "viewer:geheim\n", -1, NULL));
    CHECK(is_read(&given, path, 0400));
    CHECK(is_read(&given, path, 0440));
    CHECK(!is_read(&given, path, 0444));
    CHECK(!is_read(&given, path, 0460));
    CHECK(g_file_set_contents(path, "geheim\n", -1, NULL));
    CHECK(is_read(&own, path, 0400));
    CHECK(!is_read(&own, path, 0440));
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(path);
    rmdir(folder);
    g_free(path);
}

// A file of nothing but mistakes is answered with a page, not with a book.
static void test_many(void)
{
    GString *text = g_string_new("{");
    for (int i = 0; i < 500; i++)
        g_string_append_printf(text, "%s\"k%d\":1", i ? "," : "", i);
    g_string_append(text, "}");
    GPtrArray *problems = g_ptr_array_new_with_free_func(g_free);
    CHECK(!parse(text->str, problems));
    CHECK_CMP(problems->len, ==, 21u);
    CHECK_HAS((char *)problems->pdata[20], "and more like these");
    g_ptr_array_unref(problems);
    g_string_free(text, TRUE);
}

int main(void)
{
    test_bad();
    test_good();
    test_redaction();
    test_files();
    test_credentials();
    test_many();
    return check_done();
}
