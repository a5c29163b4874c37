// Pictures and films of every kind that people have, made here with ffmpeg; what is read, and back.

#include <watchword/decode.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "media/libav.h"

static char dir[] = "/tmp/watchword-reader.XXXXXX";

__attribute__((format(printf, 1, 2))) static bool shell(const char *fmt, ...)
{
    char command[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof(command), fmt, args);
    va_end(args);
    return system(command) == 0;
}

static const char *in_dir(const char *name)
{
    static char path[8][512]; // for as many uses within one call
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

// The colour at a pixel, in R'G'B' from 0 to 255, from any format.
static void colour_at(const struct ww_frame *f, int x, int y, double rgb[3])
{
    const uint8_t *row = f->plane[0] + (ptrdiff_t)y * f->stride[0];
    const uint8_t *p;
    switch (f->format) {
    case WW_FORMAT_GRAY8:
        rgb[0] = rgb[1] = rgb[2] = row[x];
        return;
    case WW_FORMAT_RGB:
    case WW_FORMAT_RGBA:
        p = row + x * (f->format == WW_FORMAT_RGB ? 3 : 4);
        rgb[0] = p[0], rgb[1] = p[1], rgb[2] = p[2];
        return;
    case WW_FORMAT_BGR:
    case WW_FORMAT_BGRA:
        p = row + x * (f->format == WW_FORMAT_BGR ? 3 : 4);
        rgb[0] = p[2], rgb[1] = p[1], rgb[2] = p[0];
        return;
    default:
        break;
    }
    const bool full = f->range == WW_RANGE_FULL;
    const double kr = f->matrix == WW_MATRIX_BT709 ? 0.2126 : 0.299;
    const double kb = f->matrix == WW_MATRIX_BT709 ? 0.0722 : 0.114;
    double u, v;
    if (f->format == WW_FORMAT_NV12) {
        p = f->plane[1] + (ptrdiff_t)(y / 2) * f->stride[1] + x / 2 * 2;
        u = p[0], v = p[1];
    } else {
        u = f->plane[1][(ptrdiff_t)(y / 2) * f->stride[1] + x / 2];
        v = f->plane[2][(ptrdiff_t)(y / 2) * f->stride[2] + x / 2];
    }
    const double luma = full ? row[x] : (row[x] - 16) * 255.0 / 219;
    const double cb = (u - 128) * (full ? 1 : 255.0 / 224),
                 cr = (v - 128) * (full ? 1 : 255.0 / 224);
    rgb[0] = luma + 2 * (1 - kr) * cr;
    rgb[2] = luma + 2 * (1 - kb) * cb;
    rgb[1] = (luma - kr * rgb[0] - kb * rgb[2]) / (1 - kr - kb);
}

static void check_colour(const struct ww_frame *f, double r, double g, double b)
{
    double rgb[3];
    colour_at(f, f->width / 2, f->height / 2, rgb);
    CHECK_NEAR(rgb[0], r, 8);
    CHECK_NEAR(rgb[1], g, 8);
    CHECK_NEAR(rgb[2], b, 8);
}

// A plain colour through every layout, matrix and range: orange comes back as orange.
static const struct {
    const char *name, *options;
    int width, height;
    enum ww_format format;
    enum ww_matrix matrix;
    enum ww_range range;
} plain[] = {
#define FFV1              "-c:v ffv1 "
#define TO(matrix, range) "-vf scale=out_color_matrix=" matrix ":out_range=" range ",format="
    {"601.mkv", TO("bt601", "tv") "yuv420p -colorspace smpte170m -color_range tv " FFV1, 320, 240,
     WW_FORMAT_I420, WW_MATRIX_BT601, WW_RANGE_LIMITED},
    {"709.mkv", TO("bt709", "tv") "yuv420p -colorspace bt709 -color_range tv " FFV1, 321, 241,
     WW_FORMAT_I420, WW_MATRIX_BT709, WW_RANGE_LIMITED},
    {"full.mkv", TO("bt709", "pc") "yuv420p -colorspace bt709 -color_range pc " FFV1, 33, 17,
     WW_FORMAT_I420, WW_MATRIX_BT709, WW_RANGE_FULL},
    {"unsaid-sd.mkv", TO("bt601", "tv") "yuv420p " FFV1, 640, 480, WW_FORMAT_I420, WW_MATRIX_BT601,
     WW_RANGE_LIMITED},
    {"unsaid-hd.mkv", TO("bt709", "tv") "yuv420p " FFV1, 1280, 720, WW_FORMAT_I420, WW_MATRIX_BT709,
     WW_RANGE_LIMITED},
    {"nv12.nut", TO("bt601", "tv") "nv12 -c:v rawvideo", 322, 242, WW_FORMAT_NV12, WW_MATRIX_BT601,
     WW_RANGE_LIMITED},
    {"422.mkv", TO("bt601", "tv") "yuv422p " FFV1, 321, 241, WW_FORMAT_I420, WW_MATRIX_BT601,
     WW_RANGE_LIMITED},
    {"444.mkv", TO("bt709", "pc") "yuv444p -colorspace bt709 -color_range pc " FFV1, 99, 101,
     WW_FORMAT_I420, WW_MATRIX_BT709, WW_RANGE_FULL},
    {"ten.mkv", TO("bt709", "tv") "yuv420p10le -colorspace bt709 -color_range tv " FFV1, 320, 240,
     WW_FORMAT_I420, WW_MATRIX_BT709, WW_RANGE_LIMITED},
    {"2020.mkv", TO("bt2020", "tv") "yuv420p10le -colorspace bt2020nc -color_range tv " FFV1, 320,
     240, WW_FORMAT_RGB, WW_MATRIX_BT601, WW_RANGE_FULL},
    {"rgb24.nut", "-pix_fmt rgb24 -c:v rawvideo", 321, 3, WW_FORMAT_RGB, WW_MATRIX_BT601,
     WW_RANGE_FULL},
    {"bgr0.mkv", "-pix_fmt bgr0 " FFV1, 64, 64, WW_FORMAT_BGRA, WW_MATRIX_BT601, WW_RANGE_FULL},
    {"upside-down.avi", "-pix_fmt bgr24 -c:v rawvideo", 50, 40, WW_FORMAT_BGR, WW_MATRIX_BT601,
     WW_RANGE_FULL},
    {"gbrp.avi", "-pix_fmt gbrp -c:v utvideo ", 64, 64, WW_FORMAT_RGB, WW_MATRIX_BT601,
     WW_RANGE_FULL},
    {"h264.mp4", TO("bt709", "tv") "yuv420p -colorspace bt709 -color_range tv -c:v libx264", 320,
     240, WW_FORMAT_I420, WW_MATRIX_BT709, WW_RANGE_LIMITED},
    {"photo.jpg", "-frames:v 1 -q:v 1", 321, 241, WW_FORMAT_I420, WW_MATRIX_BT601, WW_RANGE_FULL},
    {"large.jpg", "-frames:v 1 -q:v 1", 2000, 1500, WW_FORMAT_I420, WW_MATRIX_BT601, WW_RANGE_FULL},
    {"rgb.png", "-frames:v 1 -pix_fmt rgb24", 1, 1, WW_FORMAT_RGB, WW_MATRIX_BT601, WW_RANGE_FULL},
    {"rgba.png", "-frames:v 1 -pix_fmt rgba", 7, 5, WW_FORMAT_RGBA, WW_MATRIX_BT601, WW_RANGE_FULL},
    {"deep.png", "-frames:v 1 -pix_fmt rgb48be", 20, 10, WW_FORMAT_RGB, WW_MATRIX_BT601,
     WW_RANGE_FULL},
    {"pal.png", "-frames:v 1 -pix_fmt pal8", 20, 10, WW_FORMAT_RGB, WW_MATRIX_BT601, WW_RANGE_FULL},
    {"50%d a:b.png", "-frames:v 1 -update 1 -pix_fmt rgb24", 12, 10, WW_FORMAT_RGB, WW_MATRIX_BT601,
     WW_RANGE_FULL},
};

static void test_layouts(void)
{
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        check_about("%s", plain[i].name);
        const char *path = in_dir("made");
        const char *ending = strrchr(plain[i].name, '.');
        if (!CHECK(
                shell("ffmpeg -v error -y -f lavfi -i color=0xff8800:%dx%d:r=10:d=0.5,format=gbrp "
                      "%s '%s%s' && mv '%s%s' '%s'",
                      plain[i].width, plain[i].height, plain[i].options, path, ending, path, ending,
                      in_dir(plain[i].name))))
            continue;
        struct ww_error err = {0};
        struct ww_reader *reader = ww_reader_open(in_dir(plain[i].name), &err);
        struct ww_frame frame;
        if (!CHECK(reader != NULL) || !CHECK_CMP(ww_reader_next(reader, &frame, &err), ==, 1)) {
            printf("%s: %s\n", plain[i].name, err.text);
            ww_reader_close(&reader);
            continue;
        }
        CHECK(ww_frame_check(&frame, &err));
        CHECK_CMP(frame.width, ==, plain[i].width);
        CHECK_CMP(frame.height, ==, plain[i].height);
        CHECK_CMP(frame.format, ==, plain[i].format);
        CHECK_CMP(frame.matrix, ==, plain[i].matrix);
        if (frame.format == WW_FORMAT_I420 || frame.format == WW_FORMAT_NV12)
            CHECK_CMP(frame.range, ==, plain[i].range);
        CHECK_CMP(frame.pts_ns, ==, 0);
        check_colour(&frame, 255, 136, 0);
        ww_reader_close(&reader);
    }
    check_about("%s", "");
}

