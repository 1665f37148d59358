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

/* ---- invitations: docs/PROTOCOL.md, section 11 ----------------------------
 */

/** Bytes of an invitation as text and of an id as text, with their NUL. */
#define PN_INVITATION_CAP 1024
#define PN_INVITATION_ID_CAP 17

typedef struct pn_inviting pn_inviting;

/** One invitation as the data directory has it. */
typedef struct pn_invitation_row {
    char id[PN_INVITATION_ID_CAP]; /* 16 hexadecimal digits */
    const char *state; /* "open", "used-up", "expired" or "cancelled" */
    int64_t until_s;   /* wall clock, seconds since 1970 UTC */
    uint32_t uses;     /* left */
    uint32_t n_joined; /* how many have used it */
    char label[256];   /* for who joins; empty: none */
    char role[65];     /* granted to who joins; empty: none */
} pn_invitation_row;

/** The functions that it calls, from inside pn_inviting_run. Each may be
 * NULL. */
typedef struct pn_inviting_callbacks {
    /** A joiner is stored, under this label ("": none). It proposed to be
     * called so, which proves nothing. */
    void (*on_joined)(void *user, const pn_public_key *key, const char *label,
        const char *proposed);
    /** One was refused; why is a sentence fragment, for the owner only. from:
     * the address without its port. At most once a second. */
    void (*on_refused)(void *user, const char *from, const char *why);
} pn_inviting_callbacks;

/** An invitation to be made, and where joiners come to. */
typedef struct pn_inviting_options {
    size_t size;       /* set by the init macro */
    uint32_t ttl_s;    /* 600, range 10..604800 */
    uint32_t uses;     /* 1, range 1..16 */
    const char *label; /* as pn_store_pair; NULL, the default: none */
    /** A role that who joins is granted (peernet/grants.h), 1 to 64 characters
     * a-z, A-Z, 0-9, '_' and '-'; NULL, the default: none. */
    const char *role;
    /** What we propose to be called, at most 64 bytes of UTF-8 without control
     * characters; NULL, the default: nothing. */
    const char *own_label;
    uint16_t node_port; /* of our node, for the joiner to dial; 0: not known */
    /** A numeric address to listen on, which the invitation then names; NULL,
     * the default: every address, and it names up to four of them. */
    const char *listen_address;
} pn_inviting_options;

#define pn_inviting_options_init(options)                                      \
    pn_inviting_options_init_sized((options), sizeof(pn_inviting_options))
/** Writes the defaults, as pn_pairing_options_init_sized. Thread: any. */
PN_API void pn_inviting_options_init_sized(
    pn_inviting_options *options, size_t size);

/**
 * Makes an invitation, stores it, and listens for those who use it, as long as
 * the object is open. The port is the one of the last time, if it is free, so
 * that older invitations hold, too. Whoever has the text is paired without a
 * question: it is a password until it is used.
 *
 * ret_text: the text; the caller wipes it. ret_id: its id, for
 * pn_inviting_cancel. Both are NUL-terminated.
 * Ownership: options are copied; callbacks and user are used until
 * pn_inviting_close; *ret_inviting is the caller's.
 * Errors: PN_INVALID an option is out of range; PN_FULL 32 are open; PN_SYS no
 * port, or no address to name; those of pn_store_open; PN_NOMEM. *ret_why (may
 * be NULL) has the sentence.
 * Thread: any. Source: docs/PROTOCOL.md, section 11.
 */
PN_API PN_MUST_USE pn_err pn_inviting_open(const char *data_dir,
    const pn_inviting_options *options, const pn_inviting_callbacks *callbacks,
    void *user, char ret_text[PN_INVITATION_CAP],
    char ret_id[PN_INVITATION_ID_CAP], pn_inviting **ret_inviting,
    pn_why *ret_why);

/**
 * Listens no more. The invitation stays until its time is over or it is
 * cancelled. NULL is fine. Thread: its, not from a callback.
 */
PN_API void pn_inviting_close(pn_inviting *inviting);

/** Returns the descriptor, the milliseconds and does what is due, as the
 * functions of pn_pairing of these names. Thread: its. */
PN_API int pn_inviting_fd(const pn_inviting *inviting);
/** See pn_inviting_fd. Thread: its. */
PN_API int pn_inviting_timeout_ms(const pn_inviting *inviting);
/** See pn_inviting_fd. Thread: its. */
PN_API void pn_inviting_run(pn_inviting *inviting);

/** Tells whether somebody may still use the invitation, or come back to it.
 * False: there is nothing to listen for. Thread: its. */
PN_API bool pn_inviting_is_live(pn_inviting *inviting);

/**
 * Reads the invitations of a data directory; those that are over are listed for
 * a day. Ownership: *ret_rows is the caller's to free().
 * Errors: those of files, as peernet/store.h has them; a file that other users
 * may read is PN_PERMISSION. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_inviting_list(const char *data_dir,
    pn_invitation_row **ret_rows, size_t *ret_n, pn_why *ret_why);

/**
 * Ends an invitation for good; its key is wiped.
 * Errors: PN_INVALID id is not 16 hexadecimal digits; PN_NOT_FOUND none of this
 * id is open; those of files. Thread: any; waits up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_inviting_cancel(
    const char *data_dir, const char *id, pn_why *ret_why);

/** How a joiner is stored, and what it says of itself. */
typedef struct pn_join_options {
    size_t size;           /* set by the init macro */
    const char *label;     /* for the inviter; NULL, the default: none */
    const char *own_label; /* as in pn_inviting_options */
    uint16_t node_port;    /* as in pn_inviting_options */
} pn_join_options;

/** Who has invited us. */
typedef struct pn_join_result {
    pn_public_key key;
    char proposed_label[65]; /* what it wants to be called; empty: nothing */
    char address[64];        /* of its node; empty: not known */
    bool was_paired;         /* it was on our trust list before */
} pn_join_result;

#define pn_join_options_init(options)                                          \
    pn_join_options_init_sized((options), sizeof(pn_join_options))
/** Writes the defaults, as pn_pairing_options_init_sized. Thread: any. */
PN_API void pn_join_options_init_sized(pn_join_options *options, size_t size);

/**
 * Uses an invitation: dials its addresses one after the other, and stores the
 * inviter when it has accepted us. May be called again with the same text after
 * an error: the use is ours.
 *
 * text: len bytes as pn_inviting_open has written them.
 * Errors: PN_MALFORMED it is no invitation; PN_DENIED it was refused, or the
 * connection was lost; PN_TIMEOUT nobody answered; PN_AUTH somebody else
 * answered; PN_INVALID an option, or our own invitation; those of
 * pn_store_pair. *ret_why (may be NULL) has the sentence, and nothing of the
 * secret.
 * Thread: any; waits, for 20 s an address at most.
 */
PN_API PN_MUST_USE pn_err pn_join(const char *data_dir, const char *text,
    size_t len, const pn_join_options *options, pn_join_result *ret_result,
    pn_why *ret_why);

PN_END_DECLS

#endif
