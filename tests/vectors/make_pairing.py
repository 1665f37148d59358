#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_pairing.py > pairing.json: exchanges of digits (docs/PROTOCOL.md, section
10), by another implementation of Noise XX, over python3-cryptography. The file is
kept, so that tests need neither."""
import hashlib
import hmac
import json
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import (X25519PrivateKey,
                                                              X25519PublicKey)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import (Encoding,
                                                          PublicFormat)

PROLOGUE = b"peernet pairing: digits, version 1"


def sha(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def public(secret):
    return X25519PrivateKey.from_private_bytes(secret).public_key() \
        .public_bytes(Encoding.Raw, PublicFormat.Raw)


def dh(secret, theirs):
    return X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(theirs))


def hkdf(ck, ikm):
    temp = mac(ck, ikm)
    one = mac(temp, b"\x01")
    return one, mac(temp, one + b"\x02")


def nonce(n):
    return b"\0\0\0\0" + struct.pack("<Q", n)


class Symmetric:
    """Of both ends at once: they agree, or the vector is wrong."""

    def __init__(self):
        self.h = b"Noise_XX_25519_ChaChaPoly_SHA256"
        self.ck = self.h
        self.k = None
        self.n = 0
        self.mix_hash(PROLOGUE)

    def mix_hash(self, data):
        self.h = sha(self.h + data)

    def mix_key(self, a, b):
        assert a == b
        self.ck, self.k = hkdf(self.ck, a)
        self.n = 0

    def seal(self, text):
        out = text
        if self.k is not None:
            out = ChaCha20Poly1305(self.k).encrypt(nonce(self.n), text, self.h)
            self.n += 1
        self.mix_hash(out)
        return out


def answer(kind, port=0, label=b""):
    text = bytes([kind]) + struct.pack(">HB", port, len(label)) + label
    return text.ljust(128, b"\0")


def exchange(name, seed, last):
    names = ("si", "sr", "ei", "er", "ni", "nr")
    draw = {k: sha(f"{seed} {k}".encode()) for k in names}
    si, sr, ei, er = (draw[k] for k in names[:4])
    s = Symmetric()
    m1 = public(ei)
    s.mix_hash(m1)
    s.seal(b"")
    m2 = public(er)
    s.mix_hash(m2)
    s.mix_key(dh(er, public(ei)), dh(ei, public(er)))
    m2 += s.seal(public(sr))
    s.mix_key(dh(sr, public(ei)), dh(ei, public(sr)))
    m2 += s.seal(b"")
    m3 = s.seal(public(si))
    s.mix_key(dh(si, public(er)), dh(er, public(si)))
    m3 += s.seal(b"")
    keys = hkdf(s.ck, b"")  # initiator to responder, and back
    counters = [0, 0]

    def send(by_responder, text):
        out = ChaCha20Poly1305(keys[by_responder]).encrypt(
            nonce(counters[by_responder]), text, b"")
        counters[by_responder] += 1
        return out.hex()

    context = public(si) + public(sr) + s.h
    commitment = mac(draw["nr"], b"peernet pairing: commit." + b"R" + context)
    number = int.from_bytes(sha(b"peernet pairing: digits." + draw["ni"]
                                + draw["nr"] + context)[:8], "big") % 1000000
    return {
        "name": name,
        "initiator_static": si.hex(), "responder_static": sr.hex(),
        "initiator_random": (ei + draw["ni"]).hex(),
        "responder_random": (er + draw["nr"]).hex(),
        "hash": s.h.hex(), "commitment": commitment.hex(),
        "digits": f"{number:06}",
        "m1": (b"\x01" + m1).hex(), "m2": m2.hex(), "m3": m3.hex(),
        "commit": send(1, commitment), "nonce": send(0, draw["ni"]),
        "reveal": send(1, draw["nr"]),
        "responder_yes": send(1, answer(1, 7100, b"door")),
        last[0]: send(0, last[1]),
        **({"stored": send(1, answer(3))} if last[0] == "initiator_yes" else {}),
    }


def leading_zero(last):
    """The first seed whose digits begin with 0: they are shown, too."""
    return next(row for row in (exchange("leading_zero", f"zero {i}", last)
                                for i in range(1000))
                if row["digits"][0] == "0")


yes = ("initiator_yes", answer(1, 4242, "lamp \u00e9".encode()))
no = ("initiator_no", answer(2))
print(json.dumps([exchange("paired", "one", yes), exchange("refused", "two", no),
                  leading_zero(yes)], indent=1))
