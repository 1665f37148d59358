/* SPDX-License-Identifier: Apache-2.0 */
/* The pace of announces; see pace.h. docs/PROTOCOL.md, section 6. */
#include "discovery/pace.h"

#include "base/mutant.h"

/* From each early announce to the next, before jitter. With 20 % more they sum
 * up to less than two seconds. */
static const uint64_t early_us[PN_PACE_EARLY - 1] = {
    600 * PN_US_PER_MS, 1000 * PN_US_PER_MS};

/* 0 to 20 % of us. Without randomness half of that, which is no danger. */
static uint64_t fifth(const pn_env *env, uint64_t us)
{
    uint32_t r;

    if (env->random(env->user, (uint8_t *)&r, sizeof(r)) != PN_OK) {
        r = 500;
    }
    return us / 5 * (r % 1001) / 1000;
}

/* us, 20 % less to 20 % more. */
static uint64_t around(const pn_env *env, uint64_t us)
{
    return us - us / 5 + 2 * fifth(env, us);
}

/* at_us, or when one more may be sent. */
static uint64_t allowed(const pn_pace *p, uint64_t at_us)
{
    uint64_t window_us = pn_sooner(
        PN_PACE_WINDOW_US, 3 * (p->interval_us - p->interval_us / 5));

    if (PN_REFUSE_IF(pace_window, p->sent_us[2] != 0)) {
        return pn_later(at_us, p->sent_us[2] + window_us);
    }
    return at_us;
}

void pn_pace_begin(pn_pace *p, uint64_t now_us)
{
    p->n_early = 0;
    p->next_us = allowed(p, now_us);
}

void pn_pace_stop(pn_pace *p)
{
    p->next_us = PN_TIME_NEVER;
}

void pn_pace_sent(pn_pace *p, const pn_env *env, uint64_t now_us)
{
    uint64_t wait_us;

    p->sent_us[2] = p->sent_us[1];
    p->sent_us[1] = p->sent_us[0];
    p->sent_us[0] = now_us;
    p->n_early += p->n_early <= PN_PACE_EARLY;
    if (p->n_early < PN_PACE_EARLY) {
        wait_us = around(
            env, pn_sooner(p->interval_us, early_us[p->n_early - 1]));
    } else if (p->n_early == PN_PACE_EARLY) {
        wait_us = p->interval_us + fifth(env, p->interval_us);
    } else {
        wait_us = around(env, p->interval_us);
    }
    p->next_us = allowed(p, now_us + wait_us);
}
