# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Channel do
  @moduledoc """
  Transport frames (docs/PROTOCOL.md, section 3): one key and one counter a
  direction, no associated data, a term inside.
  """

  alias Peer.{Frame, Noise}

  defstruct [:send_key, :receive_key, sent: 0, received: 0]

  def new(keys), do: %__MODULE__{send_key: keys.send, receive_key: keys.receive}

  @doc "Seals a term; the frame is ready to write."
  def seal(ch, term) do
    case Noise.seal(ch.send_key, ch.sent, "", :erlang.term_to_binary(term)) do
      {:error, reason} -> {:error, reason}
      body -> {:ok, %{ch | sent: ch.sent + 1}, IO.iodata_to_binary(Frame.raw(body))}
    end
  end

  @doc "Opens a frame's body. After an error the counter is what it was."
  def open(ch, body) do
    with {:ok, plain} <- Noise.open(ch.receive_key, ch.received, "", body),
         {:ok, term} <- Frame.decode(plain) do
      {:ok, %{ch | received: ch.received + 1}, term}
    else
      :error -> {:error, :bad_decrypt}
      {:error, reason} -> {:error, reason}
    end
  end
end