static int read_all(const char *path, struct ww_reader_info *info, struct ww_error *err)
{
    struct ww_reader *reader = ww_reader_open(path, err);
    if (!reader)
        return -1;
    struct ww_frame frame;
    int count = 0, got;
    int64_t last_ns = -1;
    while ((got = ww_reader_next(reader, &frame, err)) == 1) {
        CHECK_CMP(frame.index, ==, (uint64_t)count);
        CHECK_CMP(frame.pts_ns, >, last_ns);
        last_ns = frame.pts_ns;
        count++;
    }
    ww_reader_info(reader, info);
    ww_reader_close(&reader);
    return got < 0 ? -2 : count;
}

// H.264 with B frames: in the order of presentation, and the last ones come, too.
static void test_order(void)
{
    struct ww_error err = {0};
    struct ww_reader_info info;
    if (!CHECK(shell("ffmpeg -v error -y -f lavfi -i testsrc=320x240:r=25:d=2 -pix_fmt yuv420p "
                     "-c:v libx264 -bf 3 '%s'",
                     in_dir("b.mp4"))))
        return;
    CHECK_CMP(read_all(in_dir("b.mp4"), &info, &err), ==, 50);
    CHECK_NEAR(info.fps, 25, 1e-9);
    CHECK_CMP(info.num_frames, ==, 50);
    CHECK_NEAR((double)info.duration_ns / 1e9, 2, 0.001);
    CHECK_CMP(info.broken, ==, 0u);
    CHECK_STR(info.codec, "h264");
    CHECK(!info.live);
    // A bare stream has no times: they follow from its rate.
    CHECK(shell("ffmpeg -v error -y -i '%s' -c copy -bsf:v h264_mp4toannexb '%s'", in_dir("b.mp4"),
                in_dir("b.h264")));
    CHECK_CMP(read_all(in_dir("b.h264"), &info, &err), ==, 50);
}

