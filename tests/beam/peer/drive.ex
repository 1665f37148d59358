# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Drive do
  @moduledoc """
  Starts nodes as programs of their own and talks to them by the commands of
  `Peer.Control`. A node belongs to the process that started it and ends with
  it: its standard input closes.
  """

  @patience_ms 30_000

  @doc "kind: {:c, ctool} or {:beam, paths, script}."
  def start({:c, ctool}, settings), do: start(ctool, [], settings)

  def start({:beam, paths, script}, settings) do
    load = Enum.flat_map(paths, &["-pa", &1])
    start(System.find_executable("elixir"), load ++ script, settings)
  end

  defp start(program, args, settings) do
    options = [:binary, :exit_status, :use_stdio, line: 1_000_000, args: args]
    port = Port.open({:spawn_executable, program}, options)
    dir = Path.join(System.tmp_dir!(), "pn-#{System.pid()}-#{System.unique_integer([:positive])}")
    Process.put({:dirs, dir}, true)
    Process.put({:port, port}, program)
    node = %{port: port, dir: dir, key: nil, tcp: nil}
    open(node, 0, settings)
  end

  @doc "Opens the node, at any free TCP port unless one is given."
  def open(node, tcp, settings) do
    text = Enum.map_join(settings, "", fn {name, value} -> " #{name}=#{value}" end)
    [key, tcp] = node |> ok("open #{node.dir} #{tcp}#{text}") |> String.split()
    %{node | key: key, tcp: String.to_integer(tcp)}
  end

  def kill(node) do
    {:os_pid, pid} = Port.info(node.port, :os_pid)
    Process.delete({:port, node.port})
    System.cmd("kill", ["-9", to_string(pid)])
    receive(do: ({port, {:exit_status, _}} when port == node.port -> :ok))
  end

  # What a sanitizer has to say at the end is an exit status, too.
  defp end_nodes(group) do
    for {{:port, port}, program} <- Process.get() do
      Port.command(port, "quit\n")

      receive do
        {^port, {:exit_status, 0}} ->
          :ok

        {^port, {:exit_status, n}} ->
          test("#{group}/#{program} ends well", fn -> "status #{n}" end)
      after
        20_000 -> test("#{group}/#{program} ends", fn -> "it is still there" end)
      end
    end
  end

  @doc "Removes what the nodes of this process left on disk."
  def clean do
    for {{:dirs, dir}, true} <- Process.get(), do: File.rm_rf!(dir)
  end

  @doc "{:ok, text} or {:error, text}."
  def ask(node, line, patience_ms \\ @patience_ms) do
    Port.command(node.port, [line, "\n"])

    case answer(node.port, "", patience_ms) do
      "ok" -> {:ok, ""}
      "ok " <> text -> {:ok, text}
      "error " <> text -> {:error, text}
      other -> {:error, "no answer to `#{line}`: #{other}"}
    end
  end

  @doc "Two commands as close together as can be; skew in ms."
  def ask_both({a, line_a}, {b, line_b}, skew) do
    Port.command(a.port, [line_a, "\n"])
    if skew > 0, do: Process.sleep(skew)
    Port.command(b.port, [line_b, "\n"])
    for node <- [a, b], do: answer(node.port, "", @patience_ms)
  end

  @doc "The text of an answer that has to be ok."
  def ok(node, line) do
    case ask(node, line) do
      {:ok, text} -> text
      {:error, text} -> raise "`#{cut(line)}` gave error #{cut(text)}"
    end
  end

  defp answer(port, sofar, patience_ms) do
    receive do
      {^port, {:data, {:noeol, part}}} -> answer(port, sofar <> part, patience_ms)
      {^port, {:data, {:eol, part}}} -> sofar <> part
      {^port, {:exit_status, status}} -> "exit status #{status}"
    after
      patience_ms -> "none within #{patience_ms} ms"
    end
  end

  # ---- what most cases begin with ----

  def pair(a, b) do
    ok(a, "pair #{b.key} peer")
    ok(b, "pair #{a.key} peer")
  end

  @doc "Paired, and linked by a dial of the first."
  def link(from, to) do
    pair(from, to)
    dial(from, to)
  end

  def dial(from, to) do
    ok(from, "dial #{to.key} 127.0.0.1 #{to.tcp}")
    ok(from, "up #{to.key} 5000")
    ok(to, "up #{from.key} 5000")
  end

  # ---- cases of a group, printed when the group is over ----

  @doc "As Peer.Tap.test/2, kept until the group is done."
  def test(name, fun) do
    outcome =
      try do
        fun.()
      rescue
        exception -> Exception.format(:error, exception, __STACKTRACE__)
      catch
        kind, value -> Exception.format(kind, value, __STACKTRACE__)
      end

    Process.put(:cases, [{name, outcome} | Process.get(:cases, [])])
  end

  @doc "Asks and compares the whole answer."
  def expect(name, node, line, wanted) do
    test(name, fn ->
      got = ask(node, line)
      got == wanted || "`#{cut(line)}` gave #{cut(inspect(got))}, not #{cut(inspect(wanted))}"
    end)
  end

  @doc "Asks and compares with a pattern the text of an answer of this kind."
  def expect_like(name, node, line, kind, pattern) do
    test(name, fn ->
      {got, text} = ask(node, line)
      (got == kind and text =~ pattern) || "`#{cut(line)}` gave #{got} #{cut(text)}"
    end)
  end

  @doc "A note like this comes, within five seconds: an event may follow the answer it explains."
  def expect_note(name, node, pattern), do: test(name, fn -> note(node, pattern, "", 50) end)

  defp note(node, pattern, before, tries) do
    {_, more} = ask(node, "notes")
    notes = before <> more

    cond do
      notes =~ pattern ->
        true

      tries == 0 ->
        "`notes` gave #{cut(notes)}"

      true ->
        Process.sleep(100)
        note(node, pattern, notes, tries - 1)
    end
  end

  defp cut(text), do: String.slice(text, 0, 400)

  @doc "Runs groups, some at a time, and reports as one TAP stream."
  def run(groups, at_a_time, at_the_end \\ fn -> :ok end) do
    Peer.Tap.run(fn ->
      groups
      |> Task.async_stream(&group/1,
        max_concurrency: at_a_time,
        timeout: 300_000,
        ordered: true
      )
      |> Enum.each(fn {:ok, cases} ->
        for {name, outcome} <- cases, do: Peer.Tap.test(name, fn -> outcome end)
      end)

      at_the_end.()
    end)
  end

  defp group({name, fun}) do
    started = System.monotonic_time(:millisecond)

    try do
      fun.(name)
    rescue
      exception ->
        text = Exception.format(:error, exception, __STACKTRACE__)
        test(name <> "/ran to its end", fn -> text end)
    end

    end_nodes(name)
    took = System.monotonic_time(:millisecond) - started
    IO.puts("# #{name}: #{took} ms")
    clean()
    Enum.reverse(Process.get(:cases, []))
  end
end
