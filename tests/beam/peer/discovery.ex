# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Discovery do
  @moduledoc """
  Announces by UDP (docs/PROTOCOL.md, section 6). Every message goes to
  `address`, in tests 127.255.255.255, which reaches every listener on loopback.
  """
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts)

  def packet(key, port), do: <<"PNET", 1, port::16, key::binary-size(32)>>

  @impl true
  def init(opts) do
    udp = [:binary, active: true, broadcast: true, reuseaddr: true]
    {:ok, socket} = :gen_udp.open(opts.discovery_port, udp)
    Process.send_after(self(), :announce, opts.announce_ms)
    {:ok, Map.put(opts, :socket, socket)}
  end

  @impl true
  def handle_info(:announce, state) do
    packet = packet(state.identity.public, Peer.Listener.port(state.listener))
    :gen_udp.send(state.socket, to_charlist(state.discovery), state.discovery_port, packet)
    Process.send_after(self(), :announce, state.announce_ms)
    {:noreply, state}
  end

  def handle_info({:udp, _, ip, _, <<"PNET", 1, port::16, key::binary-size(32)>>}, state) do
    if key != state.identity.public do
      Peer.Registry.announced(state.registry, key, {:inet.ntoa(ip), port})
    end

    {:noreply, state}
  end

  def handle_info({:udp, _, _, _, _}, state), do: {:noreply, state}
end
