# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Control do
  @moduledoc """
  Commands on standard input, one answer line each: `ok ...` or `error ...`.
  tests/beam/ctool.c answers the same ones for the C library, so that a test can
  use either.

      open DIR PORT [name=value...]  ok KEY PORT
      restart                        stop; start again from the same directory
      close | alive | key | port | quit
      expose KIND [NAME]             kinds: see kind/3
      revoke NAME
      pair KEY [LABEL] | unpair KEY | peers
      dial KEY HOST PORT             starts; `up` waits
      announce KEY HOST PORT         as if discovery had heard it
      up KEY MS | down KEY MS        waits for a link, or for its end
      links                          ok KEY...
      call KEY NAME MS TERM          ok TERM | error REASON
      send KEY NAME TERM
      rpc KEY MS HANDLE {M,F,A} | cast KEY HANDLE {M,F,A}   HANDLE - : default
      echo KEY MS N                  N bytes there and back: ok same
      blob KEY NAME N                sends a binary of N bytes
      burst KEY N                    N times a send, then a call: ok MEDIAN MAX (us)
      start TAG COMMAND | join TAG MS   a command beside the others
      seen                           what `sink` was given: ok [TERM, ...]
      notes                          what happened to links: ok [TERM, ...]

  KEY is 64 hexadecimal digits, TERM is Elixir text to the end of the line.
  """

  @print [
    limit: :infinity,
    printable_limit: :infinity,
    structs: false,
    charlists: :as_lists,
    width: :infinity
  ]

  def main(backend) do
    :logger.set_primary_config(:level, :none)
    :io.setopts(:standard_io, encoding: :latin1)
    :ets.new(:control, [:public, :named_table, :ordered_set])
    put(:backend, backend)
    loop()
  end

  defp loop do
    case IO.binread(:stdio, :line) do
      line when is_binary(line) ->
        line |> String.trim_trailing("\n") |> run() |> say()
        loop()

      _eof ->
        System.halt(0)
    end
  end

  defp say(answer), do: IO.binwrite(:stdio, [line(answer), "\n"])

  defp line(:ok), do: "ok"
  defp line({:ok, text}), do: "ok " <> text
  defp line({:error, text}) when is_binary(text), do: "error " <> text
  defp line({:error, reason}), do: "error " <> show(reason)

  defp run(line) do
    [command | rest] = String.split(line, " ", parts: 2)
    command(command, List.first(rest) || "")
  rescue
    exception -> {:error, "failed: " <> one_line(Exception.message(exception))}
  catch
    :exit, reason -> {:error, "exit: " <> one_line(inspect(reason))}
  end

  # ---- life ----

  defp command("open", rest) do
    [dir, port | settings] = String.split(rest)
    opts = %{dir: dir, port: String.to_integer(port), discovery_port: 4040, announce_ms: 5000}
    open(Enum.reduce(settings, opts, &setting/2))
  end

  defp command("restart", _) do
    backend().close(node_())
    open(%{get(:opts) | port: get(:port)})
    for {kind, name} <- get(:exposed, []), do: expose(kind, name)
    {:ok, "#{hex(backend().key(node_()))} #{get(:port)}"}
  end

  defp command("close", _), do: backend().close(node_())
  defp command("alive", _), do: {:ok, to_string(backend().alive?(node_()))}
  defp command("key", _), do: {:ok, hex(backend().key(node_()))}
  defp command("port", _), do: {:ok, to_string(get(:port))}
  defp command("quit", _), do: System.halt(0)

  # ---- handles ----

  defp command("expose", rest) do
    [kind | name] = String.split(rest)
    name = List.first(name) || kind
    put(:exposed, get(:exposed, []) ++ [{kind, name}])
    expose(kind, name)
  end

  defp command("revoke", name), do: backend().revoke(node_(), String.to_atom(name))

  # ---- peers ----

  defp command("pair", rest) do
    [key | label] = String.split(rest, " ", parts: 2)
    backend().pair(node_(), unhex(key), List.first(label))
  end

  defp command("unpair", key), do: backend().unpair(node_(), unhex(key))

  defp command("peers", _) do
    {:ok, show(for {key, label} <- backend().peers(node_()), do: {hex(key), label})}
  end

  defp command("dial", rest) do
    [key, host, port] = String.split(rest)
    backend().dial(node_(), unhex(key), host, String.to_integer(port))
  end

  defp command("announce", rest) do
    [key, host, port] = String.split(rest)
    backend().announced(node_(), unhex(key), host, String.to_integer(port))
  end

  defp command("up", rest), do: wait(rest, true)
  defp command("down", rest), do: wait(rest, false)

  defp command("links", _) do
    {:ok, node_() |> backend().links() |> Enum.map(&hex/1) |> Enum.sort() |> Enum.join(" ")}
  end

  # ---- messages ----

  defp command("call", rest) do
    [key, name, ms, term] = String.split(rest, " ", parts: 4)

    unhex(key)
    |> call(String.to_atom(name), term(term), String.to_integer(ms))
    |> result()
  end

  defp command("send", rest) do
    [key, name, term] = String.split(rest, " ", parts: 3)
    backend().send_message(node_(), unhex(key), String.to_atom(name), term(term))
  end

  defp command("rpc", rest) do
    [key, ms, handle, mfa] = String.split(rest, " ", parts: 4)

    node_()
    |> backend().dist_call(unhex(key), handle(handle), term(mfa), String.to_integer(ms))
    |> result()
  end

  defp command("cast", rest) do
    [key, handle, mfa] = String.split(rest, " ", parts: 3)
    backend().dist_send(node_(), unhex(key), handle(handle), term(mfa))
  end

  defp command("echo", rest) do
    [key, ms, n] = String.split(rest)
    data = :crypto.strong_rand_bytes(String.to_integer(n))

    case call(unhex(key), :echo, data, String.to_integer(ms)) do
      {:ok, ^data} -> {:ok, "same"}
      {:ok, _} -> {:error, "differs"}
      error -> result(error)
    end
  end

  defp command("blob", rest) do
    [key, name, n] = String.split(rest)
    data = :binary.copy("b", String.to_integer(n))
    backend().send_message(node_(), unhex(key), String.to_atom(name), data)
  end

  defp command("burst", rest) do
    [key, n] = String.split(rest)
    key = unhex(key)

    times =
      for i <- 1..String.to_integer(n) do
        start = now_us()
        backend().send_message(node_(), key, :sink, i)
        {:ok, ^i} = call(key, :echo, i, 5000)
        now_us() - start
      end

    times = Enum.sort(times)
    {:ok, "#{Enum.at(times, div(length(times), 2))} #{List.last(times)}"}
  end

  defp command("start", rest) do
    [tag, line] = String.split(rest, " ", parts: 2)
    put({:task, tag}, Task.async(fn -> run(line) end))
    :ok
  end

  defp command("join", rest) do
    [tag, ms] = String.split(rest)

    case Task.yield(get({:task, tag}), String.to_integer(ms)) do
      {:ok, answer} -> answer
      nil -> {:error, "still running"}
    end
  end

  defp command("seen", _) do
    seen =
      for {{:seen, _}, term} = entry <- :ets.tab2list(:control),
          :ets.delete_object(:control, entry),
          do: term

    {:ok, show(seen)}
  end

  defp command("notes", _) do
    short = fn key -> if is_binary(key), do: binary_part(hex(key), 0, 8) end
    {:ok, show(for {what, key, why} <- backend().notes(node_()), do: {what, short.(key), why})}
  end

  defp command(other, _), do: {:error, "no such command: #{other}"}

  # ---- helpers ----

  defp open(opts) do
    node = backend().open(opts)
    put(:opts, opts)
    put(:node, node)
    put(:port, backend().port(node))
    {:ok, "#{hex(backend().key(node))} #{get(:port)}"}
  end

  defp setting(text, opts) do
    [name, value] = String.split(text, "=", parts: 2)

    case Integer.parse(value) do
      {number, ""} -> Map.put(opts, String.to_atom(name), number)
      _ -> Map.put(opts, String.to_atom(name), value)
    end
  end

  defp expose("beam_dist", name) do
    {default, fun} = backend().dist_handler()
    name = if name == "beam_dist", do: default, else: String.to_atom(name)
    backend().expose(node_(), name, fun, fn _ -> true end)
  end

  defp expose(kind, name) do
    authorize =
      case kind do
        "forbidden" -> fn _ -> false end
        "only:" <> key -> fn caller -> caller == unhex(key) end
        _ -> fn _ -> true end
      end

    fun = fn caller, args -> kind(kind, caller, args) end
    backend().expose(node_(), String.to_atom(name), fun, authorize)
  end

  defp kind("whoami", caller, _), do: caller
  defp kind("add", _, {a, b}), do: a + b
  defp kind("raise", _, text), do: raise(ArgumentError, text)
  defp kind("throw", _, term), do: throw(term)
  defp kind("exit", _, term), do: exit(term)
  defp kind("big", _, n), do: :binary.copy("x", n)

  defp kind("slow", _, ms) do
    Process.sleep(ms)
    :awake
  end

  defp kind("sink", _, data) when is_binary(data) and byte_size(data) > 1000 do
    kind("sink", nil, {byte_size(data)})
  end

  defp kind("sink", _, term) do
    :ets.insert(:control, {{:seen, :erlang.unique_integer([:monotonic])}, term})
    :noted
  end

  defp kind(_echo, _, args), do: args

  defp wait(rest, wanted) do
    [key, ms] = String.split(rest)
    wait(unhex(key), wanted, now_us() + 1000 * String.to_integer(ms))
  end

  defp wait(key, wanted, deadline) do
    cond do
      backend().linked?(node_(), key) == wanted -> :ok
      now_us() > deadline -> {:error, :timeout}
      true -> Process.sleep(5) && wait(key, wanted, deadline)
    end
  end

  defp call(key, name, args, ms), do: backend().call(node_(), key, name, args, ms)

  defp result({:ok, value}), do: {:ok, show(value)}
  defp result({:error, reason}), do: {:error, show(reason)}

  defp handle("-"), do: nil
  defp handle(name), do: String.to_atom(name)

  defp term(text), do: text |> Code.eval_string() |> elem(0)

  defp show(term), do: term |> inspect(@print) |> one_line()
  defp one_line(text), do: String.replace(text, "\n", " ")

  defp hex(key), do: Base.encode16(key, case: :lower)
  defp unhex(text), do: Base.decode16!(text, case: :mixed)
  defp now_us, do: System.monotonic_time(:microsecond)

  defp backend, do: get(:backend)
  defp node_, do: get(:node)
  defp put(key, value), do: :ets.insert(:control, {key, value})

  defp get(key, default \\ nil) do
    case :ets.lookup(:control, key) do
      [{_, value}] -> value
      [] -> default
    end
  end
end
