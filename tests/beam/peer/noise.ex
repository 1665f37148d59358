# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Noise do
  @moduledoc """
  SymmetricState and CipherState of the Noise framework on OTP's crypto, for
  the one suite that PeerNet 0.1.0 speaks, and the record of what was done: a
  list of operations that is compared with recorded transcripts.

  Departures from the standard (docs/PROTOCOL.md, section 2.4): h starts as the
  protocol name and no prologue is mixed in; the caller leaves out the hash over
  the empty payload of the first message.
  """

  @name "Noise_XX_25519_ChaChaPoly_SHA256"
  @last 0xFFFF_FFFF_FFFF_FFFF

  defstruct h: @name, ck: @name, k: nil, n: 0, ops: []

  def new, do: %__MODULE__{}

  def key_pair(private \\ :crypto.strong_rand_bytes(32)) do
    {public, private} = :crypto.generate_key(:ecdh, :x25519, private)
    %{public: public, private: private}
  end

  # An all-zero result makes crypto raise, which ends the process that asked:
  # that is what the node this peer stands for does, too.
  def dh(pair, public), do: :crypto.compute_key(:ecdh, public, pair.private, :x25519)

  def mix_hash(s, data) do
    note(%{s | h: :crypto.hash(:sha256, [s.h, data])}, :mix_hash, data: data)
  end

  def mix_key(s, dh) do
    {ck, k} = hkdf(s.ck, dh)
    note(%{s | ck: ck, k: k, n: 0}, :mix_key, dh: dh)
  end

  def encrypt_and_hash(s, plain) do
    sealed = seal(s.k, s.n, s.h, plain)
    s = note(s, :aead_encrypt, ad: s.h, plaintext: plain, ciphertext: sealed)
    {mix_hash(%{s | n: s.n + 1}, sealed), sealed}
  end

  def decrypt_and_hash(s, sealed) do
    case open(s.k, s.n, s.h, sealed) do
      {:ok, plain} ->
        s = note(s, :aead_decrypt, ad: s.h, plaintext: plain, ciphertext: sealed)
        {:ok, mix_hash(%{s | n: s.n + 1}, sealed), plain}

      :error ->
        {:error, note(s, :aead_decrypt_failed, ad: s.h, ciphertext: sealed)}
    end
  end

  def split(s), do: hkdf(s.ck, "")

  # ChaCha20-Poly1305; the last counter is never used (Noise section 5.1).

  def seal(_key, @last, _ad, _plain), do: {:error, :counter_exhausted}

  def seal(key, n, ad, plain) do
    {sealed, tag} =
      :crypto.crypto_one_time_aead(:chacha20_poly1305, key, nonce(n), plain, ad, 16, true)

    sealed <> tag
  end

  def open(_key, @last, _ad, _sealed), do: {:error, :counter_exhausted}

  def open(key, n, ad, sealed) when byte_size(sealed) >= 16 do
    len = byte_size(sealed) - 16
    <<body::binary-size(len), tag::binary>> = sealed

    case :crypto.crypto_one_time_aead(:chacha20_poly1305, key, nonce(n), body, ad, tag, false) do
      :error -> :error
      plain -> {:ok, plain}
    end
  end

  def open(_key, _n, _ad, _short), do: :error

  defp nonce(n), do: <<0::32, n::little-64>>

  # HKDF with two outputs (Noise section 4.3).
  defp hkdf(ck, input) do
    temp = hmac(ck, input)
    one = hmac(temp, <<1>>)
    {one, hmac(temp, [one, 2])}
  end

  defp hmac(key, data), do: :crypto.mac(:hmac, :sha256, key, data)

  defp note(s, op, fields) do
    entry = Map.merge(Map.new(fields), %{op: op, h: s.h, ck: s.ck, k: s.k, n: s.n})
    %{s | ops: [entry | s.ops]}
  end
end
