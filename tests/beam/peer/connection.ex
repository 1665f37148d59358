# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Connection do
  @moduledoc """
  One link, both roles. It is started without a socket and gets one handed
  over; everything is done in this one process: reading, handlers, pings.

  It is a permanent child: each ending counts against its supervisor
  (docs/PROTOCOL.md, section 7), and the start that follows does nothing, because
  `ticket` admits one process only.
  """
  use GenServer, restart: :permanent

  alias Peer.{Channel, Envelope, Frame, Handshake, Kind}

  # m2_nap_ms: how long it looks away after M2, so that M3 and what follows it
  # arrive in one read. note_pings: notes the length of each nonce. kind: its
  # label, told as docs/PROTOCOL.md, section 5.1, says; nil: it knows nothing of that.
  @defaults %{ping_ms: 30_000, pong_ms: 60_000, m2_nap_ms: 0, note_pings: 0, kind: nil}

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts)

  @doc "Gives it the socket; nothing happens before."
  def hand_over(pid, socket) do
    with :ok <- :gen_tcp.controlling_process(socket, pid) do
      GenServer.cast(pid, {:socket, socket})
    end
  end

  @doc "Ends one that never got a socket."
  def give_up(pid), do: GenServer.cast(pid, :give_up)

  @doc "Closed because a newer link to the same key took over."
  def supersede(pid), do: GenServer.cast(pid, :supersede)

  def call(pid, name, args, timeout) do
    GenServer.call(pid, {:call, name, args, timeout}, timeout)
  catch
    :exit, {:timeout, _} -> {:error, :timeout}
    :exit, _ -> {:error, :not_connected}
  end

  def send_message(pid, name, args), do: GenServer.cast(pid, {:send, name, args})

  @impl true
  def init(opts) do
    if :counters.get(opts.ticket, 1) > 0 do
      :ignore
    else
      :counters.add(opts.ticket, 1, 1)

      state =
        Map.merge(@defaults, opts)
        |> Map.merge(%{socket: nil, hs: nil, channel: nil, inbox: "", calls: %{}, ping: nil})

      {:ok, state}
    end
  end

  @impl true
  def handle_cast({:socket, socket}, state) do
    hs = Handshake.new(state.role, state.identity)
    state = %{state | socket: socket, hs: hs}
    :inet.setopts(socket, active: :once)

    if state.role == :initiator do
      {hs, bytes} = Handshake.start(hs)
      write(state, bytes)
      {:noreply, %{state | hs: hs}}
    else
      {:noreply, state}
    end
  end

  def handle_cast(:give_up, state), do: {:stop, :normal, state}
  def handle_cast(:supersede, state), do: close(state, :superseded)

  def handle_cast({:send, name, args}, %{channel: ch} = state) when ch != nil do
    emit(state, {:send, name, args})
  end

  def handle_cast({:send, _, _}, state), do: {:noreply, state}

  @impl true
  def handle_call({:call, _, _, _}, _from, %{channel: nil} = state) do
    {:reply, {:error, :not_connected}, state}
  end

  def handle_call({:call, name, args, timeout}, from, state) do
    id = Envelope.new_id()
    Process.send_after(self(), {:forget, id}, timeout)
    emit(%{state | calls: Map.put(state.calls, id, from)}, {:call, id, name, args})
  end

  @impl true
  def handle_info({:tcp, socket, bytes}, %{socket: socket} = state) do
    case arrived(state, bytes) do
      {:noreply, state} ->
        :inet.setopts(socket, active: :once)
        {:noreply, state}

      stop ->
        stop
    end
  end

  def handle_info({:tcp_closed, _}, state), do: close(state, :peer_closed)
  def handle_info({:tcp_error, _, reason}, state), do: close(state, reason)

  def handle_info({:forget, id}, state),
    do: {:noreply, %{state | calls: Map.delete(state.calls, id)}}

  def handle_info(:ping, state) do
    nonce = :crypto.strong_rand_bytes(16)
    Process.send_after(self(), {:no_pong, nonce}, state.pong_ms)
    Process.send_after(self(), :ping, state.ping_ms)
    emit(%{state | ping: nonce}, {:ping, nonce})
  end

  def handle_info({:no_pong, nonce}, %{ping: nonce} = state), do: close(state, :ping_timeout)
  def handle_info({:no_pong, _}, state), do: {:noreply, state}

  # One step of the handshake an arrival, and no look at what is left over.
  defp arrived(%{channel: nil} = state, bytes) do
    case Handshake.step(state.hs, bytes, &admitted?(state, &1)) do
      {:ok, hs, out} ->
        if out != "", do: write(state, out)
        if hs.phase == :wait_m3, do: Process.sleep(state.m2_nap_ms)
        opened(%{state | hs: hs})

      {:error, reason, _hs} ->
        close(state, reason)
    end
  end

  defp arrived(state, bytes), do: frames(%{state | inbox: state.inbox <> bytes})

  # A dial is held to the key it was made for when the link is registered, not
  # here: that is the original's weakness U6, and not what is tested with it.
  defp admitted?(state, key), do: Peer.Trust.trusted?(state.trust, key)

  defp opened(%{hs: %{phase: :authenticated} = hs} = state) do
    Peer.Registry.up(state.registry, hs.rs, self())
    Process.send_after(self(), :ping, state.ping_ms)
    state = %{state | channel: Channel.new(Handshake.keys(hs)), inbox: hs.inbox}
    if state.kind && hs.role == :responder, do: say_kind(state), else: {:noreply, state}
  end

  defp opened(state), do: {:noreply, state}

  defp frames(state) do
    with {:ok, body, rest} <- Frame.take(state.inbox),
         {:ok, channel, term} <- Channel.open(state.channel, body),
         {:ok, envelope} <- Envelope.check(term) do
      case envelope(%{state | channel: channel, inbox: rest}, envelope) do
        {:noreply, state} -> frames(state)
        stop -> stop
      end
    else
      :incomplete -> {:noreply, state}
      {:error, reason} -> close(state, reason)
      :error -> close(state, :bad_envelope)
    end
  end

  defp envelope(state, {:reply, id, result}) do
    {from, calls} = Map.pop(state.calls, id)
    if from, do: GenServer.reply(from, result)
    {:noreply, %{state | calls: calls}}
  end

  defp envelope(state, {:ping, nonce}) do
    if state.note_pings > 0 do
      Peer.Registry.note(state.registry, {:ping, state.hs.rs, byte_size(nonce)})
    end

    with {:noreply, state} <- emit(state, {:pong, nonce}), do: hear_kind(state, nonce)
  end

  defp envelope(%{ping: nonce} = state, {:pong, nonce}), do: {:noreply, %{state | ping: nil}}

  defp envelope(state, envelope) do
    case Envelope.answer(envelope, state.handles, state.hs.rs) do
      nil -> {:noreply, state}
      answer -> emit(state, answer)
    end
  end

  defp hear_kind(%{kind: nil} = state, _nonce), do: {:noreply, state}

  defp hear_kind(%{hs: hs} = state, nonce) do
    theirs = if hs.role == :initiator, do: :responder, else: :initiator

    with {:ok, label} <- Kind.read(hs.noise.h, theirs, nonce) do
      Peer.Registry.note(state.registry, {:kind, hs.rs, label})
      if hs.role == :initiator, do: say_kind(state), else: {:noreply, state}
    else
      :error -> {:noreply, state}
    end
  end

  defp say_kind(%{hs: hs} = state) do
    emit(state, {:ping, Kind.nonce(hs.noise.h, hs.role, state.kind)})
  end

  defp emit(state, envelope) do
    case Channel.seal(state.channel, envelope) do
      {:ok, channel, bytes} ->
        write(state, bytes)
        {:noreply, %{state | channel: channel}}

      {:error, reason} ->
        close(state, reason)
    end
  end

  # A failed write shows as tcp_closed.
  defp write(state, bytes), do: :gen_tcp.send(state.socket, bytes)

  defp close(state, reason) do
    if state.socket, do: :gen_tcp.close(state.socket)
    Peer.Registry.note(state.registry, {:end, state.hs && state.hs.rs, reason})
    {:stop, :normal, state}
  end
end