static void test_broken(void)
{
    struct ww_error err = {0};
    struct ww_reader_info info = {0};
    CHECK(ww_reader_open(in_dir("nothing.mp4"), &err) == NULL);
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK_HAS(err.text, "nothing.mp4");
    CHECK_HAS(err.text, "No such file");
    CHECK(ww_reader_open(dir, &err) == NULL);
    CHECK_HAS(err.text, "is a directory");

    CHECK(shell("head -c 5000 /dev/urandom > '%s'", in_dir("noise.mp4")));
    CHECK(ww_reader_open(in_dir("noise.mp4"), &err) == NULL);
    CHECK_CMP(err.code, ==, WW_E_FILE);
    CHECK(shell("ffmpeg -v error -y -f lavfi -i sine -t 1 '%s'", in_dir("sound.wav")));
    CHECK(ww_reader_open(in_dir("sound.wav"), &err) == NULL);
    CHECK_HAS(err.text, "holds no video");

    // A film that ends in the middle gives what is there.
    CHECK(shell("ffmpeg -v error -y -i '%s' -c copy '%s' && head -c 8000 '%s' > '%s'",
                in_dir("b.mp4"), in_dir("b.mkv"), in_dir("b.mkv"), in_dir("cut.mkv")));
    const int some = read_all(in_dir("cut.mkv"), &info, &err);
    CHECK_CMP(some, >, 0);
    CHECK_CMP(some, <, 50);

    // Noise in every packet: frames are lost and counted, and it comes to an end.
    CHECK(shell("ffmpeg -v error -y -f lavfi -i testsrc=320x240:r=25:d=4 -c:v png -bsf:v "
                "noise=amount=2000 '%s'",
                in_dir("noisy.mkv")));
    const int sound = read_all(in_dir("noisy.mkv"), &info, &err);
    CHECK_CMP(sound, >, 0);
    CHECK_CMP(info.broken, >, 0u);
    CHECK_CMP((uint64_t)sound + info.broken, <=, 100u); // some codecs drop without a word

    const char *film = "/usr/share/doc/opencv-doc/examples/data/Megamind_bugy.avi";
    if (access(film, R_OK) == 0) {
        const int count = read_all(film, &info, &err);
        printf("Megamind_bugy.avi: %d frames, %d broken\n", count, (int)info.broken);
        CHECK_CMP(count, >, 200);
    }
}

