/* SPDX-License-Identifier: Apache-2.0 */
/* More addresses for one dial. */
#ifndef PN_NODE_RACE_H
#define PN_NODE_RACE_H

#include "node/peer_link.h"

/* A dial begins; sets the time of the next attempt. */
void pn_race_begin(pn_peer_link *link);
/* More addresses are known than when it began. */
void pn_race_more(const pn_peer *peer);
void pn_race_tick(pn_peer_link *link, uint64_t now_us);
/* No connection could be started to link->remote. True: it is now another
 * address. */
bool pn_race_elsewhere(pn_peer_link *link, pn_reason reason);
/* No attempt was answered in time: reports that for all but link->conn. */
void pn_race_timed_out(pn_peer_link *link);
/* link->conn failed. True: another attempt is, or will be, link->conn. */
bool pn_race_go_on(pn_peer_link *link, pn_reason reason);
/* link->conn is up, or the link is closed: ends the other attempts. */
void pn_race_end(pn_peer_link *link);

#endif
