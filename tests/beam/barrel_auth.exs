# SPDX-License-Identifier: Apache-2.0
#
# Barrel's authentication between ours (authtool) and a peer written after
# docs/BARREL-PROTOCOL.md on OTP's own crypto, over a byte pipe, in both roles. The peer
# keeps upstream's order: its responder signs as soon as it is challenged. The test
# first checks that the peer agrees with the recordings of upstream.
# usage: elixir -pa PEER_EBIN barrel_auth.exs AUTHTOOL VECTORS SESSIONS

defmodule BarrelPeer do
  @moduledoc "One end of an attempt; bytes in, bytes out, as upstream does it."

  defstruct [
    :role,
    :name,
    :seed,
    :public,
    :binding,
    :nonce,
    :ts,
    :peer,
    :state,
    in: <<>>,
    skew: 0
  ]

  def new(role, name, seed, binding, more \\ []) do
    {public, _} = :crypto.generate_key(:eddsa, :ed25519, seed)

    struct!(
      %__MODULE__{role: role, name: name, seed: seed, public: public, binding: binding},
      [state: :hello] ++ more
    )
  end

  def hello(p), do: frame(<<1, 2, byte_size(p.name)::16, p.name::binary, p.public::binary>>)
  def frame(message), do: <<byte_size(message)::16, message::binary>>

  def challenge(p) do
    nonce = :crypto.strong_rand_bytes(32)
    ts = System.os_time(:millisecond) + p.skew
    {frame(<<2, nonce::binary, ts::64>>), %{p | nonce: nonce, ts: ts}}
  end

  def signed(nonce, ts, public, binding),
    do: <<nonce::binary, ts::64, public::binary, binding::binary>>

  def sign(p, nonce, ts) do
    :crypto.sign(:eddsa, :none, signed(nonce, ts, p.public, p.binding), [p.seed, :ed25519])
  end

  def good?(p, signature) do
    :crypto.verify(
      :eddsa,
      :none,
      signed(p.nonce, p.ts, elem(p.peer, 1), p.binding),
      signature,
      [elem(p.peer, 1), :ed25519]
    )
  end

  @doc "{bytes to send, peer}; the state ends as :done or {:failed, why}."
  def hear(p, bytes), do: take(%{p | in: p.in <> bytes}, <<>>)

  defp take(%{in: <<n::16, message::binary-size(n), rest::binary>>} = p, out) do
    {more, p} = on(p.state, message, %{p | in: rest})
    take(p, out <> more)
  end

  defp take(p, out), do: {out, p}

  defp on(_, <<5, n::16, reason::binary-size(n)>>, p), do: {<<>>, %{p | state: {:failed, reason}}}

  defp on(:hello, <<1, 2, n::16, name::binary-size(n), key::binary-32>>, p) do
    {challenge, p} = challenge(%{p | peer: {name, key}, state: :challenge})
    if p.role == :responder, do: {hello(p) <> challenge, p}, else: {challenge, p}
  end

  defp on(:challenge, <<2, nonce::binary-32, ts::64>>, p) do
    {frame(<<3, sign(p, nonce, ts)::binary>>), %{p | state: :response}}
  end

  defp on(:response, <<3, signature::binary-64>>, p) do
    case {good?(p, signature), p.role} do
      {false, _} -> {<<>>, %{p | state: {:failed, "signature"}}}
      {true, :responder} -> {frame(<<4>>), %{p | state: :done}}
      {true, :initiator} -> {<<>>, %{p | state: :ok}}
    end
  end

  defp on(:ok, <<4>>, p), do: {<<>>, %{p | state: :done}}
  defp on(state, message, p), do: {<<>>, %{p | state: {:failed, {state, message}}}}
end

