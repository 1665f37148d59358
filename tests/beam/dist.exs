# SPDX-License-Identifier: Apache-2.0
#
# Our distribution (disttool) and this BEAM, a node for as long as the test runs, over
# plain TCP on loopback: either dials, and each calls what the other serves. There is no
# epmd: DistEpmd returns the port of each node.
# usage: elixir --erl "-epmd_module Elixir.DistEpmd -setcookie monster"
#          -pa PEER_EBIN dist.exs DISTTOOL

defmodule DistEpmd do
  @moduledoc "What a node asks about names, as erl_epmd has it."

  def start_link, do: :ignore
  def register_node(_name, port), do: register_node(0, port, :inet)

  def register_node(_name, port, _driver) do
    :persistent_term.put({__MODULE__, :judge}, port)
    {:ok, 77}
  end

  def listen_port_please(_name, _host), do: {:ok, 0}
  def address_please(_name, _host, _family), do: {:ok, {127, 0, 0, 1}}
  def port_please(name, ip), do: port_please(name, ip, 5000)
  def port_please(name, _ip, _timeout), do: {:port, port(to_string(name)), 6}
  def names(_host), do: {:error, :address}

  def put(name, port), do: :persistent_term.put({__MODULE__, name}, port)
  def judge, do: :persistent_term.get({__MODULE__, :judge})
  defp port(name), do: :persistent_term.get({__MODULE__, name})
end

