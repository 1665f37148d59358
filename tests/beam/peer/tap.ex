# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Tap do
  @moduledoc """
  Test Anything Protocol for the Elixir tests: one line a case, printed as it
  happens; the plan comes last. A run without any case fails.
  """

  def run(fun) do
    :logger.set_primary_config(:level, :none)
    Process.put(:tap, {0, 0})
    fun.()
    {n, failed} = Process.get(:tap)
    IO.puts("1..#{n}")
    System.halt(if n > 0 and failed == 0, do: 0, else: 1)
  end

  @doc "One case: fun returns true or :ok, or says what was wrong, or raises."
  def test(name, fun) do
    case attempt(fun) do
      good when good in [true, :ok] -> line("ok", name, nil)
      {:skip, why} -> line("ok", name, nil, " # SKIP #{why}")
      wrong -> line("not ok", name, wrong)
    end
  end

  @doc "As test/2, with what was got and what was wanted."
  def same(name, got, wanted) do
    test(name, fn -> got == wanted || "got #{cut(got)}, wanted #{cut(wanted)}" end)
  end

  def comment(text), do: text |> String.split("\n") |> Enum.each(&IO.puts("# " <> &1))

  defp attempt(fun) do
    fun.()
  rescue
    exception -> Exception.format(:error, exception, __STACKTRACE__)
  catch
    kind, value -> Exception.format(kind, value, __STACKTRACE__)
  end

  defp line(outcome, name, wrong, mark \\ "") do
    {n, failed} = Process.get(:tap)
    IO.puts("#{outcome} #{n + 1} - #{String.replace(name, "#", "")}#{mark}")
    if wrong, do: comment(if is_binary(wrong), do: wrong, else: cut(wrong))
    Process.put(:tap, {n + 1, if(outcome == "ok", do: failed, else: failed + 1)})
  end

  defp cut(term), do: term |> inspect(limit: 200) |> String.slice(0, 600)
end
