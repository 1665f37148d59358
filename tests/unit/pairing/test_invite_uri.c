/* SPDX-License-Identifier: Apache-2.0 */
/* Invitations as text: one spelling, fixed limits, no secret in a sentence
 * (PAIR-3). */
#include "exchange/invitation.h"
#include "harness.h"

#define KEY "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ"
#define SECRET_HEX "000102030405060708090a0b0c0d0e0f10111213"
#define HEAD "peernet:join/1?key=" KEY
#define TAIL "&until=1764600000&secret=" SECRET_HEX
#define SHORT HEAD "&at=192.0.2.7:4000" TAIL
#define LONG                                                                   \
    HEAD "&at=192.0.2.7:4000&at=%5B2001:db8::1%5D:4000&at=lamp.example:1"      \
         "&at=a_b-c.d:65535&name=K%C3%BCche%202" TAIL

static void fill(pn_invitation *invitation)
{
    memset(invitation, 0, sizeof(*invitation));
    for (size_t i = 0; i < PN_KEY_LEN; i++) {
        invitation->key.bytes[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < PN_INVITATION_SECRET_LEN; i++) {
        invitation->secret[i] = (uint8_t)i;
    }
    invitation->until_s = 1764600000;
    invitation->n_addresses = 1;
    (void)strcpy(invitation->addresses[0], "192.0.2.7:4000");
}

static void test_write(void **state)
{
    pn_invitation invitation;
    char uri[PN_INVITATION_URI_CAP];

    (void)state;
    fill(&invitation);
    assert_int_equal(pn_invitation_write(&invitation, uri), PN_OK);
    assert_string_equal(uri, SHORT);
    invitation.n_addresses = 4;
    (void)strcpy(invitation.addresses[1], "[2001:db8::1]:4000");
    (void)strcpy(invitation.addresses[2], "lamp.example:1");
    (void)strcpy(invitation.addresses[3], "a_b-c.d:65535");
    (void)strcpy(invitation.name, "K\u00fcche 2");
    assert_int_equal(pn_invitation_write(&invitation, uri), PN_OK);
    assert_string_equal(uri, LONG);
}

static void test_read(void **state)
{
    pn_invitation want;
    pn_invitation got;
    const char *why = NULL;

    (void)state;
    fill(&want);
    assert_int_equal(
        pn_invitation_read(SHORT, strlen(SHORT), &got, &why), PN_OK);
    assert_memory_equal(&got, &want, sizeof(want));
    assert_int_equal(pn_invitation_read(LONG, strlen(LONG), &got, &why), PN_OK);
    assert_int_equal(got.n_addresses, 4);
    assert_string_equal(got.addresses[1], "[2001:db8::1]:4000");
    assert_string_equal(got.name, "K\u00fcche 2");
}

static void assert_refused(const char *text, size_t len)
{
    static const uint8_t zeros[sizeof(pn_invitation)];
    const char *why = NULL;
    pn_invitation got;

    assert_int_equal(pn_invitation_read(text, len, &got, &why), PN_MALFORMED);
    assert_non_null(why);
    assert_memory_equal(&got, zeros, sizeof(got));
}

static void test_bad(void **state)
{
    const char *text = *state;

    assert_refused(text, strlen(text));
}

/* The end is not announced: each shorter text is refused, and one more byte. */
static void test_prefixes(void **state)
{
    char more[sizeof(LONG) + 1];

    (void)state;
    for (size_t n = 0; n < strlen(LONG); n++) {
        assert_refused(LONG, n);
    }
    for (int c = 0; c < 256; c++) {
        (void)strcpy(more, LONG);
        more[strlen(LONG)] = (char)c;
        assert_refused(more, strlen(LONG) + 1);
    }
}

/* Each byte replaced by each other: never another spelling of the same. */
static void test_one_spelling(void **state)
{
    char uri[PN_INVITATION_URI_CAP];
    const char *why;
    char text[sizeof(LONG)];

    (void)state;
    for (size_t at = 0; at < strlen(LONG); at++) {
        for (int c = 0; c < 256; c++) {
            pn_invitation got;

            (void)strcpy(text, LONG);
            text[at] = (char)c;
            if (pn_invitation_read(text, strlen(LONG), &got, &why) == PN_OK) {
                assert_int_equal(pn_invitation_write(&got, uri), PN_OK);
                assert_memory_equal(uri, text, strlen(LONG) + 1);
            }
        }
    }
}

/* The limit of a text and of a name. */
static void test_limits(void **state)
{
    pn_invitation invitation;
    char uri[PN_INVITATION_URI_CAP];
    char text[PN_INVITATION_URI_CAP + 1];
    pn_invitation got;
    const char *why;

    (void)state;
    fill(&invitation);
    memset(invitation.name, 'n', PN_INVITATION_NAME_MAX);
    assert_int_equal(pn_invitation_write(&invitation, uri), PN_OK);
    assert_int_equal(pn_invitation_read(uri, strlen(uri), &got, &why), PN_OK);
    (void)snprintf(
        text, sizeof(text), HEAD "&at=192.0.2.7:4000&name=%065d" TAIL, 0);
    assert_refused(text, strlen(text));
    /* Four names of 253 bytes do not fit, three do. */
    for (size_t i = 0; i < PN_INVITATION_ADDRESSES; i++) {
        invitation.n_addresses = i + 1;
        memset(invitation.addresses[i], 'h', PN_HOST_NAME_MAX);
        (void)strcpy(invitation.addresses[i] + PN_HOST_NAME_MAX, ":1");
        assert_int_equal(pn_invitation_write(&invitation, uri),
            i < 3 ? PN_OK : PN_TOO_LARGE);
    }
    memset(text, 'x', sizeof(text));
    memcpy(text, SHORT, strlen(SHORT));
    assert_refused(text, PN_INVITATION_URI_CAP - 1);
    assert_int_equal(
        pn_invitation_read(text, PN_INVITATION_URI_CAP, &got, &why),
        PN_MALFORMED);
    assert_string_equal(why, "it is longer than 1023 characters");
}

static void test_unsound(void **state)
{
    static const char *const addresses[] = {
        "", "host", "host:0", "host:65536", ":1", "a b:1", "[::1]", "-x:1"};
    char uri[PN_INVITATION_URI_CAP];
    pn_invitation invitation;

    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        fill(&invitation);
        (void)strcpy(invitation.addresses[0], addresses[i]);
        assert_int_equal(pn_invitation_write(&invitation, uri), PN_INVALID);
    }
    fill(&invitation);
    invitation.n_addresses = 0;
    assert_int_equal(pn_invitation_write(&invitation, uri), PN_INVALID);
    fill(&invitation);
    invitation.until_s = 0;
    assert_int_equal(pn_invitation_write(&invitation, uri), PN_INVALID);
    fill(&invitation);
    (void)strcpy(invitation.name, "a\033b");
    assert_int_equal(pn_invitation_write(&invitation, uri), PN_INVALID);
}

