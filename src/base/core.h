/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private core: functions of libpeernet that libpeernet-barrel calls. They
 * are exported under a symbol node that bears the version, so that only the
 * library built with it can use them, and are not part of the public interface.
 * src/peernet.map.in lists the names too, and tests/e2e/install.sh compares the
 * two.
 */
#ifndef PN_BASE_CORE_H
#define PN_BASE_CORE_H

#if defined(__GNUC__)
#define PN_CORE __attribute__((visibility("default")))
#else
#define PN_CORE
#endif

#endif
