# SPDX-License-Identifier: Apache-2.0
#
# The `peernet` program beside an Elixir node: commands connect and leave, and the
# node's other links must stay up (docs/PROTOCOL.md, section 7).
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
        {"cli/expose", &expose_program/1},
        {"cli/doctor", &doctor/1}
      ],
      3
    )
  end

  defp arg(name), do: :persistent_term.get(:cli)[name]

  # An Elixir node with a link to another one, which must stay.
  defp theirs do
    bystander = test_peer()
    t = if arg(:upstream), do: upstream(), else: test_peer()
    for kind <- ~w(echo sink forbidden raise beam_dist), do: ok(t, "expose #{kind}")
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

  # Each command is a node that connects, asks and leaves: one ended connection each,
  # and their node survives three within 5 seconds. The third one leaves by the
  # etiquette, as `peernet` does by default, which takes longer than the 5 seconds.
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
    x = ["call", "t", "echo", "{:ok, \"x\"}"]
    both = ~r/^\{:ok, "x"\}$.*stays open for 6 s|stays open for 6 s.*^\{:ok, "x"\}$/ms
    prints(g <> "/call, and linger", o, x ++ slow, 0, both)
    unharmed(g, t, bystander)
    interrupted(g <> "/an interrupt ends the linger", o, ["call", "t", "echo", "1"] ++ slow)
    rpc = ["rpc", "t", "Enum", "sum", "[[1, 2]]"]
    prints(g <> "/rpc", o, rpc ++ quick, 0, ~r/\A3\z/m)
    prints(g <> "/no such peer", o, ["call", "nobody", "echo", "1"] ++ quick, 5, ~r/nobody/)
    unharmed(g <> " again", t, bystander)
  end

  # 130, not the 0 of one that stayed to the end.
  defp interrupted(name, o, args) do
    {port, pid} = start_command(o, args)

    test(name, fn ->
      with {:ok, _} <- line(port, ~r/stays open/) do
        System.cmd("kill", ["-INT", to_string(pid)], stderr_to_stdout: true)

        receive do
          {^port, {:exit_status, status}} -> status == 130 || "status #{status}"
        after
          12_000 -> "still there"
        end
      end
    end)
  end

  defp running(g) do
    {t, bystander} = theirs()
    o = ours()
    pair_cli(o, t)
    {port, tcp} = start_run(o, ["--echo"])
    ok(t, "announce #{key(o)} 127.0.0.1 #{tcp}")
    expect(g <> "/linked", t, "up #{key(o)} 5000", {:ok, ""})
    expect(g <> "/they call", t, "call #{key(o)} echo 2000 [1]", {:ok, "[1]"})
    refused = ~r/badarg.*a pid, port, reference or fun is not sent back/
    pid = "call #{key(o)} echo 2000 [self()]"
    expect_like(g <> "/a pid is not sent back", t, pid, :error, refused)
    prints(g <> "/a call through its link", o, ["call", "t", "echo", "2"], 0, ~r/\A2\z/m)
    raises = ["call", "t", "raise", "\"bo\\eom\""]
    crash = ~r/^\*\* \(ArgumentError\) bo\\x1Bom\n    \S*control.ex:\d+: \S*kind\/3$/m
    prints(g <> "/a crash, as Elixir prints it", o, raises, 1, crash)
    json = ["--json" | raises]
    prints(g <> "/and as a term", o, json, 1, ~r/"handler_crash".*ArgumentError/)
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

  # One connection each: two, and then a third that their node ends itself.
  defp doctor(g) do
    {t, bystander} = theirs()
    o = ours()
    pair_cli(o, t)
    quick = ["--no-linger", "--discovery", "none", "--listen", "127.0.0.1:0"]
    well = ~r/^ok +paired-there.*^ok +large.*^ok +grant +echo answers$/ms
    prints(g <> "/all is well", o, ["doctor", "t", "--handle", "echo"] ++ quick, 0, well)
    raises = ~r/^warning grant +raise may be used, and answers nil with an error: \*\* \(/m
    prints(g <> "/a handle raises", o, ["doctor", "t", "--handle", "raise"] ++ quick, 0, raises)
    unharmed(g, t, bystander)
    # The third ends their link; four endings within five seconds would be too many.
    Process.sleep(6_000)
    unknown = ["--json", "doctor", "t", "--handle", "a_name_that_nobody_has"]
    verdict = ~r/"step":"grant","result":"failed".*"verdict":"no-such-handle"/
    prints(g <> "/an atom that they have never seen", o, unknown ++ quick, 1, verdict)
    unharmed(g <> " again", t, bystander)
  end

  defp stop(pid), do: System.cmd("kill", ["-TERM", to_string(pid)], stderr_to_stdout: true)

  # Its port is in the first event it prints.
  defp start_run(o, args) do
    run = ["--json", "run", "--listen", "127.0.0.1:0", "--discovery", "none" | args]
    {port, pid} = start_command(o, run)
    # Also where a case ends early; closing the port would leave it running.
    System.at_exit(fn _ -> stop(pid) end)
    {port, listening(port)}
  end

  defp start_command(o, args) do
    args = ["-d", Path.join(o.dir, "node") | args]
    env = for {name, value} <- o.env, do: {to_charlist(name), to_charlist(value)}
    options = [:binary, :exit_status, :stderr_to_stdout, line: 4096, args: args, env: env]
    port = Port.open({:spawn_executable, arg(:peernet)}, options)
    {:os_pid, pid} = Port.info(port, :os_pid)
    {port, pid}
  end

  # The next line that fits.
  defp line(port, pattern) do
    receive do
      {^port, {:data, {:eol, line}}} ->
        if line =~ pattern, do: {:ok, line}, else: line(port, pattern)

      {^port, {:exit_status, status}} ->
        "ended with status #{status}"
    after
      12_000 -> "no line like #{inspect(pattern)}"
    end
  end

  defp listening(port) do
    case line(port, ~r/127\.0\.0\.1:([0-9]+)/) do
      {:ok, line} ->
        [_, tcp] = Regex.run(~r/127\.0\.0\.1:([0-9]+)/, line)
        String.to_integer(tcp)

      why ->
        raise "peernet run does not listen: #{why}"
    end
  end
end

CliTest.main(System.argv())
