// Catalogues of models: the one that is shipped, and those that nobody should have written.

#include <stdio.h>
#include <unistd.h>
#include <watchword/catalogue.h>

#include "check.h"

static const char *const digest = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

static struct ww_catalogue *open_text(const char *text, struct ww_error *err)
{
    char path[] = "/tmp/watchword-catalogue-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    close(fd);
    struct ww_catalogue *catalogue = ww_catalogue_open(path, err);
    if (!catalogue)
        CHECK(strncmp(err->text, path, strlen(path)) == 0); // the file is named
    unlink(path);
    return catalogue;
}

// Is not taken, and these words are in what is said.
static void refuse(const char *whole, const char *told)
{
    struct ww_error err = {0};
    check_about("%.200s", whole);
    struct ww_catalogue *catalogue = open_text(whole, &err);
    CHECK(!catalogue);
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK_HAS(err.text, told);
    ww_catalogue_close(&catalogue);
}

// The same of one model with these members, and below of its second file with these.
static void refuse_model(const char *members, const char *told)
{
    char whole[4000];
    snprintf(whole, sizeof(whole),
             "{\"catalogue\": 1, \"models\": [{\"name\": \"m\", \"family\": \"f\", \"licence\": \"l\", %s}]}", members);
    refuse(whole, told);
}

static void refuse_file(const char *members, const char *told)
{
    char model[3000];
    snprintf(model, sizeof(model), "\"hub\": \"o/r\", \"files\": [{\"name\": \"a\"}, {%s}]", members);
    refuse_model(model, told);
}

static void test_shipped(void)
{
    const char *source = getenv("WATCHWORD_SOURCE");
    if (!source)
        check_skip("WATCHWORD_SOURCE does not say where the source tree is; run it by meson test");
    char path[4096];
    struct ww_error err = {0};
    snprintf(path, sizeof(path), "%s/models/catalogue.json", source);
    struct ww_catalogue *catalogue = ww_catalogue_open(path, &err);
    check_about("%s", err.text);
    if (!CHECK(catalogue))
        return;
    CHECK_CMP(ww_catalogue_count(catalogue), >, 5);
    const struct ww_catalogue_model *model = ww_catalogue_find(catalogue, "all-MiniLM-L6-v2");
    if (CHECK(model)) {
        CHECK_STR(model->hub, "sentence-transformers/all-MiniLM-L6-v2");
        CHECK_STR(model->catalogue, path);
        CHECK_CMP(model->bytes, ==, -1); // its small files are not measured
        const struct ww_catalogue_file *weights = &model->files[model->num_files - 1];
        CHECK_STR(weights->sha256, digest);
        CHECK_CMP(weights->bytes, ==, 90868376);
    }
    CHECK(!ww_catalogue_find(catalogue, "nano2"));
    ww_catalogue_close(&catalogue);
    CHECK(!catalogue);
    ww_catalogue_close(&catalogue);
}

static void test_refused(void)
{
    check_about(" ");
    refuse("", "column");
    refuse("[]", "is a list, not an object");
    refuse("{\"models\": []}", "'catalogue' must be 1");
    refuse("{\"catalogue\": 2, \"models\": []}", "'catalogue' must be 1");
    refuse("{\"catalogue\": 1}", "models");
    refuse("{\"catalogue\": 1, \"models\": [], \"modles\": []}", "there is no field 'modles'");
    refuse("{\"catalogue\": 1, \"models\": [3]}", "models[0]: is a number, not an object");
    refuse("{\"catalogue\": 1, \"models\": [{\"name\": \"../up\"}]}", "models[0]: 'name' is '../up'");
    refuse("{\"catalogue\": 1, \"models\": [{\"name\": \"a/b\"}]}", "'name' is 'a/b'");
    refuse("{\"catalogue\": 1, \"models\": [{\"name\": \"..\"}]}", "'name' is '..'");
    refuse("{\"catalogue\": 1, \"models\": [{\"name\": \"\"}]}", "'name' is ''");
    refuse("{\"catalogue\": 1, \"models\": [{\"name\": \"m\", \"family\": \"f\"}]}", "licence");
    refuse_model("\"hub\": \"o/r\"", "files");
    refuse_model("\"hub\": \"o/r\", \"files\": []", "'files' is empty");
    refuse_model("\"files\": [{\"name\": \"a\"}]", "one of 'hub' and 'url'");
    refuse_model("\"hub\": \"o/r\", \"url\": \"https://a/\", \"files\": [{\"name\": \"a\"}]", "one of 'hub' and 'url'");
    refuse_model("\"hub\": \"o\", \"files\": []", "'hub' is 'o'");
    refuse_model("\"hub\": \"o/../r\", \"files\": []", "'hub' is 'o/../r'");
    refuse_model("\"hub\": \"o/r?x\", \"files\": []", "'hub' is 'o/r?x'");
    refuse_model("\"hub\": \"o/r\", \"revision\": \"a/b\", \"files\": []", "'revision' is 'a/b'");
    refuse_model("\"url\": \"https://a/\", \"revision\": \"b\", \"files\": []", "'revision' is one of a 'hub'");
    static const char *const urls[] = {"http://example.org/", "ftp://a/", "file:///etc/", "https://a", "https:///",
        "https://u:p@a/", "https://a/?b/", "https://a/../", "http://127.0.0.1.example.org/", "http://localhost", ""};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        char members[200];
        snprintf(members, sizeof(members), "\"url\": \"%s\", \"files\": [{\"name\": \"a\"}]", urls[i]);
        refuse_model(members, "not the 'https://' address of a folder");
    }
    refuse_file("\"name\": \"a\"", "'files' has 'a' twice");
    refuse_file("\"name\": \"a/b\"", "'a' as a file and as a folder");
    refuse_file("\"nmae\": \"b\"", "models[0] ('m'): files[1]: there is no field 'nmae'");
    refuse_file("\"sha256\": \"\"", "name");
    static const char *const names[] = {"", ".", "..", "/etc/passwd", "../b", "b/../c", "b/./c", "b//c", "b/", ".b",
        "-b", "b\\\\c", "b c", "b%2e", "b\\n", "b?x", "a/b/c/d/e", "b.part", "b.part-of", "\xc3\xa9"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char members[100];
        snprintf(members, sizeof(members), "\"name\": \"%s\"", names[i]);
        refuse_file(members, "not the path of a file below the model's folder");
    }
    refuse_file("\"name\": 3", "name");
    refuse_file("\"name\": \"b\", \"bytes\": 0", "'bytes' is no whole number");
    refuse_file("\"name\": \"b\", \"bytes\": -5", "'bytes' is no whole number");
    refuse_file("\"name\": \"b\", \"bytes\": 1.5", "'bytes' is no whole number");
    refuse_file("\"name\": \"b\", \"bytes\": \"7\"", "'bytes' is no whole number");
    refuse_file("\"name\": \"b\", \"bytes\": 9007199254740991", "'bytes' is no whole number");
    refuse_file("\"name\": \"b\", \"sha256\": \"abc\"", "64 hexadecimal digits");
    refuse_file("\"name\": \"b\", \"sha256\": 1", "64 hexadecimal digits");
    refuse_model("\"hub\": \"o/r\", \"files\": [{\"name\": \"b\", \"bytes\": 1125899906842624}, {\"name\": \"c\", "
                 "\"bytes\": 1}]", "models[0] ('m'): 'files' have more than 2^50 bytes");
}

