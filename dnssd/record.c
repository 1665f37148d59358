/* SPDX-License-Identifier: Apache-2.0 */
/* The records of a node; see record.h. */
#include <stdio.h>
#include <string.h>

#include <avahi-common/malloc.h>

#include "base/mutant.h"
#include "base/utf8.h"
#include "record.h"

void pn_dnssd_instance_name(
    const pn_public_key *key, char ret_name[static PN_DNSSD_NAME_CAP])
{
    char text[PN_BASE32_LEN + 1];

    pn_key_to_base32(key, text);
    (void)snprintf(ret_name, PN_DNSSD_NAME_CAP, "peernet-%s", text);
}

AvahiStringList *pn_dnssd_txt_write(const pn_public_key *key, const char *label)
{
    char text[PN_BASE32_LEN + 1];
    AvahiStringList *first = avahi_string_list_add_pair(NULL, "v", "1");
    AvahiStringList *txt;

    pn_key_to_base32(key, text);
    txt = first == NULL ? NULL : avahi_string_list_add_pair(first, "pk", text);
    if (txt == NULL) {
        avahi_string_list_free(first);
        return NULL;
    }
    first = txt;
    if (label[0] != '\0') {
        txt = avahi_string_list_add_pair(first, "n", label);
        if (txt == NULL) {
            avahi_string_list_free(first);
        }
    }
    return txt;
}

/* The value of a key, which is found in either case; NULL: it has none. */
static char *value_of(AvahiStringList *txt, const char *key)
{
    AvahiStringList *at = avahi_string_list_find(txt, key);
    char *value = NULL;
    size_t len = 0;

    if (at == NULL || avahi_string_list_get_pair(at, NULL, &value, &len) != 0) {
        return NULL;
    }
    if (value != NULL && strlen(value) != len) {
        avahi_free(value); /* a NUL inside */
        return NULL;
    }
    return value;
}

bool pn_dnssd_label_is_valid(const char *label)
{
    const uint8_t *p = (const uint8_t *)label;
    const uint8_t *end = p + strlen(label);

    if (p == end
        || PN_REFUSE_IF(dnssd_label_length, end - p > PN_DNSSD_LABEL_MAX)) {
        return false;
    }
    while (p < end) {
        uint32_t code = 0;
        size_t n = pn_utf8_decode(p, end, &code);

        if (n == 0 || PN_REFUSE_IF(dnssd_label_control, pn_is_control(code))) {
            return false;
        }
        p += n;
    }
    return true;
}

/* An invalid label is no reason to lose the node. */
static void read_label(
    AvahiStringList *txt, char ret_label[static PN_DNSSD_LABEL_CAP])
{
    char *label = value_of(txt, "n");

    ret_label[0] = '\0';
    if (label != NULL && pn_dnssd_label_is_valid(label)) {
        (void)snprintf(ret_label, PN_DNSSD_LABEL_CAP, "%s", label);
    }
    avahi_free(label);
}

bool pn_dnssd_txt_read(AvahiStringList *txt, pn_public_key *ret_key,
    char ret_label[static PN_DNSSD_LABEL_CAP])
{
    char *version = value_of(txt, "v");
    char *key = value_of(txt, "pk");
    bool is_ours = version != NULL && strcmp(version, "1") == 0 && key != NULL
                   && strlen(key) == PN_BASE32_LEN
                   && pn_key_parse(key, ret_key) == PN_OK;

    avahi_free(version);
    avahi_free(key);
    if (is_ours) {
        read_label(txt, ret_label);
    }
    return is_ours;
}

bool pn_dnssd_address_read(
    uint16_t type, const void *data, size_t size, pn_address *ret_address)
{
    *ret_address = (pn_address){.in6 = {0}};
    if (type == PN_DNSSD_TYPE_A && size == sizeof(ret_address->in.sin_addr)) {
        ret_address->in.sin_family = AF_INET;
        memcpy(&ret_address->in.sin_addr, data, size);
        return true;
    }
    if (type == PN_DNSSD_TYPE_AAAA
        && size == sizeof(ret_address->in6.sin6_addr)) {
        ret_address->in6.sin6_family = AF_INET6;
        memcpy(&ret_address->in6.sin6_addr, data, size);
        return true;
    }
    return false;
}
