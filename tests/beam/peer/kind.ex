# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Kind do
  @moduledoc """
  The nonces by which nodes of one kind recognise each other, written after
  docs/PROTOCOL.md, section 5.1. A peer speaks it with the setting `kind`, its
  label; the original, and the peer without that setting, echo these nonces like
  any other.
  """

  @no_etiquette 1

  def nonce(hash, role, label) do
    message = <<1, @no_etiquette>> <> label
    message <> mac(hash, role, message)
  end

  @doc "`role` is that of the sender. {:ok, label} or :error."
  def read(hash, role, nonce) when byte_size(nonce) in 10..64 do
    message = binary_part(nonce, 0, byte_size(nonce) - 8)

    case message do
      <<version, _flags, label::binary>> when version > 0 ->
        if message <> mac(hash, role, message) == nonce, do: {:ok, label}, else: :error

      _ ->
        :error
    end
  end

  def read(_hash, _role, _nonce), do: :error

  defp mac(hash, role, message) do
    number = %{initiator: 1, responder: 2}[role]

    :crypto.mac(:hmac, :sha256, hash, "peernet kind" <> <<number>> <> message)
    |> binary_part(0, 8)
  end
end
