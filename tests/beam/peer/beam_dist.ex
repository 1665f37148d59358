# SPDX-License-Identifier: Apache-2.0
defmodule Peer.BeamDist do
  @moduledoc """
  The `beam_admin` handle (docs/PROTOCOL.md, section 4.4). A VM that has not
  loaded this module does not know its atoms: a call to `beam_admin` then closes
  the link. So nothing else in the peer may name them.
  """

  def name, do: :beam_admin

  def handle(_caller, {:rpc, mod, fun, args})
      when is_atom(mod) and is_atom(fun) and is_list(args) do
    apply(mod, fun, args)
  end

  def handle(_caller, {:cast, mod, fun, args})
      when is_atom(mod) and is_atom(fun) and is_list(args) do
    spawn(fn -> apply(mod, fun, args) end)
    :ok
  end

  def handle(_caller, _other), do: {:error, :unknown_beam_dist_op}

  def rpc(mod, fun, args), do: {:rpc, mod, fun, args}
  def cast(mod, fun, args), do: {:cast, mod, fun, args}
end
