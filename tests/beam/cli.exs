# SPDX-License-Identifier: Apache-2.0
#
# The `peernet` program beside an Elixir node: it comes and goes, and the
# node's other links must not suffer for it (wire section 6).
# usage: elixir -pa PEER_EBIN cli.exs --ebin PEER_EBIN --peernet PEERNET
#          [--upstream EBIN]

defmodule CliTest do
  import Peer.Drive

  def main(argv) do
    {opts, []} =
      OptionParser.parse!(argv, strict: [ebin: :string, peernet: :string, upstream: :string])

    :persistent_term.put(:cli, Map.new(opts, fn {name, path} -> {name, Path.expand(path)} end))

    run(
      [
        {"cli/one-shot", &one_shot/1},
        {"cli/run", &running/1},
        {"cli/expose", &expose_program/1}
      ],
      3
    )
  end

  defp arg(name), do: :persistent_term.get(:cli)[name]

  # An Elixir node with a link to another one, which must stay.
  defp theirs do
    bystander = test_peer()
    t = if arg(:upstream), do: upstream(), else: test_peer()
    for kind <- ["echo", "sink", "forbidden", "beam_dist"], do: ok(t, "expose #{kind}")
    link(bystander, t)
    ok(bystander, "notes")
    {t, bystander}
  end

  defp test_peer do
    start({:beam, [arg(:ebin)], ["-e", "Peer.Control.main(Peer.Backend)"]}, [])
  end

  defp upstream do
    script = Path.join(Path.dirname(__ENV__.file), "upstream_adapter.exs")
    start({:beam, [arg(:ebin), arg(:upstream)], [script]}, [])
  end

  defp unharmed(name, t, bystander) do
    expect(name <> "/the bystander's link never ended", bystander, "notes", {:ok, "[]"})
    expect(name <> "/and works", bystander, "call #{t.key} echo 2000 1", {:ok, "1"})
    expect(name <> "/their node lives", t, "alive", {:ok, "true"})
  end

  # ---- the program ----

  defp ours do
    dir =
      Path.join(System.tmp_dir!(), "pn-cli-#{System.pid()}-#{System.unique_integer([:positive])}")

    File.mkdir_p!(dir)
    File.chmod!(dir, 0o700)
    Process.put({:dirs, dir}, true)
    %{dir: dir, env: [{"XDG_RUNTIME_DIR", dir}]}
  end

  # {exit status, standard output and error}
  defp peernet(o, args) do
    options = [env: o.env, stderr_to_stdout: true]
    {text, status} = System.cmd(arg(:peernet), ["-d", Path.join(o.dir, "node") | args], options)
    {status, String.trim(text)}
  end

  defp key(o) do
    {0, text} = peernet(o, ["id", "--json"])
    [base32] = Regex.run(~r/[A-Z2-7]{52}/, text)
    base32 |> Base.decode32!(padding: false) |> Base.encode16(case: :lower)
  end

  defp pair_cli(o, t) do
    ok(t, "pair #{key(o)} cli")
    address = "127.0.0.1:#{t.tcp}"
    {0, _} = peernet(o, ["pair", t.key, "--label", "t", "--address", address])
  end

  defp prints(name, o, args, status, pattern) do
    test(name, fn ->
      {got, text} = peernet(o, args)
      (got == status and text =~ pattern) || "status #{got}: #{text}"
    end)
  end

  # ---- cases ----

  # Each command is a node that comes, asks and leaves: one ending each, and
  # their node bears three within 5 seconds. The third one takes its leave as
  # `peernet` does unless told otherwise, and that outlasts the 5 seconds.
  defp one_shot(g) do
    {t, bystander} = theirs()
    o = ours()
    pair_cli(o, t)
    quick = ["--no-linger", "--discovery", "none", "--listen", "127.0.0.1:0"]
    slow = tl(quick)
    forbidden = ["call", "t", "forbidden", "1"]
    prints(g <> "/forbidden", o, forbidden ++ quick, 1, ~r/forbidden/)
    prints(g <> "/send", o, ["send", "t", "sink", "[17]"] ++ quick, 0, ~r/\A\z/)
    expect(g <> "/sent", t, "seen", {:ok, "[[17]]"})
    prints(g <> "/call", o, ["call", "t", "echo", "{:ok, \"x\"}"] ++ slow, 0, ~r/^\{:ok, "x"\}$/m)
    unharmed(g, t, bystander)
    rpc = ["rpc", "t", "Enum", "sum", "[[1, 2]]"]
    prints(g <> "/rpc", o, rpc ++ quick, 0, ~r/\A3\z/m)
    prints(g <> "/no such peer", o, ["call", "nobody", "echo", "1"] ++ quick, 5, ~r/nobody/)
    unharmed(g <> " again", t, bystander)
  end

  defp running(g) do
    {t, bystander} = theirs()
    o = ours()
    pair_cli(o, t)
    {port, tcp} = start_run(o, ["--echo"])
    ok(t, "announce #{key(o)} 127.0.0.1 #{tcp}")
    expect(g <> "/linked", t, "up #{key(o)} 5000", {:ok, ""})
    expect(g <> "/they call", t, "call #{key(o)} echo 2000 [1]", {:ok, "[1]"})
    prints(g <> "/a call through its link", o, ["call", "t", "echo", "2"], 0, ~r/\A2\z/m)
    prints(g <> "/peers", o, ["peers", "--json"], 0, ~r/"t"/)
    Process.sleep(200)
    {:os_pid, pid} = Port.info(port, :os_pid)
    stop(pid)
    expect(g <> "/SIGTERM ends the link", t, "down #{key(o)} 2000", {:ok, ""})

    test(g <> "/and the program, in good order", fn ->
      receive do
        {^port, {:exit_status, status}} -> status == 0 || "status #{status}"
      after
        12_000 -> "still there"
      end
    end)

    unharmed(g, t, bystander)
  end

  defp expose_program(g) do
    {t, bystander} = theirs()
    o = ours()
    pair_cli(o, t)
    cat = ["--expose", "cat=/bin/cat", "--allow", "cat=t"]
    {port, tcp} = start_run(o, cat ++ ["--expose", "fails=/bin/false", "--allow", "fails=paired"])
    ok(t, "dial #{key(o)} 127.0.0.1 #{tcp}")
    ok(t, "up #{key(o)} 5000")
    call = fn name, term -> "call #{key(o)} #{name} 5000 #{term}" end
    expect(g <> "/a program answers", t, call.("cat", "[1, \"x\"]"), {:ok, "[1, \"x\"]"})
    expect_like(g <> "/it failed", t, call.("fails", "1"), :error, ~r/handler_crash/)
    expect(g <> "/not exposed", t, call.("nil", "1"), {:error, ":no_such_handle"})

    expect(
      g <> "/still linked",
      t,
      "links",
      {:ok, Enum.join(Enum.sort([bystander.key, key(o)]), " ")}
    )

    {:os_pid, pid} = Port.info(port, :os_pid)
    stop(pid)
  end

  defp stop(pid), do: System.cmd("kill", ["-TERM", to_string(pid)], stderr_to_stdout: true)

  # Its port is in the first event it prints.
  defp start_run(o, args) do
    args =
      ["--json", "-d", Path.join(o.dir, "node"), "run", "--listen", "127.0.0.1:0"] ++
        ["--discovery", "none" | args]

    env = for {name, value} <- o.env, do: {to_charlist(name), to_charlist(value)}
    options = [:binary, :exit_status, :stderr_to_stdout, line: 4096, args: args, env: env]
    port = Port.open({:spawn_executable, arg(:peernet)}, options)
    {:os_pid, pid} = Port.info(port, :os_pid)
    # Also where a case ends early; closing the port would leave it running.
    System.at_exit(fn _ -> stop(pid) end)
    {port, listening(port)}
  end

  defp listening(port) do
    receive do
      {^port, {:data, {:eol, line}}} ->
        case Regex.run(~r/127\.0\.0\.1:([0-9]+)/, line) do
          [_, tcp] -> String.to_integer(tcp)
          nil -> listening(port)
        end

      {^port, {:exit_status, status}} ->
        raise "peernet run ended with status #{status}"
    after
      5000 -> raise "peernet run does not listen"
    end
  end
end

CliTest.main(System.argv())
