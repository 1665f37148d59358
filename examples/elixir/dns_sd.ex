# SPDX-License-Identifier: Apache-2.0
defmodule PeerNet.Discovery.DNSSD do
  @moduledoc """
  Finds C nodes by DNS-SD (docs/PROTOCOL.md, section 6.1) for an application of PeerNet
  0.1.0: a `PeerNet.Discovery` beside `PeerNet.Discovery.UDP`. It browses and does not
  publish, since a stock PeerNet listens on 127.0.0.1 and could not be dialled.

      PeerNet.start_link(name: :room, data_dir: dir, discovery: PeerNet.Discovery.DNSSD)

  It needs nothing but OTP: `:inet_dns` reads and writes the packets. A query comes from a
  port of its own, so that a responder answers to that port alone (RFC 6762). What is found
  is a hint: PeerNet dials trusted keys only, and the handshake proves the key.
  """
  @behaviour PeerNet.Discovery
  use GenServer

  @group {224, 0, 0, 251}
  @port 5353
  @service ~c"_peernet._tcp.local"
  @interval_ms 5_000

  @impl PeerNet.Discovery
  def start_link(opts) do
    {name, opts} = Keyword.pop(opts, :name, __MODULE__)
    GenServer.start_link(__MODULE__, opts, name: name)
  end

  @impl PeerNet.Discovery
  def announce_self(_server, _port), do: :ok

  @impl PeerNet.Discovery
  def stop(server), do: GenServer.stop(server, :normal)

  @impl GenServer
  def init(opts) do
    {:ok, socket} = :gen_udp.open(0, [:binary, active: true, multicast_ttl: 255])
    state = %{registry: opts[:registry], own: opts[:identity].public, socket: socket}
    send(self(), :ask)
    {:ok, Map.put(state, :interval_ms, opts[:interval_ms] || @interval_ms)}
  end

  @impl GenServer
  def handle_info(:ask, state) do
    for ip <- own_addresses() do
      :inet.setopts(state.socket, multicast_if: ip)
      :gen_udp.send(state.socket, @group, @port, query(@service, :ptr))
    end

    Process.send_after(self(), :ask, state.interval_ms)
    {:noreply, state}
  end

  def handle_info({:udp, _socket, _ip, @port, packet}, state) do
    for {key, ip, port} <- nodes(packet), key != state.own do
      send(state.registry, {:peer_discovered, key, %{ip: ip, port: port, source: :dns_sd}})
    end

    {:noreply, state}
  end

  def handle_info({:udp, _socket, _ip, _port, _packet}, state), do: {:noreply, state}

  # Every IPv4 address of this host: a group is asked by one interface at a time.
  defp own_addresses do
    {:ok, interfaces} = :inet.getifaddrs()
    for {_, o} <- interfaces, :multicast in o[:flags], :up in o[:flags],
        {:addr, {_, _, _, _} = ip} <- o, do: ip
  end

  defp query(domain, type) do
    question = :inet_dns.make_dns_query(domain: domain, type: type, class: :in)
    header = :inet_dns.make_header(id: :rand.uniform(65_535), qr: false, opcode: :query)
    :inet_dns.encode(:inet_dns.make_msg(header: header, qdlist: [question]))
  end

  # {key, ip, port} of every address of every node in an answer.
  defp nodes(packet) do
    case :inet_dns.decode(packet) do
      {:ok, message} ->
        message = :inet_dns.msg(message)
        records = Enum.map(message[:anlist] ++ message[:arlist], &:inet_dns.rr/1)
        for r <- records, r[:type] == :ptr, same?(r[:domain], @service),
            found <- node_at(r[:data], records), do: found

      {:error, _} ->
        []
    end
  end

  # A node says v=1; the rules are those of docs/PROTOCOL.md, section 6.1.
  defp node_at(instance, records) do
    with [{_, _, port, host} | _] when port >= 1024 <- data(records, :srv, instance),
         [strings | _] <- data(records, :txt, instance),
         %{"v" => "1", "pk" => text} <- Map.new(strings, &pair/1),
         {:ok, <<key::binary-size(32)>>} <- Base.decode32(text, padding: false) do
      for ip <- data(records, :a, host), do: {key, ip, port}
    else
      _ -> []
    end
  end

  defp pair(string) do
    case String.split(List.to_string(string), "=", parts: 2) do
      [name, value] -> {String.downcase(name), value}
      [name] -> {String.downcase(name), true}
    end
  end

  defp data(records, type, domain) do
    for r <- records, r[:type] == type, same?(r[:domain], domain), do: r[:data]
  end

  defp same?(a, b), do: :string.casefold(a) == :string.casefold(b)
end
