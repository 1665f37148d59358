# SPDX-License-Identifier: Apache-2.0
#
# An Elixir application that uses PeerNet 0.1.0 and talks to a C node. Nothing
# in it is special because of the C side: that is the point.
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

    # Nothing is open until this, and then only to the peer we mean.
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

  # Until the other side has paired our key it closes the link without a word.
  # Every refused attempt counts against our own supervisor, hence the pause.
  defp connect(peer, host, port) do
    {:ok, address} = host |> String.to_charlist() |> :inet.parse_address()

    case PeerNet.connect(@node, peer, address, port) do
      :ok -> Process.sleep(300)
      {:error, reason} -> IO.puts("#{host}:#{port}: #{reason}")
    end

    unless PeerNet.connected?(@node, peer) do
      IO.puts("not connected yet; has the other side paired our key?")
      Process.sleep(2_000)
      connect(peer, host, port)
    end
  end

  defp talk(peer) do
    # A term goes there and comes back as it was.
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
