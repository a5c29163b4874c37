// trust.c: certificates. GIO's TLS backend (glib-networking) shakes hands and asks a GTlsDatabase what it
// thinks of the certificates that it was shown; a source's is a Judge.

#include <gio/gio.h>

#include "trust.h"

typedef struct {
    GTlsDatabase parent;
    char *sha256;        // the one certificate that is taken; NULL: ask `inner`
    GTlsDatabase *inner; // the system's or the file's
    GWeakRef element;    // which posts the error
} Judge;

typedef struct {
    GTlsDatabaseClass parent;
} JudgeClass;

static GType judge_get_type(void);
G_DEFINE_TYPE(Judge, judge, G_TYPE_TLS_DATABASE)

// SHA-256 of the certificate as it travels, 64 digits.
static char *fingerprint(GTlsCertificate *certificate)
{
    GByteArray *der = NULL;
    g_object_get(certificate, "certificate", &der, NULL);
    char *digest = der ? g_compute_checksum_for_data(G_CHECKSUM_SHA256, der->data, der->len) : NULL;
    g_clear_pointer(&der, g_byte_array_unref);
    return digest;
}

static const char *problem_text(GTlsCertificateFlags problems)
{
    if (problems & G_TLS_CERTIFICATE_REVOKED)
        return "it was revoked";
    if (problems & G_TLS_CERTIFICATE_EXPIRED)
        return "it has expired";
    if (problems & G_TLS_CERTIFICATE_NOT_ACTIVATED)
        return "it is not valid yet: the clock here or there may be wrong";
    if (problems & G_TLS_CERTIFICATE_UNKNOWN_CA)
        return "nobody known here has signed it";
    if (problems & G_TLS_CERTIFICATE_BAD_IDENTITY)
        return "it is another host's";
    return "it is not sound";
}

static void complain(Judge *judge, const char *digest, GTlsCertificateFlags problems)
{
    GstElement *element = g_weak_ref_get(&judge->element);
    if (!element)
        return;
    if (judge->sha256)
        GST_ELEMENT_ERROR(element, RESOURCE, OPEN_READ_WRITE, (NULL),
                          ("TLS: its certificate is not the pinned one, but %s", digest));
    else
        GST_ELEMENT_ERROR(element, RESOURCE, OPEN_READ_WRITE, (NULL),
                          ("TLS: its certificate is not trusted: %s; \"tls\": {\"sha256\": \"%s\"} "
                           "trusts this one",
                           problem_text(problems), digest));
    gst_object_unref(element);
}

static GTlsCertificateFlags judge_verify_chain(GTlsDatabase *database, GTlsCertificate *chain,
                                               const char *purpose, GSocketConnectable *identity,
                                               GTlsInteraction *interaction,
                                               GTlsDatabaseVerifyFlags flags,
                                               GCancellable *cancellable, GError **error)
{
    Judge *judge = (Judge *)database;
    char *digest = fingerprint(chain);
    GTlsCertificateFlags problems = G_TLS_CERTIFICATE_UNKNOWN_CA;
    if (!judge->sha256)
        problems = g_tls_database_verify_chain(judge->inner, chain, purpose, identity, interaction,
                                               flags, cancellable, error);
    else if (digest && g_ascii_strcasecmp(digest, judge->sha256) == 0)
        problems = 0;
    if (problems)
        complain(judge, digest ? digest : "?", problems);
    g_free(digest);
    return problems;
}

static void judge_finalize(GObject *object)
{
    Judge *judge = (Judge *)object;
    g_free(judge->sha256);
    g_clear_object(&judge->inner);
    g_weak_ref_clear(&judge->element);
    G_OBJECT_CLASS(judge_parent_class)->finalize(object);
}

static void judge_class_init(JudgeClass *class)
{
    G_OBJECT_CLASS(class)->finalize = judge_finalize;
    class->parent.verify_chain = judge_verify_chain;
}

static void judge_init(Judge *judge)
{
    g_weak_ref_init(&judge->element, NULL);
}

bool trust_set(const struct tls_config *tls, GstElement *element, struct ww_error *err)
{
    const bool is_rtsp = g_object_class_find_property(G_OBJECT_GET_CLASS(element),
                                                      "tls-validation-flags") != NULL;
    if (tls->any && is_rtsp)
        g_object_set(element, "tls-validation-flags", 0, NULL);
    else if (tls->any)
        g_object_set(element, "ssl-strict", FALSE, NULL);
    if (tls->any)
        return true;
    GError *error = NULL;
    GTlsDatabase *inner = tls->ca_file
                              ? g_tls_file_database_new(tls->ca_file, &error)
                              : g_tls_backend_get_default_database(g_tls_backend_get_default());
    if (!inner) {
        ww_fail(err, WW_E_NETWORK, "tls.ca_file %s: %s", tls->ca_file ? tls->ca_file : "",
                error ? error->message : "there is no TLS here (install glib-networking)");
        g_clear_error(&error);
        return false;
    }
    Judge *judge = g_object_new(judge_get_type(), NULL);
    judge->sha256 = g_strdup(tls->sha256);
    judge->inner = inner;
    g_weak_ref_set(&judge->element, element);
    g_object_set(element, "tls-database", judge, NULL);
    g_object_unref(judge);
    return true;
}
