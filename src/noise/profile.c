/* SPDX-License-Identifier: Apache-2.0 */
/* Noise as it is written, and where PeerNet 0.1.0 departs from it:
 * docs/PROTOCOL.md, section 2.4. */
#include "noise/noise.h"

const pn_noise_profile pn_noise_peernet_0_1 = {
    .mix_prologue = false,
    .mix_empty_clear_payload = false,
    .max_message = 1048576,
};

const pn_noise_profile pn_noise_standard = {
    .mix_prologue = true,
    .mix_empty_clear_payload = true,
    .max_message = 65535,
};

const pn_noise_profile pn_noise_standard_psk3 = {
    .mix_prologue = true,
    .mix_empty_clear_payload = true,
    .max_message = 65535,
    .is_psk3 = true,
};