defmodule BarrelAuthTest do
  alias Peer.{Json, Tap}

  @binding :crypto.hash(:sha256, "a certificate")
  @ours :crypto.hash(:sha256, "our seed")
  @theirs :crypto.hash(:sha256, "their seed")

  def main([tool, vectors, sessions]) do
    Process.put(:tool, Port.open({:spawn_executable, tool}, [:binary, line: 9000]))

    Tap.run(fn ->
      judge(vectors)

      for role <- [:initiator, :responder] do
        Tap.test("barrel/#{sessions} sessions, we are #{role}", fn ->
          Enum.find_value(1..String.to_integer(sessions), true, fn i -> wrong(role, i) end)
        end)

        refusals(role)
      end

      hostile()
    end)
  end

  # ---- the judge ----

  defp judge(path) do
    vectors = Json.read_file!(path)
    %{"signature" => s} = vectors

    for {row, i} <- Enum.with_index(s["cases"]) do
      p = BarrelPeer.new(:initiator, "x@y", unhex(row["signer_seed"]), unhex(s["binding"]))
      Tap.same("barrel/judge/key #{i}", hex(p.public), row["signer_public"])
      signature = BarrelPeer.sign(p, unhex(row["nonce"]), row["ts"])
      Tap.same("barrel/judge/signature #{i}", hex(signature), row["signature"])
    end

    for {who, %{"seed" => seed, "node" => node}} <- vectors["identities"] do
      [%{"framed" => framed}] = Enum.filter(vectors["encode"], &(&1["what"] == "HELLO #{who}"))
      p = BarrelPeer.new(:initiator, node, unhex(seed), @binding)
      Tap.same("barrel/judge/HELLO #{who}", hex(BarrelPeer.hello(p)), framed)
    end
  end

  # ---- good ones ----

  defp wrong(role, i) do
    :rand.seed(:exsss, {1, 2, i})
    {mode, pin} = Enum.random([{"strict", "equal"}, {"tofu", "equal"}, {"tofu", "absent"}])
    theirs = peer(other(role))
    {ours, theirs} = talk(start(role, mode, pin), theirs, &split/1)
    added = if pin == "absent", do: "1", else: "0"

    wanted = ["done", "none", added, theirs.name, hex(theirs.public)]
    got = [ours.outcome, ours.reason, ours.added, ours.name, ours.key]

    cond do
      got != wanted -> "session #{i}: #{inspect(got)}, wanted #{inspect(wanted)}"
      theirs.state != :done -> "session #{i}: they say #{inspect(theirs.state)}"
      theirs.peer != {name(role), public(@ours)} -> "session #{i}: #{inspect(theirs.peer)}"
      true -> nil
    end
  end

  defp refusals(role) do
    told = fn reason -> if role == :responder, do: {:failed, reason}, else: nil end

    for {mode, pin, reason} <- [
          {"strict", "absent", "untrusted_key"},
          {"strict", "differs", "key_mismatch"},
          {"tofu", "differs", "key_mismatch"}
        ] do
      {ours, theirs} = talk(start(role, mode, pin), peer(other(role)), &[&1])
      Tap.same("barrel/#{role}/#{mode} #{pin}", {ours.outcome, ours.reason}, {"failed", reason})
      heard = if match?({:failed, _}, theirs.state), do: theirs.state
      Tap.same("barrel/#{role}/#{mode} #{pin}, they hear", heard, told.(reason))
    end

    for {skew, good} <- [{50_000, true}, {-50_000, true}, {70_000, false}, {-70_000, false}] do
      {ours, _} = talk(start(role, "strict", "equal"), peer(other(role), skew: skew), &[&1])
      wanted = if good, do: {"done", "none"}, else: {"failed", "peer_ts_skew"}
      Tap.same("barrel/#{role}/skew #{skew} ms", {ours.outcome, ours.reason}, wanted)
    end

    # A relay ends TLS itself: each side sees another certificate.
    relayed = peer(other(role), binding: :crypto.hash(:sha256, "another certificate"))
    {ours, theirs} = talk(start(role, "strict", "equal"), relayed, &[&1])
    Tap.same("barrel/#{role}/relay, we refuse", ours.outcome != "done", true)
    Tap.same("barrel/#{role}/relay, they refuse", theirs.state != :done, true)
  end

  # ---- bad ones ----

  defp hostile do
    them = peer(:initiator)
    old = <<1, 1, byte_size(them.name)::16, them.name::binary, them.public::binary>>

    # Our key in its HELLO, our challenge back: what worked on upstream.
    echo = peer(:initiator, seed: @ours, public: public(@ours))

    for {what, bytes, reason} <- [
          {"version 1", BarrelPeer.frame(old), "bad_message"},
          {"our key", BarrelPeer.hello(echo), "own_key"},
          {"our name", BarrelPeer.hello(%{them | name: name(:responder)}), "own_name"},
          {"OK", BarrelPeer.frame(<<4>>), "unexpected_message"},
          {"nothing", BarrelPeer.frame(<<>>), "bad_message"},
          {"a longer message", <<513::16>>, "message_too_long"}
        ] do
      start(:responder, "tofu", "absent")
      ours = tool("hear #{hex(bytes)}")
      Tap.same("barrel/hostile/#{what}", {ours.outcome, ours.reason}, {"failed", reason})
      Tap.same("barrel/hostile/#{what}, silence", ours.out, <<>>)
    end

    first = start(:responder, "tofu", "absent")
    ours = tool("hear #{hex(BarrelPeer.hello(them))}")
    Tap.same("barrel/hostile/before the echo", {first.out, ours.outcome}, {<<>>, "running"})
    <<n::16, _::binary-size(n), challenge::binary>> = ours.out
    ours = tool("hear #{hex(challenge)}")
    Tap.same("barrel/hostile/our challenge", {ours.reason, ours.out}, {"own_nonce", <<>>})

    start(:responder, "strict", "equal")
    ours = tool("last #{hex(BarrelPeer.hello(them))}")
    Tap.same("barrel/hostile/an early end", ours.reason, "stream_finished")
  end

  # ---- our end ----

  defp start(role, mode, pin) do
    dialled = if role == :initiator, do: name(:responder), else: "-"
    words = [role, mode, pin, hex(@ours), name(role), dialled, hex(@binding)]
    tool("new " <> Enum.join(words, " "))
  end

  defp tool(line) do
    port = Process.get(:tool)
    Port.command(port, line <> "\n")

    receive do
      {^port, {:data, {:eol, text}}} ->
        [outcome, reason, added, out, name, key] = String.split(text)
        out = if out == "-", do: <<>>, else: unhex(out)
        %{outcome: outcome, reason: reason, added: added, out: out, name: name, key: key}
    after
      5000 -> raise "authtool is silent after #{line}"
    end
  end

  # Exchanges messages until neither end has any; pieces cuts them.
  defp talk(ours, theirs, pieces) do
    first = if theirs.role == :initiator, do: BarrelPeer.hello(theirs), else: <<>>
    talk(ours, ours.out, theirs, first, pieces)
  end

  defp talk(ours, <<>>, theirs, <<>>, _pieces), do: {ours, theirs}

  defp talk(ours, out, theirs, said, pieces) do
    {more, theirs} = BarrelPeer.hear(theirs, out)

    {ours, out} =
      Enum.reduce(pieces.(said), {ours, <<>>}, fn
        <<>>, acc ->
          acc

        piece, {_, out} ->
          ours = tool("hear #{hex(piece)}")
          {ours, out <> ours.out}
      end)

    talk(ours, out, theirs, more, pieces)
  end

  defp split(<<>>), do: []

  defp split(bytes) do
    {piece, rest} = String.split_at(hex(bytes), 2 * :rand.uniform(60))
    [unhex(piece) | split(unhex(rest))]
  end

  defp peer(role, more \\ []), do: BarrelPeer.new(role, name(role), @theirs, @binding, more)
  defp name(:initiator), do: "alpha@127.0.0.1"
  defp name(:responder), do: "beta@127.0.0.1"
  defp other(:initiator), do: :responder
  defp other(:responder), do: :initiator
  defp public(seed), do: elem(:crypto.generate_key(:eddsa, :ed25519, seed), 0)
  defp hex(bytes), do: Base.encode16(bytes, case: :lower)
  defp unhex(text), do: Base.decode16!(text, case: :lower)
end

BarrelAuthTest.main(System.argv())
