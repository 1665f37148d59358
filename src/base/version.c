/* SPDX-License-Identifier: Apache-2.0 */
#include <peernet/common.h>

const char *pn_version(void)
{
    return PN_VERSION;
}
