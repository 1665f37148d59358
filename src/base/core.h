/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private core: what libpeernet-barrel takes from libpeernet. Exported,
 * but under a symbol node that bears the version, so that only the library
 * built with it can use it; not part of the public interface. The names are in
 * src/peernet.map.in too, and tests/e2e/install.sh compares the two.
 */
#ifndef PN_BASE_CORE_H
#define PN_BASE_CORE_H

#if defined(__GNUC__)
#define PN_CORE __attribute__((visibility("default")))
#else
#define PN_CORE
#endif

#endif