static void test_credentials(void)
{
    struct ww_error err = {0};
    CHECK(ww_reader_open("rtsp://admin:hidden@127.0.0.1:1/live?token=hidden", &err) == NULL);
    CHECK_CMP(err.code, ==, WW_E_NETWORK);
    CHECK(!strstr(err.text, "hidden"));
    CHECK_HAS(err.text, "refused");
    CHECK(ww_reader_open("http://admin:hid/den@127.0.0.1:1/user=admin&password=hidden&channel=1.ppm", &err) == NULL);
    CHECK(!strstr(err.text, "hid"));
    CHECK_HAS(err.text, "http://…@127.0.0.1:1/user=admin&password=…&channel=1.ppm: ");
}

// A server that accepts and then says nothing: a signal ends the wait.
static volatile sig_atomic_t stop;

static void on_alarm(int number)
{
    (void)number;
    stop = 1;
}

static void test_stop(void)
{
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    if (!CHECK(server >= 0 && bind(server, (struct sockaddr *)&address, size) == 0 &&
               listen(server, 4) == 0 &&
               getsockname(server, (struct sockaddr *)&address, &size) == 0))
        return;
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
    struct ww_error err = {0};
    char url[64];
    snprintf(url, sizeof(url), "rtsp://127.0.0.1:%d/live", ntohs(address.sin_port));
    alarm(1);
    const time_t begun = time(NULL);
    CHECK(ww_reader_open_until(url, &stop, &err) == NULL);
    CHECK_CMP(err.code, ==, WW_E_STOPPED);
    CHECK_CMP(time(NULL) - begun, <=, 3);
    close(server);
}

static void test_writer(void)
{
    enum { W = 65, H = 49 };
    static uint8_t pixels[W * H * 4];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            memcpy(pixels + (y * W + x) * 4, (const uint8_t[]){200, 40, 90, 255}, 4);
    const struct ww_frame frame = {
        .format = WW_FORMAT_RGBA, .width = W, .height = H, .plane = {pixels}, .stride = {W * 4}};
    struct ww_error err = {0};
    for (int i = 0; i < 3; i++) {
        const char *name = (const char *[]){"out.mp4", "out.mkv", "out.png"}[i];
        check_about("%s", name);
        struct ww_writer *writer = ww_writer_open(in_dir(name), 12.5, &err);
        if (!CHECK(writer != NULL))
            continue;
        for (int n = 0; n < 10; n++)
            CHECK(ww_writer_add(writer, &frame, &err));
        CHECK(ww_writer_close(&writer, &err));
        CHECK(writer == NULL);
        struct ww_reader *reader = ww_reader_open(in_dir(name), &err);
        struct ww_frame back;
        struct ww_reader_info info;
        if (!CHECK(reader != NULL))
            continue;
        int count = 0;
        while (ww_reader_next(reader, &back, &err) == 1) {
            if (count++ == 0)
                check_colour(&back, 200, 40, 90);
        }
        ww_reader_info(reader, &info);
        CHECK_CMP(count, ==, i == 2 ? 1 : 10);
        CHECK_CMP(info.width, ==, i == 2 ? W : W - 1);
        CHECK_CMP(info.height, ==, i == 2 ? H : H - 1);
        CHECK_NEAR(info.fps, i == 2 ? 0 : 12.5, 1e-6);
        ww_reader_close(&reader);
    }
    check_about("%s", "");
    CHECK(ww_writer_open(in_dir("out.gif"), 10, &err) == NULL);
    CHECK_CMP(err.code, ==, WW_E_CONFIG);
    CHECK(ww_writer_open("/nowhere/out.mp4", 10, &err) == NULL);
    CHECK_CMP(err.code, ==, WW_E_FILE);
    struct ww_writer *writer = ww_writer_open(in_dir("sizes.mkv"), 10, &err);
    struct ww_frame smaller = frame;
    smaller.width = 32;
    CHECK(ww_writer_add(writer, &frame, &err));
    CHECK(!ww_writer_add(writer, &smaller, &err));
    CHECK_HAS(err.text, "32x49");
    CHECK(ww_writer_close(&writer, &err));
    writer = ww_writer_open(in_dir("empty.mp4"), 10, &err);
    CHECK(!ww_writer_close(&writer, &err));
    CHECK_HAS(err.text, "no frame");
    CHECK(access(in_dir("empty.mp4"), F_OK) != 0);
}

int main(void)
{
    if (!shell("ffmpeg -version >/dev/null 2>&1"))
        check_skip("ffmpeg is not installed");
    if (!mkdtemp(dir))
        check_skip("no folder for temporary files: %m");
    test_layouts();
    test_order();
    test_broken();
    test_credentials();
    test_stop();
    test_writer();
    shell("rm -rf '%s'", dir);
    return check_done();
}
