# SPDX-License-Identifier: Apache-2.0
#
# The test peer is checked itself, against everything recorded from the original:
# frames, the handshake, sealed frames and envelopes.
# usage: elixir -pa PEER_EBIN peer_vectors.exs VECTORS_DIR

defmodule PeerVectors do
  import Peer.Tap, only: [same: 3, test: 2]
  alias Peer.{Channel, Envelope, Frame, Handles, Handshake, Json, Noise}

  @print [limit: :infinity, printable_limit: :infinity, charlists: :as_lists, width: :infinity]

  def run(dir) do
    Peer.Tap.run(fn ->
      frames(Json.read_file!(Path.join(dir, "frame.json")))
      handshakes(Json.read_file!(Path.join(dir, "handshake.json")))
      channel(Json.read_file!(Path.join(dir, "channel.json")))
      envelopes("envelope", Json.read_file!(Path.join(dir, "envelope.json")))
      envelopes("envelope27", Json.read_file!(Path.join(dir, "envelope.otp27.json")))
    end)
  end

  # ---- frames ----

  defp frames(v) do
    for c <- v["encode"] do
      got = Frame.wrap(eval(c["term"]))
      same("frame/encode/#{c["name"]}", hex(got), hex(as_here(bin(c["frame_hex"]))))
    end

    for c <- v["encode_raw"] do
      same("frame/encode_raw/#{c["name"]}", hex(Frame.raw(bin(c["body_hex"]))), c["frame_hex"])
    end

    for c <- v["encode_large"] do
      test("frame/encode_large/#{c["name"]}", fn ->
        frame = IO.iodata_to_binary(Frame.wrap(:binary.copy(<<0>>, c["body_len"] - 6)))
        verdict = with {:ok, _, ""} <- Frame.take_term(frame), do: :ok

        byte_size(frame) == c["body_len"] + 4 and inspect(verdict) == c["decodes"] and
          hex(binary_part(frame, 0, 10)) == c["head_hex"]
      end)
    end

    for c <- v["decode"] do
      input = c["input"] |> Enum.map(&part/1) |> IO.iodata_to_binary()
      same("frame/decode/#{c["name"]}", decoded(Frame.take_term(input)), c["decode"])
      same("frame/decode_raw/#{c["name"]}", taken(Frame.take(input)), c["decode_raw"])
    end
  end

  # A frame that OTP 25 wrote as this one would: from 26 on the tag of atoms is
  # another, and a map's keys have another order.
  defp as_here(<<_::32, body::binary>>) do
    term = body |> :erlang.binary_to_term() |> :erlang.term_to_binary()
    <<byte_size(term)::32, term::binary>>
  end

  defp part(%{"hex" => hex}), do: bin(hex)
  defp part(%{"fill" => byte, "count" => n}), do: :binary.copy(<<byte>>, n)

  defp decoded({:ok, term, rest}) do
    text =
      if is_binary(term) and byte_size(term) > 1000,
        do: "<<#{byte_size(term)} bytes>>",
        else: inspect(term, @print)

    %{"result" => "ok", "term" => text, "leftover_len" => byte_size(rest)}
  end

  defp decoded(other), do: refused(other)

  defp taken({:ok, body, rest}) do
    %{"result" => "ok", "body_len" => byte_size(body), "leftover_len" => byte_size(rest)}
  end

  defp taken(other), do: refused(other)

  defp refused(:incomplete), do: %{"result" => "incomplete"}
  defp refused({:error, reason}), do: %{"result" => "error", "error" => inspect(reason)}

  # ---- handshake ----

  defp handshakes(v) do
    same("handshake/protocol name", Noise.new().h, v["protocol_name"])
    for t <- v["transcripts"], do: transcript(t)
    for c <- v["single_step_cases"]["cases"], do: step(c, v)
  end

  defp transcript(t) do
    name = "handshake/#{t["name"]}/"
    yes = fn _ -> true end
    i0 = Handshake.new(:initiator, pair(t["init_static"]), pair(t["init_ephemeral"]))
    r0 = Handshake.new(:responder, pair(t["resp_static"]), pair(t["resp_ephemeral"]))

    same(
      name <> "public keys",
      Enum.map([i0.s, i0.e, r0.s, r0.e], &hex(&1.public)),
      Enum.map(
        ["init_static", "init_ephemeral", "resp_static", "resp_ephemeral"],
        &t[&1]["public_hex"]
      )
    )

    same(name <> "initial", state(i0), t["initial"])

    {i1, m1} = Handshake.start(i0)
    same(name <> "m1", hex(m1), t["m1"]["frame_hex"])
    same(name <> "m1 initiator", state(i1), t["m1"]["initiator_after"])
    same(name <> "m1 initiator trace", trace(i1, i0), t["m1"]["initiator_trace"])

    {:ok, r1, m2} = feed(r0, m1, yes)
    same(name <> "m2", hex(m2), t["m2"]["frame_hex"])
    same(name <> "m2 responder", state(r1), t["m2"]["responder_after"])
    same(name <> "m2 responder trace", trace(r1, r0), t["m2"]["responder_trace"])

    {:ok, i2, m3} = feed(i1, m2, yes)
    same(name <> "m3", hex(m3), t["m3"]["frame_hex"])
    same(name <> "m3 initiator", state(i2), t["m3"]["initiator_after"])
    same(name <> "m3 initiator trace", trace(i2, i1), t["m3"]["initiator_trace"])

    {:ok, r2, ""} = feed(r1, m3, yes)
    same(name <> "m3 responder", state(r2), t["m3"]["responder_after"])
    same(name <> "m3 responder trace", trace(r2, r1), t["m3"]["responder_trace"])

    ki = Handshake.keys(i2)
    kr = Handshake.keys(r2)

    same(
      name <> "final",
      %{
        "handshake_hash_hex" => hex(i2.noise.h),
        "chaining_key_hex" => hex(i2.noise.ck),
        "initiator_tx_key_hex" => hex(ki.send),
        "initiator_rx_key_hex" => hex(ki.receive),
        "responder_tx_key_hex" => hex(kr.send),
        "responder_rx_key_hex" => hex(kr.receive),
        "initiator_learned_peer_hex" => hex(i2.rs),
        "responder_learned_peer_hex" => hex(r2.rs)
      },
      t["final"]
    )

    by_bytes(name, t, m1, m2, m3, {i0, r0})
    Enum.reduce(t["transport"], {Channel.new(ki), Channel.new(kr)}, &transport(name, &1, &2))
  end

  # One byte at a time gives the same.
  defp by_bytes(name, _t, m1, m2, m3, {i0, r0}) do
    test(name <> "byte by byte", fn ->
      yes = fn _ -> true end
      {i, ^m1} = Handshake.start(i0)
      {r, ^m2} = trickle(r0, m1, yes)
      {i, ^m3} = trickle(i, m2, yes)
      {r, ""} = trickle(r, m3, yes)
      i.phase == :authenticated and r.phase == :authenticated
    end)
  end

  defp trickle(hs, bytes, yes) do
    Enum.reduce(:binary.bin_to_list(bytes), {hs, ""}, fn byte, {hs, out} ->
      {:ok, hs, more} = Handshake.step(hs, <<byte>>, yes)
      {hs, out <> more}
    end)
  end

  defp transport(name, c, {i, r}) do
    {from, to} = if c["from"] == "initiator", do: {i, r}, else: {r, i}
    term = eval(c["term"])
    {:ok, from2, frame} = Channel.seal(from, term)
    label = name <> "transport #{c["from"]} #{c["counter"]}"
    {:ok, recorded, ""} = Frame.take(bin(c["frame_hex"]))
    {:ok, to2, opened} = Channel.open(to, recorded)
    same(label, {from.sent, opened}, {c["counter"], term})
    if old_atoms?(), do: same(label <> " bytes", hex(frame), c["frame_hex"])
    if c["from"] == "initiator", do: {from2, to2}, else: {to2, from2}
  end

  defp feed(hs, bytes, trusted?), do: Handshake.step(hs, bytes, trusted?)

  defp state(hs) do
    %{
      "phase" => to_string(hs.phase),
      "h_hex" => hex(hs.noise.h),
      "ck_hex" => hex(hs.noise.ck),
      "k_hex" => hs.noise.k && hex(hs.noise.k),
      "n" => hs.noise.n
    }
  end

  defp trace(hs, before) do
    hs.noise.ops
    |> Enum.drop(-length(before.noise.ops))
    |> Enum.reverse()
    |> Enum.map(fn op -> Map.new(op, &field/1) end)
  end

  defp field({:op, op}), do: {"op", to_string(op)}
  defp field({:n, n}), do: {"n", n}
  defp field({name, nil}), do: {"#{name}_hex", nil}
  defp field({name, bytes}), do: {"#{name}_hex", hex(bytes)}

  defp step(c, v) do
    hs = before(c, v)
    trusted = Enum.map(c["trusted"] || [], &bin/1)

    {result, hs2} =
      try do
        case feed(hs, bin(c["input_hex"]), &(&1 in trusted)) do
          {:ok, hs2, out} ->
            {%{
               "result" => "ok",
               "new_phase" => to_string(hs2.phase),
               "output_hex" => hex(out),
               "inbox_left" => byte_size(hs2.inbox)
             }, hs2}

          {:error, reason, hs2} ->
            {%{"result" => "error", "reason" => to_string(reason)}, hs2}
        end
      rescue
        _ in ErlangError -> {%{"result" => "raises (connection process crashes)"}, nil}
      end

    wanted = Map.take(c, ["result", "reason", "new_phase", "output_hex", "inbox_left"])
    same("handshake/step/#{c["name"]}", result, wanted)

    if hs2 do
      same(
        "handshake/step/#{c["name"]}/operations",
        Enum.map(trace(hs2, hs), & &1["op"]),
        c["ops_before_outcome"]
      )
    end
  end

  # All start from transcript 0 but the impostor's, whose M1 was another.
  defp before(c, v) do
    [t | _] = v["transcripts"]
    impostor? = c["name"] =~ "impostor"

    m1 =
      if impostor?,
        do: v["single_step_cases"]["impostor"]["m1_frame_hex"],
        else: t["m1"]["frame_hex"]

    e =
      if impostor?,
        do: v["single_step_cases"]["impostor"]["resp_ephemeral"],
        else: t["resp_ephemeral"]

    case {c["role"], c["phase"]} do
      {"initiator", "wait_m2"} ->
        {hs, _} =
          Handshake.start(
            Handshake.new(:initiator, pair(t["init_static"]), pair(t["init_ephemeral"]))
          )

        hs

      {"responder", "wait_m1"} ->
        Handshake.new(:responder, pair(t["resp_static"]), pair(e))

      {"responder", "wait_m3"} ->
        hs = Handshake.new(:responder, pair(t["resp_static"]), pair(e))
        {:ok, hs, _} = feed(hs, bin(m1), fn _ -> false end)
        hs
    end
  end

  # ---- channel ----

  defp channel(v) do
    for {c, i} <- Enum.with_index(v["encrypt"]) do
      name = "channel/seal/#{i} #{c["key"]} #{c["counter"]}"
      n = String.to_integer(c["counter"])
      key = bin(v["keys"][c["key"]])
      plain = bin(c["plaintext_hex"])
      same(name, hex(Frame.raw(Noise.seal(key, n, "", plain))), c["frame_hex"])
      same(name <> "/nonce", hex(<<0::32, n::little-64>>), c["nonce_hex"])
      {:ok, body, ""} = Frame.take(bin(c["frame_hex"]))
      term = if c["term"] =~ "...", do: recorded(c), else: eval(c["term"])
      ch = %Channel{receive_key: key, received: n, send_key: key, sent: n}
      {:ok, ch2, got} = Channel.open(ch, body)
      same(name <> "/open", {got, to_string(ch2.received)}, {term, c["next_counter"]})

      if old_atoms?() do
        {:ok, ch3, frame} = Channel.seal(ch, term)

        same(
          name <> "/term",
          {hex(frame), to_string(ch3.sent)},
          {c["frame_hex"], c["next_counter"]}
        )
      end
    end

    for c <- v["exhaustion"], do: exhaustion(c, v["keys"])

    for c <- v["decrypt"] do
      n = String.to_integer(c["receiver_counter"])
      ch = %Channel{receive_key: bin(v["keys"][c["key"]]), received: n}

      got =
        case Channel.open(ch, bin(c["body_hex"])) do
          {:ok, ch, term} -> {"ok", nil, to_string(ch.received), opened(term)}
          {:error, reason} -> {"error", inspect(reason), to_string(n), nil}
        end

      same(
        "channel/open/#{c["name"]}",
        got,
        {c["result"], c["reason"], c["next_counter"], opened_text(c["term"])}
      )
    end
  end

  defp opened(term) when is_tuple(term), do: inspect(term, @print) |> opened_text()
  defp opened(term), do: inspect(term, @print)

  # A long text is shortened in the record.
  defp opened_text(nil), do: nil
  defp opened_text(text), do: text |> String.slice(0, 20)

  # Its text is cut: the bytes say it, the text must agree as far as it goes.
  defp recorded(c) do
    term = :erlang.binary_to_term(bin(c["plaintext_hex"]))
    true = String.starts_with?(inspect(term, @print), String.slice(c["term"], 0, 100))
    term
  end

  defp exhaustion(c, keys) do
    n = String.to_integer(c["counter"])
    body = bin(c["body_hex"])

    for {_, key} <- keys,
        match?({:ok, _}, Noise.open(bin(key), min(n, 0xFFFF_FFFF_FFFF_FFFE), "", body)) or
          n == 0xFFFF_FFFF_FFFF_FFFF do
      key = bin(key)
      ch = %Channel{send_key: key, receive_key: key, sent: n, received: n}

      sealed =
        case Channel.seal(ch, []) do
          {:ok, ch, _} -> "ok, next counter #{ch.sent}"
          error -> inspect(error)
        end

      opened =
        case Noise.open(key, n, "", body) do
          {:ok, _} -> "ok, next counter #{n + 1}"
          error -> inspect(error)
        end

      {sealed, opened}
    end
    |> Enum.uniq()
    |> then(&same("channel/exhaustion/#{n}", &1, [{c["encrypt"], c["decrypt"]}]))
  end

  # ---- envelopes ----

  defp envelopes(prefix, v) do
    # Requests and replies name atoms that the recorded node knew.
    for c <- v["emitted_by_caller"] ++ v["request_reply"], c["term"] || c["request_term"] do
      eval(c["term"] || c["request_term"])
    end

    for c <- v["emitted_by_caller"] do
      term = eval(c["term"])
      same("#{prefix}/emitted/#{c["name"]}/decodes", checked(c["payload_hex"]), {:ok, term})
      exact("#{prefix}/emitted/#{c["name"]}/encodes", term, c["payload_hex"])
    end

    table = table()

    for c <- v["request_reply"] do
      answered(
        "#{prefix}/answer/#{c["name"]}",
        answer(table, c["request_hex"], caller(v)),
        c["reply_hex"]
      )
    end

    for c <- v["request_id_echo"] do
      answered(
        "#{prefix}/id/#{c["id"]}",
        answer(table, c["request_hex"], caller(v)),
        c["reply_hex"]
      )
    end

    for c <- v["ping_pong"]["cases"] do
      answered(
        "#{prefix}/ping/#{byte_size(c["nonce_hex"])}",
        answer(table, c["ping_hex"], "x"),
        c["pong_hex"]
      )
    end

    for c <- v["closes_connection"] do
      eval(c["term"])
      same("#{prefix}/closes/#{c["name"]}", checked(c["payload_hex"]), :error)
    end

    ignored(prefix, table)
  end

  # "the client sent an unknown reply, a send to an unknown handle, a send to a
  # crashing handler and an unsolicited pong: upstream ignored all four"
  defp ignored(prefix, table) do
    for e <- [
          {:reply, 99, {:ok, 1}},
          {:send, :undefined, 1},
          {:send, :crash_raise, "x"},
          {:pong, "x"}
        ] do
      same(
        "#{prefix}/ignored/#{elem(e, 0)} #{inspect(elem(e, 1))}",
        Envelope.answer(e, table, "x"),
        nil
      )
    end
  end

  defp checked(payload) do
    {:ok, term} = Frame.decode(bin(payload))
    Envelope.check(term)
  end

  defp answer(table, request, caller) do
    {:ok, envelope} = checked(request)
    Envelope.answer(envelope, table, caller)
  end

  defp caller(v) do
    [c] = Enum.filter(v["request_reply"], &(&1["name"] == "reply ok caller public key"))
    {:reply, _, {:ok, key}} = :erlang.binary_to_term(bin(c["reply_hex"]))
    key
  end

  # Byte for byte, unless the reply holds what cannot be the same: a stack
  # trace, a pid, a fun.
  defp answered(name, got, reply) do
    recorded = :erlang.binary_to_term(bin(reply))

    case {got, recorded} do
      {{:reply, id, {:error, {:handler_crash, {:error, %kind{}, trace}}}},
       {:reply, id2, {:error, {:handler_crash, {:error, %kind2{}, _}}}}} ->
        same(name, {id, kind, is_list(trace)}, {id2, kind2, true})

      {{:reply, id, {:ok, value}}, {:reply, id2, {:ok, value2}}}
      when is_pid(value2) or is_function(value2) ->
        same(
          name,
          {id, is_pid(value), is_function(value)},
          {id2, is_pid(value2), is_function(value2)}
        )

      _ ->
        exact(name, got, reply)
    end
  end

  # Bytes are compared when both releases spell atoms alike, values otherwise.
  defp exact(name, got, wanted_hex) do
    if atom_tag(wanted_hex) == old_atoms?() do
      same(name, hex(:erlang.term_to_binary(got)), wanted_hex)
    else
      same(name <> " (value)", got, :erlang.binary_to_term(bin(wanted_hex)))
    end
  end

  # Every envelope begins with a tuple of an atom: tag 100 or 119.
  defp atom_tag(<<_::binary-size(6), "64", _::binary>>), do: true
  defp atom_tag(<<_::binary-size(6), "77", _::binary>>), do: false

  defp old_atoms?, do: match?(<<131, 100, _::binary>>, :erlang.term_to_binary(:ok))

  defp table do
    table = Handles.new()
    add = fn name, fun -> Handles.expose(table, name, fun) end
    add.(:echo, fn _, args -> args end)
    add.(:add, fn _, {a, b} -> a + b end)
    add.(:whoami, fn caller, _ -> caller end)
    add.(:a_map, fn _, _ -> %{n: 1, text: "hi"} end)
    add.(:crash_raise, fn _, text -> raise ArgumentError, text end)
    add.(:crash_error, fn _, reason -> :erlang.error(reason) end)
    add.(:crash_throw, fn _, value -> throw(value) end)
    add.(:crash_exit, fn _, value -> exit(value) end)
    add.(:crash_clause, &only_one/2)
    add.(:returns_fun, fn _, _ -> fn -> :x end end)
    add.(:returns_pid, fn _, _ -> self() end)
    add.(Peer.BeamDist.name(), &Peer.BeamDist.handle/2)
    Handles.expose(table, :forbidden, fn _, _ -> :never end, fn _ -> false end)
    Handles.expose(table, :authorize_not_a_fun, fn _, _ -> :never end, :yes)
    table
  end

  defp only_one(_, 1), do: :ok

  # ---- ----

  defp pair(%{"private_hex" => private}), do: Noise.key_pair(bin(private))
  defp eval(text), do: text |> Code.eval_string() |> elem(0)
  defp bin(hex), do: Base.decode16!(hex, case: :lower)
  defp hex(bytes), do: bytes |> IO.iodata_to_binary() |> Base.encode16(case: :lower)
end

[dir] = System.argv()
PeerVectors.run(dir)
