# SPDX-License-Identifier: Apache-2.0
#
# The functions of PeerNet 0.1.0 that README.md and examples/elixir use, on top of
# the test peer: so both run where PeerNet itself is not installed.

defmodule PeerNet do
  @moduledoc false

  def start_link(opts) do
    own = %{dir: opts[:data_dir], port: opts[:port]}
    node = Peer.Node.start(Map.merge(own, discovery(opts[:discovery])))
    :persistent_term.put({__MODULE__, opts[:name]}, node)
    {:ok, node.supervisor}
  end

  # On loopback, at the test's own port.
  defp discovery(nil), do: %{}

  defp discovery(PeerNet.Discovery.UDP) do
    port = String.to_integer(System.fetch_env!("FACADE_UDP_PORT"))
    %{discovery: "127.255.255.255", discovery_port: port, announce_ms: 500}
  end

  def instance(name), do: :persistent_term.get({__MODULE__, name})
  def identity(name), do: instance(name).identity

  def expose(name, handle, fun, opts) do
    Peer.Backend.expose(instance(name), handle, fun, opts[:authorize] || fn _ -> true end)
  end

  def pair(name, key, opts), do: Peer.Backend.pair(instance(name), key, opts[:label])
  def connect(name, key, ip, port), do: Peer.Backend.dial(instance(name), key, :inet.ntoa(ip), port)
  def connected?(name, key), do: Peer.Backend.linked?(instance(name), key)

  def call(name, key, handle, args, timeout \\ 5_000) do
    Peer.Backend.call(instance(name), key, handle, args, timeout)
  end

  def send(name, key, handle, args) do
    Peer.Backend.send_message(instance(name), key, handle, args)
  end
end

defmodule PeerNet.BeamDist do
  @moduledoc false

  def call(name, key, mod, fun, args) do
    Peer.Backend.dist_call(PeerNet.instance(name), key, nil, {mod, fun, args}, 5_000)
  end
end
