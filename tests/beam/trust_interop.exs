# SPDX-License-Identifier: Apache-2.0
#
# One data directory that ours (store-tool) and a BEAM use in turn: the BEAM reads our
# files as the originals' own, and ours loads and edits files that the BEAM writes as
# the originals do, and keeps every byte that it did not edit.
# usage: elixir -pa PEER_EBIN trust_interop.exs STORE_TOOL

defmodule TrustInterop do
  alias Peer.{Identity, Tap, Trust}

  @ours_atoms [minor_version: 2]

  def main([tool]) do
    Process.put(:tool, Path.expand(tool))
    Process.put(:work, Path.join(System.tmp_dir!(), "pn-trust-#{System.pid()}"))

    # Tap.run halts: what is to be cleaned up is cleaned up inside.
    Tap.run(fn ->
      try do
        ours_read_by_beam()
        beam_read_by_ours()
        in_turn()
        refused()
        random(40)
      after
        File.rm_rf!(Process.get(:work))
      end
    end)
  end

  # ---- ours writes, the BEAM reads ----

  defp ours_read_by_beam do
    dir = dir("ours")
    [own] = ours!(dir, ["init"])

    Tap.test("trust_interop/identity/ours read by the BEAM", fn ->
      pair = Identity.open!(dir)
      {public, _} = :crypto.generate_key(:ecdh, :x25519, pair.private)
      pair.public == public and own == base32(public)
    end)

    before = DateTime.utc_now()
    ours!(dir, ["pair", base32(key(1))])
    ours!(dir, ["pair", base32(key(2)), "Alice's phone"])
    ours!(dir, ["pair", base32(key(3)), "Zoë ☎"])
    list = read(dir)

    Tap.same(
      "trust_interop/keys and labels, newest first",
      Enum.map(list, &{&1.pubkey, &1.label}),
      [{key(3), "Zoë ☎"}, {key(2), "Alice's phone"}, {key(1), nil}]
    )

    Tap.test("trust_interop/shape of an entry", fn ->
      Enum.all?(list, fn entry ->
        match?(%{added_at: %DateTime{}, label: _, pubkey: <<_::256>>}, entry) and
          map_size(entry) == 3
      end)
    end)

    Tap.test("trust_interop/added_at is a real DateTime", fn ->
      Enum.all?(list, fn %{added_at: at} ->
        {:ok, again, 0} = DateTime.from_iso8601(DateTime.to_iso8601(at))

        again == at and DateTime.compare(at, before) != :lt and
          DateTime.diff(DateTime.utc_now(), at) in 0..60
      end)
    end)

    Tap.test("trust_interop/bytes are those of term_to_binary", fn -> same_bytes(dir, list) end)

    Tap.test("trust_interop/atoms are known to every PeerNet", fn ->
      is_list(:erlang.binary_to_term(File.read!(trust(dir)), [:safe]))
    end)

    for k <- 1..3, do: ours!(dir, ["unpair", base32(key(k))])
    Tap.same("trust_interop/empty list", File.read!(trust(dir)), <<131, 106>>)
  end

  # Up to the order of map pairs, which OTP 26 and later draw by atom number.
  defp same_bytes(dir, list) do
    if otp() <= 25 do
      File.read!(trust(dir)) == :erlang.term_to_binary(list, @ours_atoms)
    else
      byte_size(File.read!(trust(dir))) == byte_size(:erlang.term_to_binary(list, @ours_atoms))
    end
  end

  # ---- the BEAM writes, ours reads ----

  defp beam_read_by_ours do
    dir = dir("theirs")
    pair = Identity.open!(dir)

    Tap.same("trust_interop/identity/the BEAM's read by ours", ours!(dir, ["init"]), [
      base32(pair.public)
    ])

    now = DateTime.utc_now()

    variants = [
      {"as it is", [entry(1, "one", now)]},
      {"no label", [entry(1, nil, now)]},
      {"empty label", [entry(1, "", now)]},
      {"three", [entry(3, "three", now), entry(2, nil, now), entry(1, "one", now)]},
      {"nobody", []},
      {"seconds only", [entry(1, "one", DateTime.truncate(now, :second))]},
      {"milliseconds", [entry(1, "one", DateTime.truncate(now, :millisecond))]},
      {"from unix", [entry(1, "one", DateTime.from_unix!(0))]},
      {"year 1", [entry(1, "one", ~U[0001-01-01 00:00:00.000001Z])]},
      {"year 9999", [entry(1, "one", ~U[9999-12-31 23:59:59.999999Z])]},
      {"leap day", [entry(1, "one", ~U[2028-02-29 12:00:00Z])]},
      {"label not utf8", [entry(1, <<0xFF, 0xFE>>, now)]},
      {"label with a newline", [entry(1, "a\nb", now)]},
      {"label of 3000 bytes", [entry(1, String.duplicate("x", 3000), now)]},
      {"a key more", [Map.put(entry(1, "one", now), :colour, {:rgb, 1, 2.5, [<<3>>]})]},
      {"1000 peers", for(k <- 1000..1, do: entry(k, "peer #{k}", now))}
    ]

    for {name, list} <- variants, options <- [[], [minor_version: 1], @ours_atoms] do
      Tap.test("trust_interop/written by the BEAM/#{name} #{inspect(options)}", fn ->
        bytes = :erlang.term_to_binary(list, options)
        File.write!(trust(dir), bytes)
        got = list(dir)

        # Pairing a key and unpairing it again restores the same bytes.
        ours!(dir, ["pair", base32(key(5000))])
        added = read(dir)
        ours!(dir, ["unpair", base32(key(5000))])

        cond do
          got != Enum.map(list, &{&1.pubkey, shown(&1.label)}) -> "listed as #{inspect(got)}"
          tl(added) != list -> "the others changed: #{inspect(tl(added))}"
          File.read!(trust(dir)) != bytes -> "other bytes than before"
          true -> true
        end
      end)
    end
  end

  # ---- in turn ----

  defp in_turn do
    dir = dir("turns")
    Identity.open!(dir)

    Tap.test("trust_interop/in turn", fn ->
      beam(dir, fn t -> Trust.add(t, key(1), "by the BEAM") end)
      ours!(dir, ["pair", base32(key(2)), "by ours"])

      beam(dir, fn t ->
        true = Trust.trusted?(t, key(1))
        true = Trust.trusted?(t, key(2))
        Trust.add(t, key(3))
        Trust.remove(t, key(1))
      end)

      ours!(dir, ["unpair", base32(key(2))])
      beam(dir, fn t -> Enum.map(Trust.list(t), & &1.pubkey) == [key(3)] end)
    end)

    Tap.test("trust_interop/modes are tightened", fn ->
      File.chmod!(trust(dir), 0o644)
      File.chmod!(Path.join(dir, "identity.keys"), 0o644)
      ours!(dir, ["list"])

      for name <- ["trust.bin", "identity.keys"], uniq: true do
        Bitwise.band(File.stat!(Path.join(dir, name)).mode, 0o777)
      end == [0o600]
    end)
  end

  defp beam(dir, fun) do
    {:ok, pid} = Trust.start_link(dir: dir)
    result = fun.(pid)
    GenServer.stop(pid)
    result
  end

  # ---- refused, and left as it is ----

  defp refused do
    dir = dir("refused")
    Identity.open!(dir)
    now = DateTime.utc_now()
    good = entry(1, "one", now)

    bad = [
      {"compressed",
       :erlang.term_to_binary([entry(1, String.duplicate("x", 500), now)], [:compressed])},
      {"no list", :erlang.term_to_binary(good)},
      {"improper list", :erlang.term_to_binary([good | :x])},
      {"one key twice", :erlang.term_to_binary([good, entry(1, "two", now)])},
      {"short key", :erlang.term_to_binary([%{good | pubkey: <<1::248>>}])},
      {"charlist label", :erlang.term_to_binary([%{good | label: 'one'}])},
      {"naive time", :erlang.term_to_binary([%{good | added_at: DateTime.to_naive(now)}])},
      {"no time", :erlang.term_to_binary([Map.delete(good, :added_at)])},
      {"trailing byte", :erlang.term_to_binary([good]) <> <<0>>},
      {"cut", binary_part(:erlang.term_to_binary([good]), 0, 100)},
      {"empty", ""}
    ]

    for {name, bytes} <- bad,
        verb <- [["list"], ["pair", base32(key(9))], ["unpair", base32(key(1))]] do
      Tap.test("trust_interop/refused/#{name}/#{hd(verb)}", fn ->
        File.write!(trust(dir), bytes)
        {text, status} = ours(dir, verb)

        status == 1 and text =~ "CORRUPT" and text =~ "trust.bin" and
          File.read!(trust(dir)) == bytes
      end)
    end
  end

  # ---- drawn lists ----

  defp random(n) do
    dir = dir("random")
    Identity.open!(dir)
    :rand.seed(:exsss, {1, 2, 3})

    Tap.test("trust_interop/#{n} drawn lists, both ways", fn ->
      Enum.find_value(1..n, true, fn _ ->
        list = for k <- Enum.take_random(1..200, :rand.uniform(20)), do: drawn(k)
        File.write!(trust(dir), :erlang.term_to_binary(list, Enum.random([[], @ours_atoms])))
        ours!(dir, ["pair", base32(key(7777)), "x"])
        [%{label: "x"} | rest] = read(dir)
        wanted = Enum.map(list, &{&1.pubkey, shown(&1.label)})
        if rest != list or tl(list(dir)) != wanted, do: inspect(list), else: nil
      end)
    end)
  end

  defp drawn(k) do
    precision = :rand.uniform(7) - 1
    us = :rand.uniform(1_000_000) - 1
    unix = :rand.uniform(253_402_300_799)
    at = %{DateTime.from_unix!(unix) | microsecond: {us, precision}}
    entry(k, Enum.random([nil, "", "λ#{k}", :crypto.strong_rand_bytes(3)]), at)
  end

  # ---- small things ----

  defp key(n), do: :crypto.hash(:sha256, <<n::32>>)
  defp entry(k, label, at), do: %{pubkey: key(k), label: label, added_at: at}
  defp base32(key), do: Base.encode32(key, padding: false)
  defp trust(dir), do: Path.join(dir, "trust.bin")
  defp read(dir), do: :erlang.binary_to_term(File.read!(trust(dir)))
  defp otp, do: List.to_integer(:erlang.system_info(:otp_release))

  defp dir(name) do
    path = Path.join(Process.get(:work), name)
    File.mkdir_p!(path)
    File.chmod!(path, 0o700)
    path
  end

  defp ours(dir, args), do: System.cmd(Process.get(:tool), [dir | args], stderr_to_stdout: true)

  # Lines of output without the warning that modes were tightened.
  defp ours!(dir, args) do
    {text, status} = ours(dir, args)
    if status != 0, do: raise(text)
    text |> String.split("\n", trim: true) |> Enum.reject(&String.starts_with?(&1, "warning:"))
  end

  # {Key, Label} of each peer, as listed by ours.
  defp list(dir) do
    for line <- tl(ours!(dir, ["list"])) do
      [key, label] = String.split(line, " ", parts: 2)
      {Base.decode32!(key, padding: false), label}
    end
  end

  # A label as ours shows it: what is no UTF-8 or a control character is '?'.
  defp shown(nil), do: ""
  defp shown(label), do: clean(label, "")

  defp clean(_, acc) when byte_size(acc) >= 255, do: acc
  defp clean("", acc), do: acc

  defp clean(<<c::utf8, rest::binary>>, acc) when c >= 32 and c not in 127..159,
    do: clean(rest, acc <> <<c::utf8>>)

  defp clean(<<c::utf8, rest::binary>>, acc) when c < 32 or c in 127..159,
    do: clean(rest, acc <> "?")

  defp clean(<<_, rest::binary>>, acc), do: clean(rest, acc <> "?")
end

TrustInterop.main(System.argv())
