# SPDX-License-Identifier: Apache-2.0
#
# examples/erlang, along the path that its README names: the commands run as they
# stand there, in a folder of their own, and print what it shows. barrel_p2p is the
# one of facade/, with a bridgetool for its QUIC.
# usage: elixir -pa PEER_EBIN thermometer.exs BRIDGETOOL SERVICE

defmodule Thermometer do
  alias Peer.Tap

  @erl "erl@127.0.0.1"
  @ours "thermo@127.0.0.1"
  @patience 10_000

  def main([bridge, service]) do
    dir = Path.join(System.tmp_dir!(), "pn-thermometer-#{System.pid()}")
    File.mkdir_p!(dir)
    Process.put(:dir, dir)
    Process.put(:bridge, Path.expand(bridge))

    Tap.run(fn ->
      try do
        steps = dir |> lay_out(Path.expand(service)) |> steps()
        keys(steps)
        talk(steps)
      after
        for {{:port, port}, true} <- Process.get(), do: signal(port, "KILL")
        File.rm_rf!(dir)
      end
    end)
  end

  # The folders as the README has them; its own text is the answer.
  defp lay_out(dir, service) do
    here = Path.dirname(__ENV__.file)
    examples = Path.join([here, "..", "..", "examples", "erlang"])
    readme = File.read!(Path.join(examples, "README.md"))
    [_, config] = Regex.run(~r/`erl.config`:\n\n```\n(.*?)^```/ms, readme)
    File.write!(Path.join(dir, "erl.config"), config)
    File.cp!(Path.join(examples, "thermometer.erl"), Path.join(dir, "thermometer.erl"))
    File.ln_s!(service, Path.join(dir, "service"))
    ebin = Path.join(dir, "barrel_p2p/_build/default/lib/barrel_p2p/ebin")
    File.mkdir_p!(ebin)
    sources = Path.wildcard(Path.join([here, "facade", "*.erl"]))
    {_, 0} = System.cmd("erlc", ["-Werror", "-o", ebin | sources])

    File.write!(
      Path.join(ebin, "barrel_p2p.app"),
      "{application, barrel_p2p, [{vsn, \"0.1.0\"}, {mod, {barrel_p2p_dist, []}}, " <>
        "{applications, [kernel, stdlib, crypto]}]}."
    )

    readme
  end

  # {command, lines that it prints} from the first step on.
  defp steps(readme) do
    [_, text] = String.split(readme, "**1. ")

    for [_, block] <- Regex.scan(~r/^```\n(\d?\$ .*?)^```/ms, text),
        [_, command, shown] <-
          Regex.scan(~r/^\d?\$ (.*)\n((?:(?!\d?\$ ).*\n)*)/m, String.replace(block, ~r/\\\n */, "")) do
      {command, String.split(shown, "\n", trim: true)}
    end
  end

  defp step(steps, start), do: Enum.find(steps, fn {c, _} -> String.starts_with?(c, start) end)

  # ---- cases ----

  defp keys(steps) do
    for start <- ["mkdir", "./service thermo"] do
      {command, shown} = step(steps, start)
      Tap.same("thermometer/#{start}", sh(command), {shown, 0})
    end

    {compile, []} = step(steps, "erlc")
    Tap.same("thermometer/erlc", sh(compile), {[], 0})
    {erl, _} = step(steps, "ERL_LIBS")
    put("bridge_port", "0")

    Tap.same(
      "thermometer/before the keys are known it says what to do",
      sh(erl),
      {["'#{@ours}': no link; does it run, and has each the other's key?"], 1}
    )

    copies = for {"cp " <> _ = command, []} <- steps, do: sh(command)
    Tap.same("thermometer/cp", copies, [{[], 0}, {[], 0}])
  end

  defp talk(steps) do
    {command, ["node " <> _ = name, "port " <> _]} = step(steps, "./service thermo thermo@")
    service = start(command)
    Tap.same("thermometer/service/node", line(service), name)
    "port " <> udp = line(service)
    {command, shown} = step(steps, "ERL_LIBS")
    for file <- ["beam_port", "bridge_port"], do: File.rm(path(file))
    erl = start(command)
    put("bridge_port", bridge(udp))

    for wanted <- shown ++ ["reading: 22.0", "reading: 22.0", "for me alone: 22.0"] do
      start = String.trim_trailing(wanted, "...")
      [what | _] = String.split(wanted, ": ")

      Tap.test("thermometer/#{what}", fn ->
        got = line(erl)

        got == wanted or (start != wanted and String.starts_with?(got, start)) or
          early?(got, wanted) || got
      end)
    end

    Tap.same("thermometer/service/set", line(service), "set to 22.0 by #{@erl}")
    Tap.same("thermometer/service/subscriber", line(service), "a subscriber is gone")
    signal(service, "TERM")
    Tap.same("thermometer/service/ends", line(service), {:exit, 0})
    Tap.same("thermometer/told", line(erl), "'#{@ours}' is gone")
    Tap.same("thermometer/ends", line(erl), {:exit, 0})
  end

  # A reading is due each second, so on a slow machine one may go out before it is set.
  defp early?(got, wanted), do: {got, wanted} == {"reading: 21.5", "reading: 22.0"}

  # ---- programs ----

  # The TCP port at which the Erlang node finds ours.
  defp bridge(udp) do
    args = [path("erl"), @erl, wait_for("beam_port"), @ours, udp, free_port()]
    program = {:spawn_executable, Process.get(:bridge)}
    port = open(program, args: Enum.map(args, &to_string/1))
    ["listening", tcp, _] = port |> line() |> String.split()
    tcp
  end

  defp wait_for(file, left \\ @patience) do
    case File.read(path(file)) do
      {:ok, text} -> text
      _ when left > 0 -> Process.sleep(20) && wait_for(file, left - 20)
    end
  end

  defp free_port do
    {:ok, socket} = :gen_udp.open(0, ip: {127, 0, 0, 1})
    {:ok, port} = :inet.port(socket)
    :gen_udp.close(socket)
    port
  end

  defp path(name), do: Path.join(Process.get(:dir), name)

  defp put(name, text) do
    File.write!(path("#{name}.new"), text)
    File.rename!(path("#{name}.new"), path(name))
  end

  defp sh(command) do
    {text, status} = System.cmd("bash", ["-c", command], cd: path(""), stderr_to_stdout: true)
    {String.split(text, "\n", trim: true), status}
  end

  defp start(command) do
    bash = {:spawn_executable, System.find_executable("bash")}
    open(bash, args: ["-c", "exec env #{command}"], cd: path(""))
  end

  defp open(program, options) do
    port = Port.open(program, [:binary, :exit_status, line: 4096] ++ options)
    Process.put({:port, port}, true)
    port
  end

  defp signal(port, name) do
    with {:os_pid, pid} <- Port.info(port, :os_pid) do
      System.cmd("kill", ["-#{name}", "#{pid}"])
    end
  end

  # Its next line, or {:exit, status}. After a time-out or its end there is no further
  # wait.
  defp line(port) do
    patience = if Process.get({:silent, port}), do: 0, else: @patience

    receive do
      {^port, {:data, {:eol, line}}} ->
        line

      {^port, {:exit_status, status}} ->
        Process.put({:silent, port}, true)
        {:exit, status}
    after
      patience ->
        Process.put({:silent, port}, true)
        "nothing for #{patience} ms"
    end
  end
end

Thermometer.main(System.argv())
