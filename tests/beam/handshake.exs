# SPDX-License-Identifier: Apache-2.0
#
# Handshakes between ours (hstool) and the BEAM's, in one process each and
# without a socket: random ones of our Noise core must agree on everything, and
# every flip of one bit must be refused by our session and by theirs at the
# same message.
# usage: elixir -pa PEER_EBIN handshake.exs HSTOOL SESSIONS

defmodule HandshakeTest do
  alias Peer.{Handshake, Noise, Tap}

  @zeros <<0::256>>

  def main([hstool, sessions]) do
    Process.put(:tool, Port.open({:spawn_executable, hstool}, [:binary, line: 4096]))

    Tap.run(fn ->
      for role <- [:initiator, :responder] do
        Tap.test("handshake/random/#{sessions} sessions, we are #{role}", fn ->
          agree(role, String.to_integer(sessions))
        end)
      end

      # From here on with a whole session instead of the Noise core alone.
      Process.put(:session, true)

      for role <- [:initiator, :responder] do
        keys = keys(1)
        frames = frames(keys)
        same_bytes(role, keys, frames)

        for {frame, message} <- Enum.zip(frames, 1..3), byte <- 4..(byte_size(frame) - 1) do
          Tap.test("handshake/flip/we are #{role}, M#{message} byte #{byte - 4}", fn ->
            refused = for bit <- 0..7, do: flip(role, keys, message, byte, bit)
            wrong = Enum.reject(refused, &(&1 == :refused))
            wrong == [] || inspect(wrong)
          end)
        end
      end
    end)
  end

  # ---- equal results ----

  defp agree(role, n) do
    wrong = for i <- 1..n, outcome = session(role, keys({role, i})), outcome != :same, do: outcome
    wrong == [] || inspect(hd(wrong))
  end

  defp session(role, keys) do
    {ours, theirs} = open(role, keys)

    with {:done, theirs} <- run(role, ours, theirs, fn _n, frame -> frame end),
         {:ok, text} <- tool("done") do
      [h, peer, sent, received] = String.split(text)
      k = Handshake.keys(theirs)

      wanted = [
        theirs.noise.h,
        theirs.s.public,
        Noise.seal(k.receive, 0, "", @zeros),
        Noise.seal(k.send, 0, "", @zeros)
      ]

      cond do
        theirs.rs != public(keys, role) -> {:peer, theirs.rs}
        [h, peer, sent, received] != Enum.map(wanted, &hex/1) -> {:differs, text}
        true -> :same
      end
    end
  end

  # ---- flips ----

  # Both ends take the same flipped message; theirs must refuse when ours does.
  defp flip(role, keys, message, byte, bit) do
    change = fn
      ^message, <<head::binary-size(byte), b, rest::binary>> ->
        <<head::binary, Bitwise.bxor(b, Bitwise.bsl(1, bit)), rest::binary>>

      _, frame ->
        frame
    end

    {ours, theirs} = open(role, keys)

    case {run(role, ours, theirs, change), beam_only(keys, change)} do
      {{:refused, at}, {:refused, at}} -> :refused
      other -> {:bit, bit, other}
    end
  end

  # Two BEAM ends refuse the same change at the same message.
  defp beam_only(keys, change) do
    i = Handshake.new(:initiator, keys.i_static, keys.i_ephemeral)
    r = Handshake.new(:responder, keys.r_static, keys.r_ephemeral)
    {i, m1} = Handshake.start(i)

    with {:ok, r, m2} <- beam(r, 1, change.(1, m1)),
         {:ok, _i, m3} <- beam(i, 2, change.(2, m2)),
         {:ok, _r, ""} <- beam(r, 3, change.(3, m3)) do
      :authenticated
    end
  end

  # ---- a session ----

  # n counts messages; an initiator writes 1 and 3 and reads 2.
  defp run(:initiator, m1, theirs, change) do
    with {:ok, theirs, m2} <- beam(theirs, 1, change.(1, m1)),
         {:ok, m3} <- ours(2, change.(2, m2)),
         {:ok, theirs, ""} <- beam(theirs, 3, change.(3, m3)) do
      {:done, theirs}
    end
  end

  defp run(:responder, "OK", theirs, change) do
    {theirs, m1} = Handshake.start(theirs)

    with {:ok, m2} <- ours(1, change.(1, m1)),
         {:ok, theirs, m3} <- beam(theirs, 2, change.(2, m2)),
         {:ok, ""} <- ours(3, change.(3, m3)) do
      {:done, theirs}
    end
  end

  # A crash of crypto on a low-order point ends their connection as well.
  defp beam(hs, n, frame) do
    with {:error, _reason, _} <- Handshake.step(hs, frame, fn _ -> true end), do: {:refused, n}
  rescue
    ErlangError -> {:refused, n}
  end

  defp ours(n, frame) do
    case tool("step " <> hex(frame)) do
      {:ok, text} -> {:ok, Base.decode16!(text, case: :lower)}
      {:error, _} -> {:refused, n}
    end
  end

  defp open(:initiator, keys) do
    {:ok, m1} =
      tool("new #{kind("i")} #{hex(keys.i_static.private)} #{hex(keys.i_ephemeral.private)}")

    theirs = Handshake.new(:responder, keys.r_static, keys.r_ephemeral)
    {Base.decode16!(m1, case: :lower), theirs}
  end

  defp open(:responder, keys) do
    {:ok, ok} =
      tool("new #{kind("r")} #{hex(keys.r_static.private)} #{hex(keys.r_ephemeral.private)}")

    {ok, Handshake.new(:initiator, keys.i_static, keys.i_ephemeral)}
  end

  defp kind(role), do: if(Process.get(:session), do: String.upcase(role), else: role)

  # The same four keys each time, drawn from a seed.
  defp keys(seed) do
    [a, b, c, d] = for n <- 1..4, do: Noise.key_pair(:crypto.hash(:sha256, inspect({seed, n})))
    %{i_static: a, i_ephemeral: b, r_static: c, r_ephemeral: d}
  end

  defp public(keys, :initiator), do: keys.i_static.public
  defp public(keys, :responder), do: keys.r_static.public

  # The three frames of an untouched session.
  defp frames(keys) do
    i = Handshake.new(:initiator, keys.i_static, keys.i_ephemeral)
    r = Handshake.new(:responder, keys.r_static, keys.r_ephemeral)
    {i, m1} = Handshake.start(i)
    {:ok, _r, m2} = beam(r, 1, m1)
    {:ok, _i, m3} = beam(i, 2, m2)
    [m1, m2, m3]
  end

  # And our half of them is what we write, so that a flip is all that differs.
  defp same_bytes(role, keys, [m1, m2, m3]) do
    {_, theirs} = open(role, keys)

    Tap.test("handshake/flip/we are #{role}, untouched", fn ->
      written =
        case role do
          :initiator -> [ours(2, m2)]
          :responder -> [ours(1, m1), ours(3, m3)]
        end

      wanted = if role == :initiator, do: [{:ok, m3}], else: [{:ok, m2}, {:ok, ""}]
      (written == wanted and theirs != nil) || inspect(written)
    end)
  end

  defp tool(line) do
    port = Process.get(:tool)
    Port.command(port, line <> "\n")

    receive do
      {^port, {:data, {:eol, "ok" <> text}}} -> {:ok, String.trim(text)}
      {^port, {:data, {:eol, "error " <> text}}} -> {:error, text}
    after
      5000 -> raise "no answer to #{line}"
    end
  end

  defp hex(bytes), do: Base.encode16(bytes, case: :lower)
end

HandshakeTest.main(System.argv())
