/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a node: the name of its instance and its TXT strings
 * (docs/PROTOCOL.md, section 6.1).
 */
#ifndef PN_DNSSD_RECORD_H
#define PN_DNSSD_RECORD_H

#include <avahi-common/strlst.h>
#include <peernet/key.h>

#include "os/address.h"

#define PN_DNSSD_TYPE "_peernet._tcp"
#define PN_DNSSD_DOMAIN "local"

/* A label of DNS has at most 63 bytes. */
#define PN_DNSSD_NAME_CAP 64
#define PN_DNSSD_LABEL_MAX 64
#define PN_DNSSD_LABEL_CAP (PN_DNSSD_LABEL_MAX + 1)

/* "peernet-" and the key: unique by itself, and no word about the host. */
void pn_dnssd_instance_name(
    const pn_public_key *key, char ret_name[static PN_DNSSD_NAME_CAP]);

/* "v=1", "pk=KEY" and, if label is not empty, "n=LABEL". Ownership: the
 * caller's, avahi_string_list_free. NULL: no memory. */
AvahiStringList *pn_dnssd_txt_write(
    const pn_public_key *key, const char *label);

/* True for a label that is published and believed to be one: UTF-8 of 1 to
 * PN_DNSSD_LABEL_MAX bytes without control characters, so one line of text. */
bool pn_dnssd_label_is_valid(const char *label);

/* The key in the strings of a node of version 1, and the label, which proves
 * nothing; "": none, or not a valid one. False: other strings. */
bool pn_dnssd_txt_read(AvahiStringList *txt, pn_public_key *ret_key,
    char ret_label[static PN_DNSSD_LABEL_CAP]);

/* DNS class and types of addresses (RFC 1035, RFC 3596). */
enum { PN_DNSSD_CLASS_IN = 1, PN_DNSSD_TYPE_A = 1, PN_DNSSD_TYPE_AAAA = 28 };

/* The address that is the data of an A or AAAA record; port 0. False: another
 * type or size. */
bool pn_dnssd_address_read(
    uint16_t type, const void *data, size_t size, pn_address *ret_address);

#endif