/* One secret, two values that do not tell it or each other; fixed for all
 * versions (made by another implementation). */
static void test_derive(void **state)
{
    uint8_t secret[PN_INVITATION_SECRET_LEN];
    uint8_t id[PN_INVITATION_ID_LEN];
    uint8_t want_id[PN_INVITATION_ID_LEN];
    uint8_t want_key[PN_KEY_LEN];
    pn_secret_key key;
    json_t *vectors = pn_vectors("invitation.json");
    const json_t *derive = json_object_get(vectors, "derive");

    (void)state;
    pn_json_hex_n(derive, "secret", secret, sizeof(secret));
    pn_json_hex_n(derive, "id", want_id, sizeof(want_id));
    pn_json_hex_n(derive, "key", want_key, sizeof(want_key));
    assert_int_equal(pn_invitation_derive(secret, id, &key), PN_OK);
    assert_memory_equal(id, want_id, sizeof(id));
    assert_memory_equal(key.bytes, want_key, sizeof(want_key));
    json_decref(vectors);
}

int main(void)
{
    static const struct {
        const char *name;
        const char *text;
    } bad[] = {
        {"empty", ""},
        {"scheme_case", "PEERNET:join/1?key=" KEY "&at=192.0.2.7:4000" TAIL},
        {"version", "peernet:join/2?key=" KEY "&at=192.0.2.7:4000" TAIL},
        {"key_lower", "peernet:join/1?key="
                      "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
                      "&at=192.0.2.7:4000" TAIL},
        {"no_address", HEAD TAIL},
        {"five_addresses", HEAD "&at=a:1&at=a:1&at=a:1&at=a:1&at=a:1" TAIL},
        {"address_plain_bracket", HEAD "&at=[::1]:1" TAIL},
        {"address_lower_hex", HEAD "&at=%5b::1%5D:1" TAIL},
        {"address_needless_escape", HEAD "&at=%61:1" TAIL},
        {"address_nul", HEAD "&at=a%00:1" TAIL},
        {"port_zero", HEAD "&at=a:0" TAIL},
        {"name_empty", HEAD "&at=a:1&name=" TAIL},
        {"name_first", HEAD "&name=x&at=a:1" TAIL},
        {"name_control", HEAD "&at=a:1&name=%1B" TAIL},
        {"name_utf8", HEAD "&at=a:1&name=%FF" TAIL},
        {"name_plus", HEAD "&at=a:1&name=a+b" TAIL},
        {"half_escape", HEAD "&at=a:1&name=a%4" TAIL},
        {"until_zero", HEAD "&at=a:1&until=0&secret=" SECRET_HEX},
        {"until_leading_zero", HEAD "&at=a:1&until=01&secret=" SECRET_HEX},
        {"until_sign", HEAD "&at=a:1&until=+1&secret=" SECRET_HEX},
        {"until_long", HEAD "&at=a:1&until=1000000000000&secret=" SECRET_HEX},
        {"secret_upper", HEAD "&at=a:1&until=1&secret="
                              "000102030405060708090A0B0C0D0E0F10111213"},
        {"twice", SHORT TAIL},
        {"newline", SHORT "\n"},
    };

    pn_test_add("invite/uri/write", test_write, NULL);
    pn_test_add("invite/uri/read", test_read, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pn_test_addf(test_bad, (void *)(uintptr_t)bad[i].text,
            "invite/uri/bad/%s", bad[i].name);
    }
    pn_test_add("invite/uri/prefixes", test_prefixes, NULL);
    pn_test_add("invite/uri/one_spelling", test_one_spelling, NULL);
    pn_test_add("invite/uri/limits", test_limits, NULL);
    pn_test_add("invite/uri/unsound", test_unsound, NULL);
    pn_test_add("invite/uri/derive", test_derive, NULL);
    return pn_test_run("invite/uri");
}