static void test_sums(void)
{
    struct ww_error err = {0};
    check_about("sums");
    struct ww_catalogue *c = open_text(
        "{\"catalogue\": 1, \"models\": [{\"name\": \"m\", \"family\": \"f\\u001b[2J\", \"licence\": \"l\", "
        "\"url\": \"http://127.0.0.1:8080/x/\", \"files\": [{\"name\": \"1_P/a\", \"bytes\": 5}, "
        "{\"name\": \"b\", \"bytes\": 7}]}]}", &err);
    if (!CHECK(c))
        return;
    const struct ww_catalogue_model *model = ww_catalogue_at(c, 0);
    CHECK_CMP(model->bytes, ==, 12);
    CHECK_CMP(model->num_files, ==, 2);
    CHECK_STR(model->url, "http://127.0.0.1:8080/x/");
    CHECK(!model->hub && !model->revision && !model->files[0].sha256);
    CHECK_STR(model->family, "f?[2J"); // fit for a terminal
    ww_catalogue_close(&c);
}

// The user's comes before the library's, entry by entry.
static void test_own(void)
{
    char dir[] = "/tmp/watchword-catalogue-XXXXXX", path[100], installed[100];
    check_about("two catalogues");
    if (!CHECK(mkdtemp(dir)))
        return;
    snprintf(path, sizeof(path), "mkdir %s/watchword", dir);
    CHECK(system(path) == 0);
    static const char form[] =
        "{\"catalogue\": 1, \"models\": [{\"name\": \"%s\", \"family\": \"%s\", \"licence\": \"l\", \"hub\": \"o/r\", "
        "\"files\": [{\"name\": \"a\"}]}, {\"name\": \"both\", \"family\": \"%s\", \"licence\": \"l\", "
        "\"hub\": \"o/r\", \"files\": [{\"name\": \"a\"}]}]}";
    snprintf(path, sizeof(path), "%s/watchword/catalogue.json", dir);
    snprintf(installed, sizeof(installed), "%s/installed.json", dir);
    FILE *own = fopen(path, "w"), *theirs = fopen(installed, "w");
    if (!CHECK(own && theirs))
        return;
    fprintf(own, form, "mine", "own", "own");
    fprintf(theirs, form, "theirs", "installed", "installed");
    fclose(own);
    fclose(theirs);
    setenv("XDG_CONFIG_HOME", dir, 1);
    setenv("WATCHWORD_CATALOGUE", installed, 1);
    struct ww_error err = {0};
    struct ww_catalogue *c = ww_catalogue_open(NULL, &err);
    if (CHECK(c)) {
        CHECK_CMP(ww_catalogue_count(c), ==, 3);
        CHECK_STR(ww_catalogue_find(c, "both")->family, "own");
        CHECK_STR(ww_catalogue_find(c, "both")->catalogue, path);
        CHECK_STR(ww_catalogue_find(c, "mine")->family, "own");
        CHECK_STR(ww_catalogue_find(c, "theirs")->catalogue, installed);
    }
    ww_catalogue_close(&c);
    CHECK(truncate(path, 20) == 0); // a broken one is not passed over
    CHECK(!ww_catalogue_open(NULL, &err));
    CHECK_HAS(err.text, path);
    unlink(path);
    unlink(installed);
    snprintf(path, sizeof(path), "%s/watchword", dir);
    rmdir(path);
    rmdir(dir);
}

int main(void)
{
    test_shipped();
    test_refused();
    test_sums();
    test_own();
    return check_done();
}
