# SPDX-License-Identifier: Apache-2.0
#
# Lets Peer.Control drive a real PeerNet 0.1.0 by its documented functions, so
# that the cases of link.exs run against it unchanged.
# usage: elixir -pa PEER_EBIN -pa UPSTREAM_EBIN upstream_adapter.exs

defmodule UpstreamBackend do
  @name :under_test

  def open(opts) do
    start = [name: @name, data_dir: opts.dir, port: opts.port] ++ discovery(opts)
    {:ok, pid} = PeerNet.start_link(start)
    Process.unlink(pid)
    pid
  end

  # It always announces to 255.255.255.255: only for a network of one's own.
  defp discovery(%{discovery: "255.255.255.255"} = opts) do
    udp = [listen_port: opts.discovery_port, interval_ms: opts.announce_ms]
    [discovery: Module.concat(["PeerNet", "Discovery", "UDP"]), discovery_opts: udp]
  end

  defp discovery(_), do: []

  def close(pid) do
    if Process.alive?(pid), do: Supervisor.stop(pid)
    :ok
  end

  def alive?(pid), do: Process.alive?(pid)
  def key(_), do: PeerNet.identity(@name).public
  def port(_), do: PeerNet.port(@name)

  def expose(_, name, fun, authorize), do: PeerNet.expose(@name, name, fun, authorize: authorize)
  def revoke(_, name), do: PeerNet.revoke(@name, name)

  def pair(_, key, label), do: PeerNet.pair(@name, key, label: label)
  def unpair(_, key), do: PeerNet.unpair(@name, key)
  def peers(_), do: for(entry <- PeerNet.list_peers(@name), do: {entry.pubkey, entry.label})

  def dial(_, key, host, port), do: PeerNet.connect(@name, key, host, port)

  def announced(_, key, host, port) do
    {:ok, ip} = :inet.parse_address(to_charlist(host))
    address = %{ip: ip, port: port, source: :manual}
    PeerNet.Discovery.Manual.announce_peer(:"#{@name}.discovery", key, address)
  end

  def links(node) do
    for {key, _} <- peers(node), PeerNet.connected?(@name, key), do: key
  end

  def linked?(_, key), do: PeerNet.connected?(@name, key)
  def notes(_), do: []

  def call(_, key, name, args, timeout) do
    PeerNet.call(@name, key, name, args, timeout)
  catch
    :exit, {:timeout, _} -> {:error, :timeout}
  end

  def send_message(_, key, name, args), do: PeerNet.send(@name, key, name, args)

  # The module is named in text: its atoms stay unknown until it is asked for.
  def dist_handler do
    dist = dist()
    {String.to_atom("beam" <> "_admin"), &dist.handle/2}
  end

  def dist_call(_, key, handle, {m, f, a}, timeout) do
    dist().call(@name, key, m, f, a, options(handle, timeout: timeout))
  end

  def dist_send(_, key, handle, {m, f, a}) do
    dist().cast(@name, key, m, f, a, options(handle, []))
  end

  defp options(nil, options), do: options
  defp options(handle, options), do: [handle: handle] ++ options

  defp dist, do: Module.concat(["PeerNet", "BeamDist"])
end

Peer.Control.main(UpstreamBackend)
