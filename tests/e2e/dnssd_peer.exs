# SPDX-License-Identifier: Apache-2.0
#
# An application of PeerNet (the facade of the tests) with the discovery module of
# examples/elixir: prints its key, and "linked" and the answer of `echo` once it has found
# and called the node of KEY.
#
#     elixir -pa EBIN -pa FACADE dnssd_peer.exs MODULE.ex DATA_DIR KEY
[module, dir, text] = System.argv()

defmodule PeerNet.Discovery do
  @callback start_link(opts :: keyword()) :: GenServer.on_start()
  @callback announce_self(server :: GenServer.server(), :inet.port_number()) :: :ok
  @callback stop(server :: GenServer.server()) :: :ok
end

Code.require_file(module)
{:ok, key} = Base.decode32(text, padding: false)
{:ok, _} = PeerNet.start_link(name: :room, data_dir: dir, port: 0)
identity = PeerNet.identity(:room)
IO.puts("key #{Base.encode32(identity.public, padding: false)}")
:ok = PeerNet.pair(:room, key, label: "C node")

# What PeerNet's registry does with the message, in that of the tests.
registry =
  spawn_link(fn ->
    Stream.repeatedly(fn ->
      receive do
        {:peer_discovered, found, %{ip: ip, port: port, source: :dns_sd}} ->
          Peer.Registry.announced(:peer_registry, found, {:inet.ntoa(ip), port})
      end
    end)
    |> Stream.run()
  end)

discovery = Module.concat(PeerNet.Discovery, DNSSD)
{:ok, _} = discovery.start_link(registry: registry, identity: identity, interval_ms: 1_000)
:ok = discovery.announce_self(discovery, 7100)

wait = fn wait ->
  if PeerNet.connected?(:room, key), do: :ok, else: Process.sleep(100) && wait.(wait)
end

# A link that begins before the other side has paired our key ends again.
call = fn call ->
  wait.(wait)

  case PeerNet.call(:room, key, :echo, "found by DNS-SD", 10_000) do
    {:ok, _} = answer -> answer
    {:error, _} -> Process.sleep(100) && call.(call)
  end
end

wait.(wait)
IO.puts("linked")
IO.inspect(call.(call), label: "echo")
IO.read(:stdio, :line)
:ok = discovery.stop(discovery)
IO.puts("stopped")
