/* SPDX-License-Identifier: Apache-2.0 */
/* Everything of libpeernet in one include. */
#ifndef PEERNET_PEERNET_H
#define PEERNET_PEERNET_H

#include <peernet/backup.h>
#include <peernet/beam_dist.h>
#include <peernet/common.h>
#include <peernet/discovery.h>
#include <peernet/error.h>
#include <peernet/grants.h>
#include <peernet/key.h>
#include <peernet/log.h>
#include <peernet/node.h>
#include <peernet/reason.h>
#include <peernet/store.h>
#include <peernet/term.h>

#endif
