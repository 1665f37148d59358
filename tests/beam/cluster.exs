# SPDX-License-Identifier: Apache-2.0
#
# The `peernet` program as a visible node of a cluster of two BEAM nodes, this one and
# another. Each has its QUIC in a bridgetool; the messages over it are the BEAM's own.
# There is no epmd: ClusterEpmd returns the port of each node.
# usage: elixir --erl "-epmd_module Elixir.ClusterEpmd -setcookie monster"
#          -pa PEER_EBIN cluster.exs BRIDGETOOL PEERNET

{:module, _, epmd, _} =
  defmodule ClusterEpmd do
    @moduledoc "What a node asks about names, as erl_epmd has it; Erlang only."

    def start_link, do: :ignore
    def register_node(name, port), do: register_node(name, port, :inet)

    def register_node(_name, port, _driver) do
      :persistent_term.put({__MODULE__, :own}, port)
      {:ok, 77}
    end

    def listen_port_please(_name, _host), do: {:ok, 0}
    def address_please(_name, _host, _family), do: {:ok, {127, 0, 0, 1}}
    def port_please(name, ip), do: port_please(name, ip, 5000)

    def port_please(name, _ip, _timeout) do
      case :persistent_term.get({__MODULE__, :lists.flatten(name)}, :none) do
        :none -> :noport
        port -> {:port, port, 6}
      end
    end

    def names(_host), do: {:error, :address}
    def put(name, port), do: :persistent_term.put({__MODULE__, name}, port)
    def own, do: :persistent_term.get({__MODULE__, :own})
  end

