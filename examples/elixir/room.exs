# SPDX-License-Identifier: Apache-2.0
#
# An Elixir application that uses PeerNet 0.1.0 and talks to a C node. Nothing in it is
# special for the C side.
#
#     elixir -pa PEER_NET_EBIN room.exs DATA_DIR KEY HOST PORT
#
# KEY is the C node's public key as `peernet id` prints it. README.md has the
# commands of the other side.

defmodule Room do
  @node :room

  def main([data_dir, key, host, port]) do
    {:ok, peer} = Base.decode32(key, padding: false)
    {:ok, _} = PeerNet.start_link(name: @node, data_dir: data_dir, port: 0)
    own = Base.encode32(PeerNet.identity(@node).public, padding: false)
    IO.puts("our key: #{own}")

    # The handle is closed until this line, and then open to this peer alone.
    :ok = PeerNet.expose(@node, :temperature, &temperature/2, authorize: &(&1 == peer))
    :ok = PeerNet.expose(@node, :greet, &greet/2, authorize: &(&1 == peer))
    :ok = PeerNet.pair(@node, peer, label: "C node")

    connect(peer, host, String.to_integer(port))
    talk(peer)
    IO.puts("serving :temperature and :greet; end of input stops")
    IO.read(:stdio, :eof)
  end

  # Handlers get the caller's key and one term, and return one.
  defp temperature(_from, %{"unit" => "F"}), do: 70.7
  defp temperature(_from, _), do: 21.5

  defp greet(_from, name) when is_binary(name), do: "hello, #{name}"

  # Until the other side has paired our key it closes the link without an answer, after
  # our last message of the handshake: PeerNet.connected?/2 may be true for a moment. An
  # answer is the proof. Every refused attempt counts against our own supervisor, hence
  # the pause.
  defp connect(peer, host, port) do
    {:ok, address} = host |> String.to_charlist() |> :inet.parse_address()

    with :ok <- PeerNet.connect(@node, peer, address, port),
         :ok <- answers(peer, 20) do
      :ok
    else
      {:error, reason} ->
        IO.puts("#{host}:#{port}: #{why(reason)}")
        Process.sleep(2_000)
        connect(peer, host, port)
    end
  end

  # The handshake takes a while; until it is over there is no link to call on.
  defp answers(peer, tries) do
    case PeerNet.call(@node, peer, :echo, "are you there?") do
      {:error, reason} when reason in [:not_connected, :not_authenticated] and tries > 0 ->
        Process.sleep(50)
        answers(peer, tries - 1)

      {:error, reason} when reason in [:no_such_handle, :forbidden] ->
        raise "the C node has no :echo for us: start it with --echo"

      {:error, reason} ->
        {:error, reason}

      {:ok, _} ->
        :ok
    end
  end

  defp why(reason) when reason in [:not_connected, :not_authenticated, :connection_closed],
    do: "not connected yet; has the other side paired our key?"

  defp why({:tcp_error, _}), do: why(:connection_closed)
  defp why(:econnrefused), do: "nobody listens there; is the C node running?"
  defp why(reason), do: inspect(reason)

  defp talk(peer) do
    # A term comes back unchanged.
    term = {:ok, %{"unit" => "C"}, [1, 2.5, "three"]}
    {:ok, ^term} = PeerNet.call(@node, peer, :echo, term)
    IO.puts("echo: #{inspect(term)}")

    # What is not exposed does not exist.
    {:error, reason} = PeerNet.call(@node, peer, :format_disk, "all")
    IO.puts("format_disk: #{inspect(reason)}")

    # Fire and forget; the answer says only that there was a link.
    :ok = PeerNet.send(@node, peer, :chat, "a line from Elixir")

    # A C program that exports functions answers like a module would.
    case PeerNet.BeamDist.call(@node, peer, Integer, :add, [2, 40]) do
      {:ok, sum} -> IO.puts("Integer.add(2, 40) over there: #{inspect(sum)}")
      {:error, reason} -> IO.puts("Integer.add over there: #{inspect(reason)}")
    end
  end
end

Room.main(System.argv())
