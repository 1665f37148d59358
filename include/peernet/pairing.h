/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairing by comparing digits: two owners open a window at the same time, both
 * devices show the same six digits, and both owners say yes. It belongs to
 * libpeernet-pairing, a library beside libpeernet, and needs no node: a node
 * that runs on the data directory sees the new peer at once.
 *
 * There is no thread. A window runs in the caller's loop:
 *
 *     while (!is_over) {
 *         poll pn_pairing_fd for reading, pn_pairing_timeout_ms at most;
 *         pn_pairing_run(pairing);
 *     }
 *
 * A window is open for two minutes and listens on a port of its own. Everybody
 * on the network may try; whoever tries three times and fails has closed it. So
 * a stranger can prevent a pairing, and never make one.
 *
 * Threads. One thread at a time uses a window; callbacks come from inside
 * pn_pairing_run, pn_pairing_choose and pn_pairing_answer.
 */
#ifndef PEERNET_PAIRING_H
#define PEERNET_PAIRING_H

#include <peernet/key.h>
#include <peernet/reason.h>

PN_BEGIN_DECLS

typedef struct pn_pairing pn_pairing;

/** A device whose window is open, as the network says. It proves nothing. */
typedef struct pn_pairing_candidate {
    pn_public_key key;
    char address[64]; /* "HOST:PORT" of its window */
    bool is_paired;   /* its key is on our trust list already */
} pn_pairing_candidate;

/** The way a window has ended. */
typedef enum pn_pairing_outcome {
    PN_PAIRING_PAIRED, /* both said yes; the peer is stored */
    /** Our owner said yes, and the other end was not heard again. If its owner
     * said yes, too, the pairing completes within 24 hours, when that node
     * authenticates to ours (pn_store_list_pending). */
    PN_PAIRING_NOT_CONFIRMED,
    PN_PAIRING_REFUSED, /* our owner said no */
    PN_PAIRING_TRIES,   /* three tries failed */
    PN_PAIRING_TIME,    /* the window's time is over */
    PN_PAIRING_FAILED   /* here: see why */
} pn_pairing_outcome;

/** How a window ended. Valid during the callback. */
typedef struct pn_pairing_result {
    size_t size; /* sizeof(pn_pairing_result) */
    pn_pairing_outcome outcome;
    pn_public_key key; /* PAIRED, NOT_CONFIRMED, REFUSED: who it was */
    /* PAIRED: the label it was stored with; empty: none. */
    char label[256];
    /* PAIRED: what it wants to be called, which proves nothing. UTF-8 without
     * control characters; empty: nothing. */
    char proposed_label[65];
    char address[64]; /* PAIRED: of its node; empty: not known */
    /* PAIRED: false when the other end did not say that it has stored us, too;
     * it does at the latest when our node dials it. */
    bool is_confirmed;
    /* FAILED, and PAIRED when the role could not be granted: a sentence; else
     * "". */
    const char *why;
} pn_pairing_result;

/** The functions that a window calls. Each but on_digits and on_end may be
 * NULL. None may call pn_pairing_close. */
typedef struct pn_pairing_callbacks {
    /** A device was found, or its address has changed. */
    void (*on_candidate)(void *user, const pn_pairing_candidate *candidate);
    /** Show these digits, six of them, beside those of the other device, and
     * call pn_pairing_answer. key: the other end's, proven; the digits prove
     * that it is the device that shows them. */
    void (*on_digits)(void *user, const pn_public_key *key, const char *digits);
    /** A try has failed, n_failed so far; why is a sentence fragment. The
     * digits on the screen are void. At the third on_end follows. */
    void (*on_failed)(void *user, unsigned n_failed, const char *why);
    /** Both said yes, and no label was given: may the peer be called what it
     * calls itself? NULL: never. */
    bool (*may_label)(
        void *user, const pn_public_key *key, const char *proposed);
    /** The window is closed; once. */
    void (*on_end)(void *user, const pn_pairing_result *result);
} pn_pairing_callbacks;

