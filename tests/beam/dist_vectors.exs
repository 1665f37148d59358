# SPDX-License-Identifier: Apache-2.0
#
# Control messages of Erlang distribution as term_to_binary/2 writes their
# terms, and digests as erlang:md5/1 makes them: tests/vectors/dist.json.
# usage: elixir dist_vectors.exs            prints the file
#        elixir dist_vectors.exs --check F  compares it with F, as one test
# The output is the same in every run and on every OTP from 25 on.

defmodule DistVectors do
  import Bitwise

  @ours ~c"beta@127.0.0.1"
  @theirs ~c"alpha@127.0.0.1"

  def main(["--check", path]) do
    same = File.read!(path) == text()
    IO.puts("#{if same, do: "ok", else: "not ok"} 1 - dist_vectors/as recorded\n1..1")
    System.halt(if same, do: 0, else: 1)
  end

  def main([]), do: IO.write(text())

  defp text do
    signals =
      for s <- signals(), minor <- [1, 2], form <- ["pass", "header"], do: row(s, minor, form)

    unknown = for s <- unknown(), do: row(s, 2, "pass")

    [
      "{\n \"signals\": [\n",
      lines(signals),
      " ],\n \"unknown\": [\n",
      lines(unknown),
      " ],\n \"identifiers\": [\n",
      lines(identifiers()),
      " ],\n \"digests\": [\n",
      lines(digests()),
      " ]\n}\n"
    ]
    |> IO.iodata_to_binary()
  end

  defp lines(rows),
    do: rows |> Enum.map(&["  {", pairs(&1), "}"]) |> Enum.intersperse(",\n") |> then(&[&1, "\n"])

  defp pairs(row) do
    row
    |> Enum.map(fn
      {k, v} when is_integer(v) -> "\"#{k}\": #{v}"
      {k, v} when is_boolean(v) -> "\"#{k}\": #{v}"
      {k, v} -> "\"#{k}\": \"#{v}\""
    end)
    |> Enum.intersperse(", ")
  end

  # ---- processes and references ----

  defp node_atom(name), do: <<119, length(name), List.to_string(name)::binary>>

  defp pid(name, id, serial, creation),
    do:
      :erlang.binary_to_term(
        <<131, 88, node_atom(name)::binary, id::32, serial::32, creation::32>>
      )

  defp ref(name, creation, words) do
    body = for w <- words, into: <<>>, do: <<w::32>>

    :erlang.binary_to_term(
      <<131, 90, length(words)::16, node_atom(name)::binary, creation::32, body::binary>>
    )
  end

  # OTP 27 writes every port so, earlier ones only those of more than 32 bits.
  defp port(name, id, creation),
    do: :erlang.binary_to_term(<<131, 120, node_atom(name)::binary, id::64, creation::32>>)

  # ---- signals: {what, op shown, control tuple, message, fields} ----

  defp signals do
    them = pid(@theirs, 0x58, 3, 0x61626364)
    us = pid(@ours, 7, 1, 0x65666768)
    gl = pid(@theirs, 0x41, 0, 0x61626364)
    ref = ref(@theirs, 0x61626364, [0x0002BEEF, 0x12345678, 0x9ABCDEF0])
    long = ref(@theirs, 0x61626364, [1, 2, 3, 4, 5])
    token = {1, 2, 3, them, 4}
    mfa = {:erlang, :apply, 2}
    reason = {:badarg, [{:m, :f, 1, []}]}
    gen_call = {:"$gen_call", {them, [:alias | ref]}, {:is_auth, :"alpha@127.0.0.1"}}

    everything =
      {1, -1, 1 <<< 70, 1.5, :a, "b", <<5::3>>, [1, 2], [:x | :y], %{k: [them, ref]},
       port(@theirs, 0x900000009, 5), &:erlang.node/1, ~c"text"}

    [
      {"LINK", 1, {1, them, us}, nil, from: them, to: us},
      {"SEND", 2, {2, :"", us}, {:some, everything}, to: us},
      {"SEND pid for unused", 2, {2, them, us}, :hello, to: us},
      {"EXIT", 3, {3, them, us, :normal}, nil, from: them, to: us, reason: :normal},
      {"REG_SEND", 6, {6, them, :"", :net_kernel}, gen_call, from: them, to: :net_kernel},
      {"EXIT2", 8, {8, them, us, reason}, nil, from: them, to: us, reason: reason},
      {"SEND_TT", 2, {12, :"", us, token}, :traced, to: us},
      {"EXIT_TT", 3, {13, them, us, token, :kill}, nil, from: them, to: us, reason: :kill},
      {"REG_SEND_TT", 6, {16, them, :"", :rex, token}, :traced, from: them, to: :rex},
      {"EXIT2_TT", 8, {18, them, us, token, :kill}, nil, from: them, to: us, reason: :kill},
      {"MONITOR_P pid", 19, {19, them, us, ref}, nil, from: them, to: us, ref: ref},
      {"MONITOR_P name", 19, {19, them, :rex, ref}, nil, from: them, to: :rex, ref: ref},
      {"DEMONITOR_P pid", 20, {20, them, us, long}, nil, from: them, to: us, ref: long},
      {"DEMONITOR_P name", 20, {20, them, :rex, ref}, nil, from: them, to: :rex, ref: ref},
      {"MONITOR_P_EXIT pid", 21, {21, us, them, ref, :noproc}, nil,
       from: us, to: them, ref: ref, reason: :noproc},
      {"MONITOR_P_EXIT name", 21, {21, :rex, them, ref, reason}, nil,
       from: :rex, to: them, ref: ref, reason: reason},
      {"SEND_SENDER", 2, {22, them, us}, [them], from: them, to: us},
      {"SEND_SENDER_TT", 2, {23, them, us, token}, [], from: them, to: us},
      {"PAYLOAD_EXIT", 3, {24, them, us}, reason, from: them, to: us, reason: reason},
      {"PAYLOAD_EXIT_TT", 3, {25, them, us, token}, reason, from: them, to: us, reason: reason},
      {"PAYLOAD_EXIT2", 8, {26, them, us}, :shutdown, from: them, to: us, reason: :shutdown},
      {"PAYLOAD_EXIT2_TT", 8, {27, them, us, token}, :shutdown,
       from: them, to: us, reason: :shutdown},
      {"PAYLOAD_MONITOR_P_EXIT", 21, {28, us, them, ref}, reason,
       from: us, to: them, ref: ref, reason: reason},
      {"SPAWN_REQUEST", 29, {29, ref, them, gl, mfa, [:monitor]}, [self_made(), []],
       ref: ref, from: them, leader: gl, mfa: mfa, options: [:monitor]},
      {"SPAWN_REQUEST no options", 29, {29, ref, them, gl, mfa, []}, [],
       ref: ref, from: them, leader: gl, mfa: mfa, options: []},
      {"SPAWN_REQUEST_TT", 29, {30, ref, them, gl, mfa, [], token}, [1],
       ref: ref, from: them, leader: gl, mfa: mfa, options: []},
      {"SPAWN_REPLY", 31, {31, ref, them, 2, us}, nil, ref: ref, to: them, id: 2, reason: us},
      {"SPAWN_REPLY error", 31, {31, ref, them, 0, :notsup}, nil,
       ref: ref, to: them, id: 0, reason: :notsup},
      {"SPAWN_REPLY_TT", 31, {32, ref, them, 3, us, token}, nil,
       ref: ref, to: them, id: 3, reason: us},
      {"ALIAS_SEND", 33, {33, them, ref}, {ref, :ok}, from: them, to: ref},
      {"ALIAS_SEND_TT", 33, {34, them, ref, token}, {ref, :ok}, from: them, to: ref},
      {"UNLINK_ID", 35, {35, 1, them, us}, nil, id: 1, from: them, to: us},
      {"UNLINK_ID greatest", 35, {35, 0xFFFFFFFFFFFFFFFF, them, us}, nil,
       id: 0xFFFFFFFFFFFFFFFF, from: them, to: us},
      {"UNLINK_ID_ACK", 36, {36, 257, us, them}, nil, id: 257, from: us, to: them}
    ]
  end

  defp self_made, do: {:erlang, :node, []}

  # Operations that we do not have: skipped, with and without a message.
  defp unknown do
    them = pid(@theirs, 1, 0, 4)

    [
      {"UNLINK", 0, {4, them, them}, nil, []},
      {"NODE_LINK", 0, {5}, nil, []},
      {"GROUP_LEADER", 0, {7, them, them}, nil, []},
      {"37", 0, {37, them}, :message, []},
      {"2^63", 0, {1 <<< 63, them}, nil, []}
    ]
  end

  defp row({what, op, control, message, fields}, minor, form) do
    payload = if message == nil, do: <<>>, else: term(message, minor)

    data =
      case form do
        "pass" ->
          <<112, 131, term(control, minor)::binary,
            if(message == nil, do: <<>>, else: <<131, payload::binary>>)::binary>>

        "header" ->
          <<131, 68, 0, term(control, minor)::binary, payload::binary>>
      end

    # Our own output is that of a BEAM, in the newer form.
    written =
      minor == 2 and form == "pass" and elem(control, 0) == op and
        (op != 2 or elem(control, 1) == :"")

    [what: "#{what}, #{form}, minor version #{minor}", op: op, written: written] ++
      for(
        {k, v} <- fields,
        do: {k, if(k == :id, do: Integer.to_string(v), else: hex(term(v, minor)))}
      ) ++
      if(message != nil and op not in [3, 8, 21], do: [message: hex(payload)], else: []) ++
      [data: hex(data)]
  end

  # ---- pids and references alone ----

  defp identifiers do
    for {what, term, more} <- [
          {"pid", pid(@ours, 7, 1, 0x65666768),
           [node: List.to_string(@ours), id: 7, serial: 1, creation: 0x65666768]},
          {"pid of them", pid(@theirs, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
           [
             node: List.to_string(@theirs),
             id: 0xFFFFFFFF,
             serial: 0xFFFFFFFF,
             creation: 0xFFFFFFFF
           ]},
          {"reference", ref(@ours, 0x65666768, [1, 2, 3]),
           [node: List.to_string(@ours), words: "1 2 3", creation: 0x65666768]},
          {"reference of 5 words", ref(@ours, 0x65666768, [1, 2, 3, 4, 5]),
           [node: List.to_string(@ours), words: "1 2 3 4 5", creation: 0x65666768]},
          {"port", port(@ours, 0x100000001, 4), [node: List.to_string(@ours), creation: 4]}
        ] do
      [what: what, term: hex(term(term, 2))] ++ more
    end
  end

  defp digests do
    for cookie <- ["monster", "A", String.duplicate("c", 255)],
        c <- [0, 1, 4_294_967_295, 305_419_896] do
      [cookie: cookie, challenge: c, digest: hex(:erlang.md5(cookie <> Integer.to_string(c)))]
    end
  end

  defp term(term, minor) do
    <<131, bytes::binary>> = :erlang.term_to_binary(term, minor_version: minor)
    bytes
  end

  defp hex(bytes), do: Base.encode16(bytes, case: :lower)
end

DistVectors.main(System.argv())
