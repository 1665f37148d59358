# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Listener do
  @moduledoc "Accepts on 127.0.0.1, where stock nodes listen; Nagle stays on."
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts, name: opts.listener)
  def port(server), do: GenServer.call(server, :port)

  @impl true
  def init(opts) do
    listen = [:binary, active: false, reuseaddr: true, backlog: 128, ip: {127, 0, 0, 1}]
    {:ok, socket} = :gen_tcp.listen(opts.port, listen)
    {:ok, port} = :inet.port(socket)
    spawn_link(fn -> accept(socket, opts) end)
    {:ok, port}
  end

  @impl true
  def handle_call(:port, _from, port), do: {:reply, port, port}

  defp accept(listener, opts) do
    {:ok, socket} = :gen_tcp.accept(listener)
    Peer.Connection.hand_over(Peer.Registry.connection!(opts, :responder), socket)
    accept(listener, opts)
  end
end
