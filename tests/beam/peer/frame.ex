# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Frame do
  @moduledoc """
  Frames (docs/PROTOCOL.md, section 1): a 32-bit big-endian length and that many
  bytes. A length over 1 MiB is refused from the header alone, and only on
  reading: the sender does not check, as the node this peer stands for does not.
  """

  @max 1_048_576

  def max, do: @max

  def raw(body), do: [<<IO.iodata_length(body)::32>>, body]

  @doc "The first frame of a stream and what follows it."
  def take(<<n::32, _::binary>>) when n > @max, do: {:error, :frame_too_large}
  def take(<<n::32, body::binary-size(n), rest::binary>>), do: {:ok, body, rest}
  def take(_), do: :incomplete

  # During the handshake a body is one term (docs/PROTOCOL.md, section 2.1).

  def wrap(term), do: raw(:erlang.term_to_binary(term))

  def take_term(stream) do
    with {:ok, body, rest} <- take(stream),
         {:ok, term} <- decode(body) do
      {:ok, term, rest}
    end
  end

  @doc "Bytes to a term without making atoms."
  def decode(bytes) do
    {:ok, :erlang.binary_to_term(bytes, [:safe])}
  rescue
    ArgumentError -> {:error, :invalid_term}
  end
end
