/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reloads the contents of a guarded directory when another process edits it.
 * Where edits cannot be watched, and while a reload fails, the directory is
 * reloaded every five seconds, because a cause such as a full table of
 * descriptors ends without an edit. The watch is tried again each time.
 *
 * Thread: the loop's. The callbacks come without a lock held.
 */
#ifndef PN_TRUST_GUARDED_WATCH_H
#define PN_TRUST_GUARDED_WATCH_H

#include "os/loop.h"
#include "trust/guarded_dir.h"

typedef struct pn_guarded_watch_ops {
    /* A file with this name counts. */
    bool (*is_wanted)(const char *name);
    /* Reads again; false: it could not be read. is_edit: a file was touched. */
    bool (*reload)(void *user, bool is_edit);
    /* For the log: edits are not watched, for sys_errno, or are from now on. */
    void (*tell)(void *user, const char *text, int sys_errno);
} pn_guarded_watch_ops;

/* Zero-filled: not started. */
typedef struct pn_guarded_watch {
    pn_loop *loop;
    pn_guarded_dir *dir;
    const pn_guarded_watch_ops *ops;
    void *user;
    pn_watch *watch;
    pn_timer *timer;
} pn_guarded_watch;

/* dir is borrowed until the watch stops. Errors: PN_NOMEM, PN_SYS; stop it in
 * any case. */
PN_CORE PN_MUST_USE pn_err pn_guarded_watch_start(pn_guarded_watch *w,
    pn_loop *loop, pn_guarded_dir *dir, const pn_guarded_watch_ops *ops,
    void *user);
PN_CORE void pn_guarded_watch_stop(pn_guarded_watch *w);
/* Reloads now, for an edit that could not be taken over when it was seen. */
void pn_guarded_watch_reload(pn_guarded_watch *w, bool is_edit);

#endif