/** Options of a window. */
typedef struct pn_pairing_options {
    size_t size; /* set by the init macro */
    /** The label to store the peer with, as pn_store_pair. NULL, the default:
     * may_label decides. */
    const char *label;
    /** What we propose to be called, at most 64 bytes of UTF-8 without control
     * characters; NULL, the default: nothing. */
    const char *own_label;
    /** The role that the peer gets when it is stored, as the name in
     * pn_store_set_role; NULL, the default: none. */
    const char *role;
    uint16_t node_port; /* of our node, for the peer to dial; 0: not known */
    uint32_t window_ms; /* 120000, range 1000..600000 */
    /** Where announces are sent and heard, as the options of a node of these
     * names (peernet/node.h). */
    uint16_t discovery_port;       /* 4040; 0: announce and hear nothing */
    const char *discovery_address; /* NULL: every network; else IPv4 */
    const char *interfaces;        /* NULL: by the rule for names */
    /** A numeric address to listen on; NULL, the default: every address. */
    const char *listen_address;
} pn_pairing_options;

#define pn_pairing_options_init(options)                                       \
    pn_pairing_options_init_sized((options), sizeof(pn_pairing_options))
/**
 * Writes the defaults to options; size: sizeof(pn_pairing_options) in the
 * caller's header, which the macro passes. Thread: any.
 */
PN_API void pn_pairing_options_init_sized(
    pn_pairing_options *options, size_t size);

/**
 * Opens a window on a data directory: from now on it listens and is announced.
 * callbacks and user are used until pn_pairing_close; callbacks is copied.
 *
 * Ownership: options are copied; *ret_pairing is the caller's until
 * pn_pairing_close.
 * Errors: PN_INVALID an option is out of range; those of pn_store_open; PN_SYS
 * no port can be had; PN_NOMEM. *ret_why (may be NULL) has the sentence.
 * Thread: any. Source: docs/PROTOCOL.md, section 10.
 */
PN_API PN_MUST_USE pn_err pn_pairing_open(const char *data_dir,
    const pn_pairing_options *options, const pn_pairing_callbacks *callbacks,
    void *user, pn_pairing **ret_pairing, pn_why *ret_why);

/**
 * Closes a window at once; on_end does not come any more. NULL is fine.
 * Thread: the window's, not from a callback.
 */
PN_API void pn_pairing_close(pn_pairing *pairing);

/**
 * Returns the descriptor that becomes readable when pn_pairing_run is due.
 * Ownership: the window's. Thread: the window's.
 */
PN_API int pn_pairing_fd(const pn_pairing *pairing);

/**
 * Returns the milliseconds after which pn_pairing_run is due without that; -1:
 * never. To be asked again after every other call. Thread: the window's.
 */
PN_API int pn_pairing_timeout_ms(const pn_pairing *pairing);

/** Does what is due, and never waits. Thread: the window's. */
PN_API void pn_pairing_run(pn_pairing *pairing);

/**
 * Returns the milliseconds until the window closes; 0: it is closed.
 * Thread: the window's.
 */
PN_API uint32_t pn_pairing_left_ms(const pn_pairing *pairing);

/** Returns the TCP port of the window; 0: it is closed. Thread: the window's.
 */
PN_API uint16_t pn_pairing_port(const pn_pairing *pairing);

/**
 * Dials a candidate, again every second until it answers; one at a time. If
 * both ends dial, the end with the smaller key goes on.
 * Errors: PN_NOT_FOUND no such candidate; PN_STATE the window is closed, or an
 * exchange is under way. Thread: the window's.
 */
PN_API PN_MUST_USE pn_err pn_pairing_choose(
    pn_pairing *pairing, const pn_public_key *key);

/**
 * The owner's answer to the digits that on_digits has shown last.
 * Errors: PN_STATE no digits wait for an answer. Thread: the window's.
 */
PN_API PN_MUST_USE pn_err pn_pairing_answer(pn_pairing *pairing, bool yes);

PN_END_DECLS

#endif
