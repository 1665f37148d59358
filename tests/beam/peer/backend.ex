# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Backend do
  @moduledoc """
  The node that `Peer.Control` drives: this peer, or a real PeerNet 0.1.0
  through tests/beam/upstream_adapter.exs. No function or atom in here may be
  one that tests count on being unknown (Peer.BeamDist).
  """

  alias Peer.{Connection, Handles, Registry, Trust}

  def open(opts), do: Peer.Node.start(opts)
  def close(node), do: Peer.Node.stop(node)
  def alive?(node), do: Peer.Node.alive?(node)
  def key(node), do: node.identity.public
  def port(node), do: Peer.Listener.port(node.listener)

  def expose(node, name, fun, authorize), do: Handles.expose(node.handles, name, fun, authorize)
  def revoke(node, name), do: Handles.revoke(node.handles, name)

  def pair(node, key, label), do: Trust.add(node.trust, key, label)
  def unpair(node, key), do: Trust.remove(node.trust, key)
  def peers(node), do: node.trust |> Trust.list() |> Enum.map(&{&1.pubkey, &1.label})

  def dial(node, _key, host, port), do: Registry.dial(node, host, port)
  def announced(node, key, host, port), do: Registry.announced(node.registry, key, {host, port})
  def links(node), do: Registry.links(node.registry)
  def linked?(node, key), do: match?({:ok, _}, Registry.lookup(node.registry, key))
  def notes(node), do: Registry.notes(node.registry)

  def call(node, key, name, args, timeout) do
    with {:ok, pid} <- Registry.lookup(node.registry, key) do
      Connection.call(pid, name, args, timeout)
    end
  end

  def send_message(node, key, name, args) do
    with {:ok, pid} <- Registry.lookup(node.registry, key) do
      Connection.send_message(pid, name, args)
    end
  end

  def dist_handler, do: {Peer.BeamDist.name(), &Peer.BeamDist.handle/2}

  def dist_call(node, key, handle, {m, f, a}, timeout) do
    call(node, key, handle || Peer.BeamDist.name(), Peer.BeamDist.rpc(m, f, a), timeout)
  end

  def dist_send(node, key, handle, {m, f, a}) do
    send_message(node, key, handle || Peer.BeamDist.name(), Peer.BeamDist.cast(m, f, a))
  end
end