defmodule ClusterTest do
  alias Peer.Tap

  @ours :"ours@127.0.0.1"
  @one :"one@127.0.0.1"
  @two :"two@127.0.0.1"
  @patience 10_000

  def main([bridge, peernet], epmd) do
    :persistent_term.put(:tools, %{bridge: Path.expand(bridge), peernet: Path.expand(peernet)})
    dir = Path.join(System.tmp_dir!(), "pn-cluster-#{System.pid()}")
    File.rm_rf!(dir)
    File.mkdir_p!(dir)
    File.chmod!(dir, 0o700)
    :persistent_term.put(:dir, dir)

    Tap.run(fn ->
      try do
        two = start_nodes(epmd)
        ours = start_ours()
        both_see(two)
        monitors()
        globals(two)
        groups(two)
        denials(ours)
        too_large()
        ours = leaves_and_returns(two, ours)
        killed_in_a_call()
        wrong_cookie()
        stop(ours)
      after
        File.rm_rf!(dir)
      end
    end)
  end

  # ---- cases ----

  defp both_see(two) do
    Tap.test("cluster/visible", fn ->
      eventually(fn ->
        same({@ours in Node.list(), @ours in on(two, :erlang, :nodes, [])}, {true, true})
      end)
    end)

    Tap.test("cluster/ping", fn ->
      same({:net_adm.ping(@ours), on(two, :net_adm, :ping, [@ours])}, {:pong, :pong})
    end)
  end

  # An unregistered name is answered, one of the runtime system as any other.
  defp monitors do
    for name <- [:global_name_server, :pg, :global_group, :logger, :kernel_sup, :nobody] do
      Tap.test("cluster/monitor/#{name}", fn ->
        ref = Process.monitor({name, @ours})

        receive do
          {:DOWN, ^ref, :process, _, reason} -> same(reason, :noproc)
        after
          5000 -> "nothing for 5 s"
        end
      end)
    end

    Tap.test("cluster/call/global_name_server", fn ->
      same(
        catch_exit(fn -> GenServer.call({:global_name_server, @ours}, :what, 10_000) end),
        :noproc
      )
    end)
  end

  defp globals(two) do
    for {who, at} <- [{"one", nil}, {"two", two}] do
      Tap.test("cluster/global/set_lock at #{who}", fn ->
        same(within(at, :global, :set_lock, [{:a_lock, :somebody}]), {:ok, true})
      end)

      Tap.test("cluster/global/del_lock at #{who}", fn ->
        same(within(at, :global, :del_lock, [{:a_lock, :somebody}]), {:ok, true})
      end)

      Tap.test("cluster/global/sync at #{who}", fn ->
        same(within(at, :global, :sync, []), {:ok, :ok})
      end)
    end

    Tap.test("cluster/global/register_name", fn ->
      {:ok, :yes} = within(nil, :global, :register_name, [:the_name, self()])
      eventually(fn -> same(on(two, :global, :whereis_name, [:the_name]), self()) end)
    end)

    Tap.test("cluster/global/send", fn ->
      on(two, :global, :send, [:the_name, :hello])

      receive do
        :hello -> true
      after
        5000 -> "nothing for 5 s"
      end
    end)

    Tap.test("cluster/global/register_name from the other", fn ->
      pid = on(two, :erlang, :whereis, [:kernel_sup])
      :yes = on(two, :global, :register_name, [:their_name, pid])
      eventually(fn -> same(:global.whereis_name(:their_name), pid) end)
    end)

    Tap.test("cluster/global/trans", fn ->
      same(within(nil, :global, :trans, [{:work, self()}, fn -> :done end]), {:ok, :done})
    end)

    Tap.test("cluster/global/unregister_name", fn ->
      :global.unregister_name(:the_name)
      eventually(fn -> same(on(two, :global, :whereis_name, [:the_name]), :undefined) end)
    end)
  end

  defp groups(two) do
    {:ok, _} = :pg.start_link()
    {:ok, _} = on(two, :pg, :start, [:pg])

    Tap.test("cluster/pg/join", fn ->
      :ok = :pg.join(:a_group, self())
      eventually(fn -> same(on(two, :pg, :get_members, [:a_group]), [self()]) end)
    end)

    Tap.test("cluster/pg/join at the other", fn ->
      pid = on(two, :erlang, :whereis, [:kernel_sup])
      :ok = on(two, :pg, :join, [:other_group, pid])
      eventually(fn -> same(:pg.get_members(:other_group), [pid]) end)
    end)

    Tap.test("cluster/pg/leave", fn ->
      :ok = :pg.leave(:a_group, self())
      eventually(fn -> same(on(two, :pg, :get_members, [:a_group]), []) end)
    end)
  end

  # A message over our limit: the caller gets an error, and the link stays.
  defp too_large do
    large = :binary.copy("x", 17 * 1024 * 1024)

    # The program's own limit is PeerNet's: over this link it is the link's.
    Tap.test("cluster/5 MiB/rpc by the program", fn ->
      file = Path.join(:persistent_term.get(:dir), "large")
      File.write!(file, ["[\"", :binary.copy("x", 5 * 1024 * 1024), "\"]"])
      peernet = :persistent_term.get(:tools).peernet
      data = Path.join(:persistent_term.get(:dir), "ours")
      line = "exec \"$0\" rpc #{@one} :erlang byte_size - -t 60000 -d \"$1\" < \"$2\""
      {text, status} = System.cmd("sh", ["-c", line, peernet, data, file], env: env(), stderr_to_stdout: true)
      same({status, String.trim(text)}, {0, "5242880"})
    end)

    for {name, term} <- [pid: self(), reference: make_ref(), fun: &self/0] do
      Tap.test("cluster/an echo of a #{name} says what is refused", fn ->
        refusal = "a pid, port, reference or fun is not sent back"
        same(GenServer.call({:echo, @ours}, [term], 60_000), {:error, {:badarg, refusal}})
      end)
    end

    Tap.test("cluster/17 MiB/call", fn ->
      same(GenServer.call({:echo, @ours}, large, 60_000), {:error, :system_limit})
    end)

    Tap.test("cluster/17 MiB/erpc", fn ->
      try do
        :erpc.call(@ours, :erlang, :byte_size, [large], 60_000)
      rescue
        e in ErlangError -> same(e.original, {:erpc, :system_limit})
      end
    end)

    Tap.test("cluster/17 MiB/message", fn ->
      send({:echo, @ours}, large)
      same(GenServer.call({:echo, @ours}, 1, 60_000), 1)
    end)

    Tap.test("cluster/17 MiB/the link stayed", fn ->
      same({@ours in Node.list(), GenServer.call({:echo, @ours}, :x)}, {true, :x})
    end)
  end

  # The report of a refused call names the function and the calling node: a function
  # that is not granted, one that is not exported, one with too large arguments.
  defp denials(ours) do
    large = [:binary.copy("x", 17 * 1024 * 1024)]

    for {what, call, answer, function, reason} <- [
          {"rpc", fn -> :rpc.call(@ours, :led, :on, [1], 60_000) end,
           {:badrpc, {:EXIT, {:forbidden, [{:led, :on, [1], []}]}}}, ":led.on/1",
           "function-forbidden"},
          {"erpc", fn -> raised(fn -> :erpc.call(@ours, Led, :off, [], 60_000) end) end,
           {:exception, :undef, [{Led, :off, [], []}]}, "Led.off/0", "function-not-exported"},
          {"17 MiB", fn -> raised(fn -> :erpc.call(@ours, :led, :on, large, 60_000) end) end,
           {:erpc, :system_limit}, ":led.on/1", "frame-too-large"}
        ] do
      Tap.test("cluster/denied/#{what}", fn ->
        same(
          {call.(), denied(ours, reason)},
          {answer, %{"function" => function, "node" => "#{@one}", "reason" => reason}}
        )
      end)
    end
  end

  defp raised(f) do
    f.()
  rescue
    e in ErlangError -> e.original
  end

  # The next for this reason that ours tells of.
  defp denied(ours, reason) do
    receive do
      {^ours, {:data, {:eol, line}}} ->
        case Peer.Json.decode!(line) do
          %{"event" => "denied", "reason" => ^reason} = event ->
            Map.take(event, ~w(function handle node reason))

          _ ->
            denied(ours, reason)
        end
    after
      @patience -> "no denial"
    end
  end

  # Ours is killed, and comes back by itself: theirs connect once only. The
  # other two stay together meanwhile.
  defp leaves_and_returns(two, ours) do
    Node.monitor(@two, true)
    kill(ours)

    Tap.test("cluster/killed/noticed", fn ->
      disconnect_all(two)
      eventually(fn -> same(@ours in Node.list(), false) end)
    end)

    Tap.test("cluster/gone/theirs do not dial", fn ->
      same({:net_adm.ping(@ours), on(two, :net_adm, :ping, [@ours])}, {:pang, :pang})
    end)

    ours = start_ours()

    Tap.test("cluster/returned", fn ->
      eventually(fn ->
        same({@ours in Node.list(), @ours in on(two, :erlang, :nodes, [])}, {true, true})
      end)
    end)

    Tap.test("cluster/returned/the others stayed together", fn ->
      receive do
        {:nodedown, @two} -> "they were parted"
      after
        0 -> same(@two in Node.list(), true)
      end
    end)

    for {what, f, a} <- [{"set_lock", :set_lock, [{:b, :me}]}, {"sync", :sync, []}] do
      Tap.test("cluster/returned/global #{what}", fn ->
        {:ok, good} = within(nil, :global, f, a)
        good in [true, :ok]
      end)
    end

    ours
  end

  # A call of ours that waits while the node is killed: its system reports a closed port
  # or an unknown connection, or the node is back at another port and dials. The call
  # fails well before the time-out of an idle link.
  defp killed_in_a_call do
    udp = Process.get(:ports).one
    Process.register(spawn(fn -> sleeper(nil) end), :sleeper)
    told = ["Connection refused", "Connection reset", "has connected again"]

    for {what, back} <- [
          {"stays away", fn -> :ok end},
          {"is back at once", fn -> start_bridge(:one, udp) end},
          {"is back elsewhere and dials",
           fn ->
             start_bridge(:one, free_port())
             Node.disconnect(@ours)
             Node.connect(@ours)
           end}
        ] do
      Tap.test("cluster/call in flight/the node #{what}", fn ->
        eventually(fn -> same(@ours in Node.list(), true) end)
        send(:sleeper, {:tell, self()})
        call = Task.async(fn -> peernet_at(["call", "#{@one}", "sleeper", "1", "-t", "60000"]) end)

        receive do
          :asleep -> :ok
        after
          5000 -> raise "no call"
        end

        kill_bridge(:one)
        back.()

        # The 5 s are those of barrel/killed, in virtual time: machines are busy.
        case Task.yield(call, @patience) do
          {:ok, {text, status}} -> same({status, Enum.find(told, &(text =~ &1)) && :told || text}, {3, :told})
          nil -> Task.shutdown(call, :brutal_kill) && "nothing for 10 s"
        end
      end)

      if Port.info(Process.get({:bridge_port, :one})) == nil do
        start_bridge(:one, udp)
      end
    end
  end

  defp sleeper(whom) do
    receive do
      {:tell, pid} -> sleeper(pid)
      {:"$gen_call", _, _} -> send(whom, :asleep) && sleeper(whom)
      _ -> sleeper(whom)
    end
  end

  # Upstream says nothing then. Told with whatever patience.
  defp wrong_cookie do
    kill_bridge(:two)
    start_bridge(:two, Process.get(:ports).two, ["silent"])
    cookie = Path.join(:persistent_term.get(:dir), "another")
    File.write!(cookie, "monsteq\n")
    File.chmod!(cookie, 0o600)
    other = ["-d", Path.join(:persistent_term.get(:dir), "other")]
    {_, 0} = peernet_at(["barrel", "trust", "#{@two}", public(:two)], other)

    for wait <- [[], ["--wait", "1500"]] do
      Tap.test("cluster/another cookie/#{Enum.join(["told" | wait], " ")}", fn ->
        at = "#{@two}=127.0.0.1:#{Process.get(:ports).two}"

        {text, status} =
          peernet_at(
            ["rpc", "#{@two}", "erlang", "node", "[]", "--cookie-file", cookie] ++
              ["--as", "other@127.0.0.1", "--node", at | wait],
            other
          )

        same({status, text =~ "the cookie differs" || text}, {3, true})
      end)
    end
  end

  # ---- the nodes ----

  defp start_nodes(epmd) do
    dir = :persistent_term.get(:dir)
    File.write!(Path.join(dir, "Elixir.ClusterEpmd.beam"), epmd)
    Application.put_env(:kernel, :inet_dist_use_interface, {127, 0, 0, 1})
    # As upstream has it: what was lost is not dialled again.
    Application.put_env(:kernel, :dist_auto_connect, :once)
    # A bridge passes on what is said, and ours says its ticks to QUIC.
    Application.put_env(:kernel, :net_ticktime, 3600)
    {:ok, _} = Node.start(@one, :longnames)

    {:ok, two, _} =
      :peer.start(%{
        name: :two,
        host: ~c"127.0.0.1",
        longnames: true,
        connection: :standard_io,
        args:
          Enum.map(
            ~w(-epmd_module Elixir.ClusterEpmd -setcookie monster -kernel
               inet_dist_use_interface {127,0,0,1} net_ticktime 3600 dist_auto_connect once logger_level none -pa) ++ [dir],
            &to_charlist/1
          )
      })

    Process.put(:ports, %{ours: free_port(), one: free_port(), two: free_port()})
    bridge(:one, ClusterEpmd.own(), &ClusterEpmd.put/2)
    own = on(two, ClusterEpmd, :own, [])
    bridge(:two, own, fn name, port -> on(two, ClusterEpmd, :put, [name, port]) end)
    on(two, ClusterEpmd, :put, [~c"one", ClusterEpmd.own()])
    ClusterEpmd.put(~c"two", own)
    true = Node.connect(@two)
    two
  end

  # The QUIC of a node; how to tell the node where ours is from now on.
  defp bridge(name, beam_port, put) do
    dir = Path.join(:persistent_term.get(:dir), Atom.to_string(name))
    identity(dir)
    Process.put({:bridge, name}, {dir, beam_port, put})
    start_bridge(name, Process.get(:ports)[name])
    {_, 0} = peernet(["barrel", "trust", "#{name}@127.0.0.1", public(name)])
  end

  defp public(name), do: Path.join([:persistent_term.get(:dir), "#{name}", "keys", "node.pub"])

  defp start_bridge(name, udp, more \\ []) do
    {dir, beam_port, put} = Process.get({:bridge, name})
    ours = Process.get(:ports).ours
    args = [dir, "#{name}@127.0.0.1", beam_port, @ours, ours, udp] ++ more

    port =
      Port.open(
        {:spawn_executable, :persistent_term.get(:tools).bridge},
        [:binary, :exit_status, line: 1000, args: Enum.map(args, &to_string/1)]
      )

    receive do
      {^port, {:data, {:eol, "listening " <> at}}} ->
        [tcp, _udp] = at |> String.split() |> Enum.map(&String.to_integer/1)
        put.(~c"ours", tcp)
    after
      5000 -> raise "no bridge"
    end

    Process.put({:bridge_port, name}, port)
  end

  defp kill_bridge(name), do: kill(Process.get({:bridge_port, name}))

  defp identity(dir) do
    {pub, seed} = :crypto.generate_key(:eddsa, :ed25519)
    keys = Path.join(dir, "keys")
    File.mkdir_p!(keys)
    for d <- [dir, keys], do: File.chmod!(d, 0o700)

    for {file, data} <- [{"node.key", seed}, {"node.pub", pub}] do
      File.write!(Path.join(keys, file), data)
      File.chmod!(Path.join(keys, file), 0o600)
    end
  end

  defp free_port do
    {:ok, socket} = :gen_udp.open(0, ip: {127, 0, 0, 1})
    {:ok, port} = :inet.port(socket)
    :gen_udp.close(socket)
    port
  end

  defp env, do: [{"XDG_RUNTIME_DIR", :persistent_term.get(:dir)}]

  defp peernet(args), do: peernet_at(args)

  defp peernet_at(args, data \\ nil) do
    data = data || ["-d", Path.join(:persistent_term.get(:dir), "ours")]
    System.cmd(:persistent_term.get(:tools).peernet, args ++ data, env: env(), stderr_to_stdout: true)
  end

  defp start_ours(options \\ []) do
    dir = :persistent_term.get(:dir)
    ports = Process.get(:ports)
    cookie = Path.join(dir, "cookie")
    File.write!(cookie, "monster\n")
    File.chmod!(cookie, 0o600)

    args =
      ~w(run --json --visible --discovery none --listen 127.0.0.1:0 --echo) ++
        ["--barrel", "#{@ours}:#{ports.ours}", "--barrel-listen", "127.0.0.1"] ++
        ["--cookie-file", cookie, "-d", Path.join(dir, "ours")] ++
        for(n <- [:one, :two], o <- ["--node", "#{n}@127.0.0.1=127.0.0.1:#{ports[n]}"], do: o) ++
        for(n <- [:one, :two], o <- ["--allow", "echo=#{n}@127.0.0.1"], do: o) ++
        for({f, n} <- [{":led.on/1", :two}, {":led.off/0", :one}],
          o <- ["--export", "#{f}=/bin/true", "--allow", "#{f}=#{n}@127.0.0.1"], do: o) ++ options

    port =
      Port.open(
        {:spawn_executable, :persistent_term.get(:tools).peernet},
        [:binary, :exit_status, line: 10_000, args: args, env: charlists(env())]
      )

    receive do
      {^port, {:data, {:eol, line}}} -> (line =~ ~s("event":"ready") && port) || raise line
    after
      5000 -> raise "no node of ours"
    end
  end

  defp charlists(env), do: for({k, v} <- env, do: {to_charlist(k), to_charlist(v)})

  defp stop(port), do: signal(port, "TERM")
  defp kill(port), do: signal(port, "KILL")

  # Until it has ended: what it held, as the lock of its data, is free then.
  defp signal(port, name) do
    {:os_pid, pid} = Port.info(port, :os_pid)
    System.cmd("kill", ["-#{name}", "#{pid}"])

    receive do
      {^port, {:exit_status, _}} -> true
    after
      @patience -> raise "it does not end"
    end
  end

  # ---- asking ----

  defp on(two, m, f, a), do: :peer.call(two, m, f, a, @patience)

  # Here or at the other node, and not for ever.
  defp within(nil, m, f, a) do
    task = Task.async(fn -> apply(m, f, a) end)
    Task.yield(task, @patience) || Task.shutdown(task, :brutal_kill) || :nothing_for_10_s
  end

  defp within(two, m, f, a), do: within(nil, __MODULE__, :try_on, [two, m, f, a])
  def try_on(two, m, f, a), do: on(two, m, f, a)

  defp disconnect_all(two) do
    Node.disconnect(@ours)
    on(two, :erlang, :disconnect_node, [@ours])
  end

  defp eventually(check, left \\ @patience) do
    case check.() do
      true -> true
      wrong when left <= 0 -> wrong
      _ -> Process.sleep(50) && eventually(check, left - 50)
    end
  end

  defp catch_exit(f) do
    f.()
  catch
    :exit, {reason, _} -> reason
  end

  defp same(got, got), do: true
  defp same(got, wanted), do: "got #{inspect(got)}, wanted #{inspect(wanted)}"
end

ClusterTest.main(System.argv(), epmd)
