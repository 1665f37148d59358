# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Trust do
  @moduledoc """
  The trust list: in memory, and in trust.bin of the data directory at every
  change (docs/PROTOCOL.md, section 8.3), newest first. Without a directory it
  lives in memory only.
  """
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts[:dir], name: opts[:name])

  def add(server, key, label \\ nil), do: GenServer.call(server, {:add, key, label})
  def remove(server, key), do: GenServer.call(server, {:remove, key})
  def trusted?(server, key), do: GenServer.call(server, {:trusted?, key})
  def list(server), do: GenServer.call(server, :list)

  @impl true
  def init(nil), do: {:ok, %{path: nil, entries: []}}

  def init(dir) do
    path = Path.join(dir, "trust.bin")
    {:ok, %{path: path, entries: load(path)}}
  end

  @impl true
  def handle_call({:add, key, label}, _from, state) do
    if has?(state, key) do
      {:reply, :ok, state}
    else
      entry = %{pubkey: key, label: label, added_at: DateTime.utc_now()}
      {:reply, :ok, store(%{state | entries: [entry | state.entries]})}
    end
  end

  def handle_call({:remove, key}, _from, state) do
    entries = Enum.reject(state.entries, &(&1.pubkey == key))
    {:reply, :ok, store(%{state | entries: entries})}
  end

  def handle_call({:trusted?, key}, _from, state), do: {:reply, has?(state, key), state}
  def handle_call(:list, _from, state), do: {:reply, state.entries, state}

  defp has?(state, key), do: Enum.any?(state.entries, &(&1.pubkey == key))

  defp load(path) do
    case File.read(path) do
      {:ok, bytes} -> :erlang.binary_to_term(bytes)
      {:error, :enoent} -> []
    end
  end

  defp store(%{path: nil} = state), do: state

  defp store(state) do
    File.write!(state.path, :erlang.term_to_binary(state.entries))
    state
  end
end
