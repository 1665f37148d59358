# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Envelope do
  @moduledoc """
  The five envelopes (docs/PROTOCOL.md, section 4). Ids are echoed whatever they
  are: the node this peer stands for looks at the shape only.
  """

  def check({:call, _id, name, _args} = e) when is_atom(name), do: {:ok, e}
  def check({:send, name, _args} = e) when is_atom(name), do: {:ok, e}
  def check({:reply, _id, {tag, _}} = e) when tag in [:ok, :error], do: {:ok, e}
  def check({:ping, nonce} = e) when is_binary(nonce), do: {:ok, e}
  def check({:pong, nonce} = e) when is_binary(nonce), do: {:ok, e}
  def check(_), do: :error

  @doc "A request id: any 64-bit integer but 0."
  def new_id do
    case :crypto.strong_rand_bytes(8) do
      <<0::64>> -> new_id()
      <<id::64>> -> id
    end
  end

  @doc "What a peer answers to this envelope, or nil. table: see Peer.Handles."
  def answer({:ping, nonce}, _table, _caller), do: {:pong, nonce}

  def answer({:call, id, name, args}, table, caller) do
    {:reply, id, Peer.Handles.run(table, name, caller, args)}
  end

  def answer({:send, name, args}, table, caller) do
    Peer.Handles.run(table, name, caller, args)
    nil
  end

  def answer(_reply_or_pong, _table, _caller), do: nil
end
