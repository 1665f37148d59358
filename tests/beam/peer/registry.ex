# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Registry do
  @moduledoc """
  The links, and the keys to dial (docs/PROTOCOL.md, section 7.1): a trusted key
  that is announced and has no link is dialled at once, and again after each
  announce; a lost link whose address came from an announce is dialled again
  after 0.5 s, 1 s, 2 s, ... 30 s, as long as TCP refuses. The dial is made
  inside this process and has no time-out. The newest link of a key wins.

  It also keeps the notes that tests ask for.
  """
  use GenServer

  alias Peer.Connection

  @first_ms 500
  @longest_ms 30_000

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts, name: opts.registry)

  def up(server, key, pid), do: GenServer.call(server, {:up, key, pid})
  def note(server, event), do: GenServer.cast(server, {:note, event})
  def notes(server), do: GenServer.call(server, :notes)
  def links(server), do: GenServer.call(server, :links, :infinity)
  def announced(server, key, address), do: GenServer.cast(server, {:announced, key, address})

  def lookup(server, key), do: GenServer.call(server, {:lookup, key}, :infinity)

  @doc "Dials once, in the caller's process, as a user of the original does."
  def dial(opts, host, port) do
    with {:ok, socket} <- tcp(host, port) do
      Connection.hand_over(connection!(opts, :initiator), socket)
    end
  end

  @doc "A connection process without a socket."
  def connection!(opts, role) do
    child = Map.merge(opts, %{role: role, ticket: :counters.new(1, [])})
    {:ok, pid} = DynamicSupervisor.start_child(opts.links, {Connection, child})
    pid
  end

  @impl true
  def init(opts), do: {:ok, %{opts: opts, links: %{}, heard: %{}, notes: []}}

  @impl true
  def handle_call({:up, key, pid}, _from, state) do
    with {old, ref} <- state.links[key] do
      Process.demonitor(ref, [:flush])
      Connection.supersede(old)
    end

    links = Map.put(state.links, key, {pid, Process.monitor(pid)})
    {:reply, :ok, noted(%{state | links: links}, {:up, key, nil})}
  end

  def handle_call({:lookup, key}, _from, state) do
    case state.links[key] do
      {pid, _} -> {:reply, {:ok, pid}, state}
      nil -> {:reply, {:error, :not_connected}, state}
    end
  end

  def handle_call(:links, _from, state), do: {:reply, Map.keys(state.links), state}

  def handle_call(:notes, _from, state),
    do: {:reply, Enum.reverse(state.notes), %{state | notes: []}}

  @impl true
  def handle_cast({:note, event}, state), do: {:noreply, noted(state, event)}

  def handle_cast({:announced, key, address}, state) do
    state = %{state | heard: Map.put(state.heard, key, address)}

    if Peer.Trust.trusted?(state.opts.trust, key) and not is_map_key(state.links, key) do
      {:noreply, try_dial(state, key, 0)}
    else
      {:noreply, state}
    end
  end

  @impl true
  def handle_info({:DOWN, ref, :process, pid, _}, state) do
    case Enum.find(state.links, fn {_, link} -> link == {pid, ref} end) do
      {key, _} -> {:noreply, later(%{state | links: Map.delete(state.links, key)}, key, 0)}
      nil -> {:noreply, state}
    end
  end

  def handle_info({:redial, key, attempt}, state) do
    if Peer.Trust.trusted?(state.opts.trust, key) and not is_map_key(state.links, key) do
      {:noreply, try_dial(state, key, attempt)}
    else
      {:noreply, state}
    end
  end

  defp later(state, key, attempt) do
    if is_map_key(state.heard, key) do
      Process.send_after(
        self(),
        {:redial, key, attempt},
        min(@first_ms * 2 ** attempt, @longest_ms)
      )
    end

    state
  end

  # The process is there before the socket: a refused dial is an ending, too.
  defp try_dial(state, key, attempt) do
    {host, port} = state.heard[key]
    pid = connection!(state.opts, :initiator)

    case tcp(host, port) do
      {:ok, socket} ->
        Connection.hand_over(pid, socket)
        noted(state, {:dialled, key, nil})

      {:error, reason} ->
        Connection.give_up(pid)
        state |> noted({:refused, key, reason}) |> later(key, attempt + 1)
    end
  end

  defp tcp(host, port), do: :gen_tcp.connect(to_charlist(host), port, [:binary, active: false])

  defp noted(state, event), do: %{state | notes: [event | state.notes]}
end