defmodule DistTest do
  alias Peer.Tap

  @judge :"judge@127.0.0.1"
  @more "flags=800480000"

  def main([tool]) do
    Process.put(:tool, tool)
    Application.put_env(:kernel, :inet_dist_use_interface, {127, 0, 0, 1})
    # Only when a test says so: what has ended stays so.
    Application.put_env(:kernel, :dist_auto_connect, :never)

    Tap.run(fn ->
      {:ok, _} = Node.start(@judge, :longnames)
      we_dial()
      refused_dials()
      crossed_dials()

      for {what, options} <- [{"plain", []}, {"all flags", [@more]}] do
        served(what, options)
      end

      refused_links()
      not_allowed()
    end)
  end

  # ---- we dial: one call to rex ----

  defp we_dial do
    for {m, f, args} <- [
          {:erlang, :node, []},
          {:lists, :reverse, [[1, 2, :three, "four", 5.5]]},
          {:erlang, :tuple_to_list, [{1, -1, 18_446_744_073_709_551_616, %{a: [1]}}]},
          {:maps, :from_list, [[{1, 2}, {"k", :v}]]},
          {:erlang, :list_to_tuple, [Enum.to_list(1..300)]},
          {:binary, :copy, ["x", 3_000_000]},
          {:lists, :seq, [1, 20_000]}
        ] do
      tool = start("dial", ["call=#{m} #{f} #{text(args)}"])
      up = line(tool)

      Tap.test("dist/call/#{m}:#{f}", fn ->
        same({up, line(tool)}, {"up #{@judge} 507070fbc", "result " <> text(apply(m, f, args))})
      end)

      stop(tool)
    end

    tool = start("dial", ["call=no_module no_function []"])
    line(tool)

    Tap.test("dist/call/undefined", fn ->
      "result {:badrpc, {:EXIT, {:undef, [{:no_module, :no_function, [], []}" <> _ = line(tool)
      true
    end)

    stop(tool)
  end

  defp refused_dials do
    tool = start("dial", [], cookie: "monsteq")
    Tap.test("dist/refused/our cookie is wrong", fn -> same(line(tool), "closed") end)
    stop(tool)

    tool = start("dial", [], peer: "somebody@127.0.0.1")

    Tap.test("dist/refused/another name answers", fn ->
      same(line(tool), "failed name_mismatch")
    end)

    stop(tool)

    first = start("dial", [])
    line(first)
    again = start("dial", [], name: first.name)
    Tap.test("dist/alive/ours is up", fn -> same(line(again), "failed already_connected") end)
    close(again)
    Tap.test("dist/alive/and goes on", fn -> same(call(first, :hello), :hello) end)
    Tap.test("dist/alive/its dial is forgotten", fn -> until_up(first.node) end)
    again = start("dial", ["alive=gone"], name: first.name)
    Tap.test("dist/alive/ours is gone", fn -> up?(line(again)) end)
    Tap.test("dist/alive/the old one ends", fn -> same(until(first, "closed"), "closed") end)
    close(first)
    Tap.test("dist/alive/the new one works", fn -> same(call(again, :hello), :hello) end)
    stop(again)
  end

  # While this node still holds a dial that gave way to the link, it closes the
  # next one without an answer (dist_util, already_pending).
  defp until_up(node, tries \\ 500) do
    case :ets.lookup(:sys_dist, node) do
      [connection] when elem(connection, 3) == :up ->
        true

      other when tries == 0 ->
        "got #{cut(other)}, wanted a connection that is up"

      _ ->
        Process.sleep(10)
        until_up(node, tries - 1)
    end
  end

  # This node dials, and before it has an answer is dialled.
  defp crossed_dials do
    for {first, wanted} <- [{"a", "failed lost_race"}, {"z", "up"}] do
      name = name(first)
      {:ok, listener} = :gen_tcp.listen(0, ip: {127, 0, 0, 1}, active: false, mode: :binary)
      {:ok, port} = :inet.port(listener)
      DistEpmd.put(hd(String.split(name, "@")), port)
      dial = Task.async(fn -> Node.connect(String.to_atom(name)) end)
      {:ok, silent} = :gen_tcp.accept(listener, 5000)
      {:ok, <<_::16, ?N, _::binary>>} = :gen_tcp.recv(silent, 0, 5000)
      tool = start("dial", [], name: name)

      Tap.test("dist/crossed/#{first} and judge", fn ->
        same(hd(String.split(line(tool), " judge")), wanted)
      end)

      :gen_tcp.close(silent)
      :gen_tcp.close(listener)
      Task.await(dial)
      stop(tool)
    end
  end

  # ---- this node dials, and uses what we serve ----

  defp served(what, options) do
    tool = connect(options)
    node = tool.node
    test = fn name, fun -> Tap.test("dist/#{what}/#{name}", fun) end

    test.("hidden", fn -> node in Node.list(:hidden) and node not in Node.list() end)
    test.("ping", fn -> same(:net_adm.ping(node), :pong) end)

    for {name, term} <- terms() do
      test.("call #{name}", fn -> same(call(tool, term), term) end)
    end

    test.("a thousand messages in order", fn ->
      for i <- 1..1000, do: send({:echo, node}, {self(), {:n, i}})

      Enum.find_value(1..1000, true, fn i ->
        receive do
          {:n, ^i} -> nil
          {:n, other} -> "#{other} instead of #{i}"
        after
          5000 -> "#{i} is missing"
        end
      end)
    end)

    test.("rpc", fn -> same(:rpc.call(node, :m, :f, [1, "two"]), {:m, :f, [1, "two"]}) end)
    test.("erpc", fn -> same(:erpc.call(node, :m, :f, [], 5000), {:m, :f, []}) end)

    test.("many erpc", fn ->
      same(
        :erpc.multicall(List.duplicate(node, 50), :m, :f, [1]),
        List.duplicate({:ok, {:m, :f, [1]}}, 50)
      )
    end)

    test.("rpc that fails", fn ->
      {:badrpc, {:EXIT, {:failed, _}}} = :rpc.call(node, :m, :fail, [])
      true
    end)

    test.("spawn that is refused", fn ->
      ref = :erlang.spawn_request(node, :m, :f, [], [:monitor])

      receive do
        {:spawn_reply, ^ref, :error, reason} -> same(reason, :notsup)
      after
        5000 -> "no reply"
      end
    end)

    test.("monitor of nobody", fn -> same(down(Process.monitor({:nobody, node})), :noproc) end)

    test.("monitor", fn ->
      ref = Process.monitor({:echo, node})
      send({:echo, node}, :stop)
      same(down(ref), :stopped)
    end)

    test.("demonitor", fn ->
      ref = Process.monitor({:echo, node})
      until(tool, "signal 19")
      Process.demonitor(ref)
      same(until(tool, "signal 20"), "signal 20 -")
    end)

    {pid, ref} = call(tool, :self)
    test.("a pid of ours", fn -> same({node(pid), node(ref)}, {node, node}) end)

    test.("link and unlink", fn ->
      Process.link(pid)
      linked = until(tool, "signal 1 ")
      Process.unlink(pid)
      same({linked, until(tool, "signal 35")}, {"signal 1 -", "signal 35 -"})
    end)

    test.("exit of a linked process", fn ->
      spawn(fn ->
        Process.link(pid)
        exit({:bye, "text"})
      end)

      same(until(tool, "signal 3 "), "signal 3 {:bye, \"text\"}")
    end)

    test.("exit signal", fn ->
      Process.exit(pid, :some_reason)
      same(until(tool, "signal 8"), "signal 8 :some_reason")
    end)

    if options != [] do
      test.("alias", fn ->
        send(ref, :to_an_alias)
        same(until(tool, "signal 33"), "signal 33 :to_an_alias")
      end)
    end

    test.("traced", fn ->
      :seq_trace.set_token(:label, 17)
      send({:echo, node}, {self(), :traced})
      send(pid, :traced_too)
      :seq_trace.set_token([])

      receive do
        :traced -> same(until(tool, "signal 2 "), "signal 2 :traced_too")
      after
        5000 -> "no answer"
      end
    end)

    test.("our end is noticed", fn ->
      Node.monitor(node, true)
      ref = Process.monitor({:echo, node})
      stop(tool)

      receive do
        {:nodedown, ^node} -> same(down(ref), :noconnection)
      after
        5000 -> "no nodedown"
      end
    end)
  end

  defp terms do
    [
      {"integers", [0, -1, 255, 256, -2_147_483_648, 9_223_372_036_854_775_807, -(2 ** 500), 2 ** 20_000]},
      {"float", 1.0e-300},
      {"atoms", [:a, :"ä ö", true, nil, :"", String.to_atom(String.duplicate("я", 255))]},
      {"binaries", ["", "text", <<0, 255>>, <<5::3>>]},
      {"lists", [[], ~c"text", [1, 2, :x], [:a | :b]]},
      {"tuples", [{}, {1}, List.to_tuple(Enum.to_list(1..300))]},
      {"maps", %{1 => 2, "k" => %{[1] => 2.5}, {1} => self()}},
      {"identifiers", [self(), make_ref(), hd(Port.list()), :erlang.alias()]},
      {"functions", [&:erlang.node/0, &Enum.map/2, closure(self())]},
      {"deep", Enum.reduce(1..5000, :bottom, fn _, t -> {t} end)},
      {"large", :binary.copy(<<1, 2, 3>>, 1_000_000)}
    ]
  end

  defp closure(pid), do: fn x -> {pid, x} end

  # ---- links that must not be ----

  defp refused_links do
    for {what, options, more, wanted} <- [
          {"another cookie", [], [cookie: "monsteq"], "failed bad_cookie"},
          {"another name", [], [peer: "somebody@127.0.0.1"], "failed name_mismatch"},
          {"our dial wins", ["rival=dial"], [name: name("z")], "failed lost_race"}
        ] do
      tool = start("accept", options, more)

      Tap.test("dist/refused/#{what}", fn ->
        same({Node.connect(tool.node), line(tool)}, {false, wanted})
      end)

      stop(tool)
    end

    tool = start("accept", ["rival=dial"], name: name("a"))
    connected = Node.connect(tool.node)

    Tap.test("dist/simultaneous/our dial loses", fn ->
      same({connected, line(tool), up?(line(tool))}, {true, "rival lost", true})
    end)

    stop(tool)

    tool = start("accept", ["rival=link"])
    connected = Node.connect(tool.node)

    Tap.test("dist/alive/our link is replaced", fn ->
      same({connected, line(tool), up?(line(tool))}, {true, "rival gone", true})
    end)

    stop(tool)

    tool = start("accept", [], peer: "-")

    Tap.test("dist/anybody", fn ->
      same({Node.connect(tool.node), up?(line(tool))}, {true, true})
    end)

    stop(tool)

    for {len, wanted} <- [{900, "signal 6 -"}, {1200, "failed message_too_large"}] do
      tool = connect(["max=1000"])
      send({:echo, tool.node}, :binary.copy("x", len))
      Tap.test("dist/message of #{len} bytes", fn -> same(line(tool), wanted) end)
      stop(tool)
    end
  end

  # Last, because no other connection is accepted after it.
  defp not_allowed do
    :net_kernel.allow([:"only@127.0.0.1"])
    tool = start("dial", [])
    Tap.test("dist/refused/not allowed", fn -> same(line(tool), "failed not_allowed") end)
    stop(tool)
  end

  # ---- our end ----

  defp name(first), do: "#{first}#{System.unique_integer([:positive])}@127.0.0.1"

  defp start(role, options, more \\ []) do
    name = Keyword.get(more, :name, name("c"))
    port = if role == "dial", do: DistEpmd.judge(), else: 0
    peer = Keyword.get(more, :peer, Atom.to_string(@judge))
    cookie = Keyword.get(more, :cookie, "monster")
    args = [role, Integer.to_string(port), name, peer, cookie | options]
    port = Port.open({:spawn_executable, Process.get(:tool)}, [:binary, line: 65_536, args: args])
    tool = %{port: port, name: name, node: String.to_atom(name)}

    if role == "accept" do
      "listening " <> at = line(tool)
      DistEpmd.put(hd(String.split(name, "@")), String.to_integer(at))
    end

    tool
  end

  defp connect(options) do
    tool = start("accept", options)
    true = Node.connect(tool.node)
    true = up?(line(tool))
    tool
  end

  # Its stdin ends, and so does it, unless it was faster.
  defp close(tool) do
    Port.close(tool.port)
  rescue
    ArgumentError -> true
  end

  defp stop(tool) do
    close(tool)
    Node.disconnect(tool.node)
  end

  defp line(tool, before \\ "") do
    port = tool.port

    receive do
      {^port, {:data, {:eol, text}}} -> before <> text
      {^port, {:data, {:noeol, text}}} -> line(tool, before <> text)
    after
      5000 -> "nothing for 5 s"
    end
  end

  # The next line that begins so.
  defp until(tool, start) do
    text = line(tool)
    if String.starts_with?(text, [start, "nothing"]), do: text, else: until(tool, start)
  end

  defp up?(text), do: String.starts_with?(text, "up #{@judge} ") or text
  defp call(tool, request), do: GenServer.call({:echo, tool.node}, request, 10_000)

  defp down(ref) do
    receive do
      {:DOWN, ^ref, :process, _, reason} -> reason
    after
      5000 -> "nothing for 5 s"
    end
  end

  defp text(term),
    do:
      inspect(term,
        limit: :infinity,
        printable_limit: :infinity,
        charlists: :as_lists,
        width: :infinity
      )

  defp same(got, got), do: true
  defp same(got, wanted), do: "got #{cut(got)}, wanted #{cut(wanted)}"
  defp cut(term), do: term |> inspect() |> String.slice(0, 300)
end

DistTest.main(System.argv())
