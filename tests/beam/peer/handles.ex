# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Handles do
  @moduledoc """
  Exposed handles: a table in ETS, read by the connection process that runs the
  handler itself, which is why a slow one delays that link's pongs.
  """

  def new, do: :ets.new(__MODULE__, [:public, read_concurrency: true])

  def expose(table, name, fun, authorize \\ fn _ -> true end)
      when is_atom(name) and is_function(fun, 2) do
    :ets.insert(table, {name, fun, authorize})
    :ok
  end

  def revoke(table, name) do
    :ets.delete(table, name)
    :ok
  end

  def run(table, name, caller, args) do
    case :ets.lookup(table, name) do
      [{_, fun, authorize}] -> guarded(fun, authorize, caller, args)
      [] -> {:error, :no_such_handle}
    end
  end

  defp guarded(fun, authorize, caller, args) do
    if is_function(authorize, 1) and authorize.(caller) == true do
      {:ok, fun.(caller, args)}
    else
      {:error, :forbidden}
    end
  rescue
    exception -> {:error, {:handler_crash, {:error, exception, __STACKTRACE__}}}
  catch
    kind, value when kind in [:throw, :exit] -> {:error, {:handler_crash, {kind, value}}}
  end
end
