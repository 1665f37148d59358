/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/guarded_watch.h"

#define AGAIN_US (5 * PN_US_PER_S)

static void set_timer(pn_guarded_watch *w, bool is_due)
{
    pn_timer_set(w->timer,
        is_due ? pn_loop_update_now(w->loop) + AGAIN_US : PN_TIME_NEVER);
}

void pn_guarded_watch_reload(pn_guarded_watch *w, bool is_edit)
{
    const bool is_read = w->ops->reload(w->user, is_edit);

    set_timer(w, w->watch == NULL || !is_read);
}

static void on_changed(void *user)
{
    pn_guarded_watch *w = user;

    if (pn_guarded_watch_read(w->dir, w->ops->is_wanted)) {
        pn_guarded_watch_reload(w, true);
    }
}

/* PN_OK without a watch: there is no descriptor for it, for *ret_errno. */
static pn_err try_watch(pn_guarded_watch *w, int *ret_errno)
{
    const int fd = pn_guarded_watch_fd(w->dir, ret_errno);

    return fd < 0 ? PN_OK : pn_watch_new(w->loop, fd, on_changed, w, &w->watch);
}

static void on_timer(void *user)
{
    pn_guarded_watch *w = user;
    int sys_errno;

    if (w->watch == NULL && try_watch(w, &sys_errno) == PN_OK
        && w->watch != NULL) {
        w->ops->tell(w->user, "it can be watched now", 0);
    }
    pn_guarded_watch_reload(w, false);
}

pn_err pn_guarded_watch_start(pn_guarded_watch *w, pn_loop *loop,
    pn_guarded_dir *dir, const pn_guarded_watch_ops *ops, void *user)
{
    int sys_errno = 0;
    pn_err err;

    *w = (pn_guarded_watch){.loop = loop, .dir = dir, .ops = ops, .user = user};
    err = pn_timer_new(loop, on_timer, w, &w->timer);
    if (err == PN_OK) {
        err = try_watch(w, &sys_errno);
    }
    if (err == PN_OK && w->watch == NULL) {
        ops->tell(user,
            "edits by others cannot be watched here; it is read every 5 s "
            "instead",
            sys_errno);
        set_timer(w, true);
    } else if (err == PN_OK) {
        /* An edit between the first reading and the watch is not missed. */
        pn_timer_set(w->timer, pn_loop_update_now(loop));
    }
    return err;
}

void pn_guarded_watch_stop(pn_guarded_watch *w)
{
    pn_watch_free(w->watch);
    w->watch = NULL;
    pn_timer_free(w->timer);
    w->timer = NULL;
}
