# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Node do
  @moduledoc """
  A whole instance, supervised with the defaults of OTP, 3 restarts in 5
  seconds at both levels (docs/PROTOCOL.md, section 7): the fourth ending of a
  connection within that time takes down all links of the instance, the fourth
  such collapse, which is the sixteenth ending, the instance.
  """

  @doc """
  opts: dir, port and, all optional, ping_ms, pong_ms, discovery (an address),
  discovery_port, announce_ms. Returns the opts that other modules take.
  """
  def start(opts) do
    opts =
      Map.merge(opts, %{
        identity: Peer.Identity.open!(opts.dir),
        handles: Peer.Handles.new(),
        trust: :peer_trust,
        links: :peer_links,
        registry: :peer_registry,
        listener: :peer_listener
      })

    discovery = if opts[:discovery], do: [{Peer.Discovery, opts}], else: []

    children =
      [
        {Peer.Trust, dir: opts.dir, name: opts.trust},
        {DynamicSupervisor, name: opts.links, strategy: :one_for_one},
        {Peer.Registry, opts},
        {Peer.Listener, opts}
      ] ++ discovery

    {:ok, pid} = Supervisor.start_link(children, strategy: :one_for_one)
    Process.unlink(pid)
    Map.put(opts, :supervisor, pid)
  end

  def stop(opts) do
    if alive?(opts), do: Supervisor.stop(opts.supervisor)
    :ok
  end

  def alive?(opts), do: Process.alive?(opts.supervisor)
end
