# SPDX-License-Identifier: Apache-2.0
# Our codec against the BEAM's, both ways, and against inspect. Arguments: the
# driver program, and how many terms or strings of bytes each part takes.
defmodule Codec.Driver do
  @moduledoc "The C codec behind a port: one answer for each request."

  def start(path), do: Port.open({:spawn_executable, path}, [:binary, :exit_status, packet: 4])

  def ask(port, request) do
    Port.command(port, request)

    receive do
      {^port, {:data, <<"k", rest::binary>>}} -> {:ok, rest}
      {^port, {:data, <<"e", why::binary>>}} -> {:error, why}
      {^port, {:exit_status, s}} -> raise "the driver ended with status #{s}"
    after
      30_000 -> raise "the driver is silent"
    end
  end

  def random(port, seed), do: port |> ask(<<"g", seed::64>>) |> split()
  def decode(port, bytes), do: port |> ask([<<"d">>, bytes]) |> split()
  def text(port, text), do: ask(port, [<<"t">>, text])

  defp split({:ok, <<n::32, bytes::binary-size(n), text::binary>>}), do: {:ok, bytes, text}
  defp split(error), do: error
end

defmodule Codec.Random do
  @moduledoc "Random terms of the BEAM's own making; the seed is set before."

  def term(depth \\ 0)
  def term(depth) when depth > 5, do: scalar()

  def term(depth) do
    case :rand.uniform(12) do
      n when n <= 6 -> scalar()
      7 -> for _ <- count(depth), do: term(depth + 1)
      8 -> for _ <- count(depth), do: {atom(), term(depth + 1)}
      9 -> improper(depth)
      10 -> List.to_tuple(for _ <- count(depth), do: term(depth + 1))
      11 -> for _ <- count(depth), into: %{}, do: {atom(), term(depth + 1)}
      12 -> for _ <- count(depth), into: %{}, do: {term(depth + 2), term(depth + 1)}
    end
  end

  defp count(depth) do
    n = if depth < 2 and :rand.uniform(300) == 1, do: 300, else: 4
    Enum.take(1..300, :rand.uniform(n) - 1)
  end

  defp improper(depth) do
    Enum.reduce(count(depth), term(depth + 1), fn _, tail -> [term(depth + 1) | tail] end)
  end

  defp scalar do
    case :rand.uniform(8) do
      n when n <= 2 -> integer()
      3 -> float()
      n when n <= 5 -> atom()
      6 -> :rand.bytes(:rand.uniform(40) - 1)
      7 -> string()
      8 -> bits()
    end
  end

  defp integer do
    case :rand.uniform(4) do
      1 -> :rand.uniform(600) - 300
      2 -> Integer.pow(2, :rand.uniform(80) - 1) * sign() + :rand.uniform(3) - 2
      3 -> :rand.uniform(1_000_000_000_000_000_000_000) * sign()
      4 -> Integer.pow(256, :rand.uniform(30) * :rand.uniform(16)) * sign() + :rand.uniform(9)
    end
  end

  defp sign, do: Enum.random([1, -1])

  defp float do
    case :rand.uniform(5) do
      1 -> (:rand.uniform(20_000) - 10_000) / 100
      2 -> :rand.uniform() * sign()
      3 -> :math.pow(2, :rand.uniform(2046) - 1023) * sign()
      4 -> :rand.uniform(100_000) * :math.pow(10, :rand.uniform(40) - 20)
      5 -> any_float()
    end
  end

  defp any_float do
    case :rand.bytes(8) do
      <<f::float>> -> f
      _ -> any_float()
    end
  end

  @names ~w(ok error true false nil undefined hello a_b Foo a? b! c@d + - .. ..// <<>> {} %{} & => ::
            Elixir Elixir.Enum Elixir.A.B Elixir.a Elixir.Elixir Elixir.Elixir.X fn end not 1a é ünï
            αβγ жук 漢字 日本語 漢a aж αж a\u0301 _é É Éa µ a☎ ☎ שלום) ++
           [
             "",
             "hello world",
             "a\"b",
             "a\\b",
             "a\#{b",
             "\n",
             "\0",
             "\d",
             "\u0080",
             "\ufffe",
             "a b"
           ]

  def atom do
    case :rand.uniform(20) do
      1 -> string() |> String.to_charlist() |> Enum.take(255) |> List.to_atom()
      n when n <= 5 -> :"key#{:rand.uniform(1000)}"
      _ -> @names |> Enum.random() |> String.to_atom()
    end
  end

  @chars Enum.concat([
           Enum.to_list(?a..?z),
           Enum.to_list(0..127),
           [0x80, 0x9F, 0xA0, 0xE9, 0x301, 0x3B1, 0x436, 0x5D0, 0x3042, 0x6F22, 0xAC00],
           [0x200B, 0x202A, 0x202E, 0x2066, 0x260E, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF],
           [0x10000, 0x1F600, 0x1FFFE, 0x10FFFF]
         ])

  def string do
    n = if :rand.uniform(30) == 1, do: 300, else: 10
    for _ <- Enum.take(1..300, :rand.uniform(n) - 1), into: "", do: <<Enum.random(@chars)::utf8>>
  end

  defp bits do
    n = :rand.uniform(60)
    <<b::bitstring-size(n), _::bitstring>> = :rand.bytes(8)
    b
  end
end

defmodule Codec.Bytes do
  @moduledoc "Strings of bytes that are nearly terms: grown by the grammar, and damaged."

  @node <<119, 3, "a@b">>

  def any do
    bytes = if :rand.uniform(3) == 1, do: grown(), else: encoded()
    Enum.reduce(damage_count(), bytes, fn _, b -> damage(b) end)
  end

  defp damage_count, do: Enum.take(1..3, :rand.uniform(4) - 1)

  defp encoded do
    options = Enum.random([[], [minor_version: 2], [minor_version: 1]])
    :erlang.term_to_binary(Codec.Random.term(), options)
  end

  def grown, do: IO.iodata_to_binary([131, grow(0)])

  # Every tag, canonical or not, with counts that fit more often than not.
  defp grow(depth) when depth > 4, do: leaf(:rand.uniform(14))

  defp grow(depth) do
    case :rand.uniform(22) do
      n when n <= 14 -> leaf(n)
      15 -> counted(<<104>>, 8, 0, depth)
      16 -> counted(<<105>>, 32, 0, depth)
      17 -> [counted(<<108>>, 32, 0, depth), tail(depth)]
      18 -> counted(<<116>>, 32, 1, depth)
      19 -> opaque(:rand.uniform(9))
      20 -> fun(depth)
      21 -> [<<107, 0, 3>>, :rand.bytes(3)]
      22 -> [<<:rand.uniform(256) - 1>>, :rand.bytes(:rand.uniform(6))]
    end
  end

  defp tail(depth), do: if(:rand.uniform(3) == 1, do: grow(depth + 1), else: 106)

  defp counted(tag, bits, doubled, depth) do
    n = :rand.uniform(4) - 1
    said = if :rand.uniform(30) == 1, do: n + :rand.uniform(3) - 2, else: n
    elements = for _ <- Enum.take(1..8, n * (1 + doubled)), do: grow(depth + 1)
    [tag, <<max(said, 0)::size(bits)>>, elements]
  end

  defp leaf(n) do
    case n do
      1 ->
        <<97, :rand.uniform(256) - 1>>

      2 ->
        [98, :rand.bytes(4)]

      3 ->
        with k <- :rand.uniform(12) - 1, do: [<<110, k, Enum.random([0, 1, 7])>>, :rand.bytes(k)]

      4 ->
        with k <- :rand.uniform(12) - 1,
             do: [<<111, k::32, Enum.random([0, 1, 255])>>, :rand.bytes(k)]

      5 ->
        [<<70>>, :rand.bytes(8)]

      6 ->
        [<<70, Enum.random([0x7F, 0xFF]), Enum.random([0xEF, 0xF0, 0xF8])>>, :rand.bytes(6)]

      7 ->
        name(Enum.random([100, 118]), 16)

      8 ->
        name(Enum.random([115, 119]), 8)

      9 ->
        106

      10 ->
        with k <- :rand.uniform(6) - 1, do: [<<109, k::32>>, :rand.bytes(k)]

      11 ->
        with k <- :rand.uniform(3) - 1, do: [<<77, k::32, :rand.uniform(10) - 1>>, :rand.bytes(k)]

      12 ->
        <<77, 1::32, 3, Enum.random([0xA0, 0xA1, 0xFF])>>

      13 ->
        [<<107, 0, 2>>, :rand.bytes(2)]

      14 ->
        <<99, "1.50000000000000000000e+00", 0, 0, 0, 0, 0>>
    end
  end

  # Names from a small set, so that the VM is not filled with atoms.
  defp name(tag, bits) do
    name =
      Enum.random([
        "ok",
        "",
        "a",
        "é",
        "\xE9",
        "\xC3",
        "\xED\xA0\x80",
        "k",
        "node",
        "\xF0\x9F\x98\x80"
      ])

    [tag, <<byte_size(name)::size(bits)>>, name]
  end

  defp opaque(n) do
    creation = Enum.random([0, 1, 3, 4, 255])

    case n do
      1 ->
        [<<88>>, @node, <<1::32, 2::32, creation::32>>]

      2 ->
        [<<103>>, @node, <<1::32, 2::32, creation>>]

      3 ->
        [<<89>>, @node, <<1::32, creation::32>>]

      4 ->
        [<<102>>, @node, <<1::32, creation>>]

      5 ->
        [<<120>>, @node, <<1::64, creation::32>>]

      6 ->
        with k <- :rand.uniform(7) - 1,
             do: [<<90, k::16>>, @node, <<creation::32>>, :rand.bytes(4 * k)]

      7 ->
        with k <- :rand.uniform(7) - 1,
             do: [
               <<114, k::16>>,
               @node,
               <<creation>>,
               <<0, Enum.random([3, 4])>>,
               :rand.bytes(4 * k)
             ]

      8 ->
        [<<101>>, @node, <<0, Enum.random([3, 4]), 255, 255, creation>>]

      9 ->
        [<<113>>, name(119, 8), name(100, 16), <<97, Enum.random([0, 3, 255])>>]
    end
  end

  defp fun(depth) do
    n = :rand.uniform(3) - 1
    free = for _ <- Enum.take(1..3, n), do: grow(depth + 1)
    pid = [<<88>>, @node, <<1::32, 0::32, 1::32>>]

    body =
      IO.iodata_to_binary([
        1,
        <<0::128, 0::32, n::32>>,
        <<119, 2, "ok">>,
        <<97, 0, 97, 0>>,
        pid,
        free
      ])

    [<<112, byte_size(body) + 4::32>>, body]
  end

  defp damage(<<>>), do: <<>>

  defp damage(bytes) do
    at = :rand.uniform(byte_size(bytes)) - 1
    <<before::binary-size(at), byte, rest::binary>> = bytes

    case :rand.uniform(6) do
      1 -> before <> <<Bitwise.bxor(byte, Bitwise.bsl(1, :rand.uniform(8) - 1))>> <> rest
      2 -> before <> <<:rand.uniform(256) - 1>> <> rest
      3 -> before <> rest
      4 -> before
      5 -> before <> :rand.bytes(:rand.uniform(4)) <> <<byte>> <> rest
      6 -> before <> <<byte, byte>> <> rest
    end
  end
end

defmodule Codec.Test do
  alias Codec.{Bytes, Driver, Random}
  alias Peer.Tap

  @inspect [
    limit: :infinity,
    printable_limit: :infinity,
    structs: false,
    charlists: :as_lists,
    width: :infinity
  ]

  @later Version.match?(System.version(), ">= 1.15.0")

  # Elixir reads no text with these in it, though inspect prints them.
  @bidi ~r/[\x{202A}-\x{202E}\x{2066}-\x{2069}]/u

  # What we refuse and a BEAM takes; docs/TERM.md, "Stricter than the BEAM",
  # gives the reason for each.
  @stricter [
    "bytes after the term",
    "compressed terms are refused",
    "floats as text (FLOAT_EXT) are refused",
    "references into a VM's memory are refused",
    "an integer over the size limit",
    "nested over the depth limit",
    "larger than the size limit",
    "an empty list in the long form",
    "a list as the tail of a list",
    "a bitstring of whole bytes",
    "a bitstring with bits after its end",
    "a fun inside a map key",
    "a fun that is not as long as it says",
    "a fun without its index or uniq",
    "an external fun without its arity"
  ]

  def main([driver, n]) do
    n = String.to_integer(n)
    port = Driver.start(String.to_charlist(driver))

    Tap.run(fn ->
      :rand.seed(:exsss, {20_251, 7, 100})
      ours(port, n)
      theirs(port, n)
      bytes(port, n)
      text(port)
    end)
  end

  # Runs fun for each of many; the first complaint is the row's.
  defp all(name, items, fun) do
    Tap.test(name, fn ->
      Enum.find_value(items, true, fn item ->
        case fun.(item) do
          true -> nil
          why -> "#{why} (#{inspect(item, limit: 300, printable_limit: 2000, structs: false)})"
        end
      end)
    end)
  end

  defp same(got, got, _), do: true
  defp same(got, wanted, what), do: "#{what}: got #{show(got)}, wanted #{show(wanted)}"

  # Ours is the text of Elixir 1.14, but a name that is not ASCII is in quotes.
  # Later releases put some into quotes as well, and escape U+00A0 and the marks
  # of direction.
  defp printed(text, wanted), do: same(plain(text), plain(wanted), "text")

  defp plain(text) do
    name = "(?=[^\"]*[^\\x00-\\x7f])(?:[A-Za-z_]|[^\\x00-\\x7f])(?:[A-Za-z0-9_@]|[^\\x00-\\x7f])*[?!]?"
    text = if @later, do: Regex.replace(~r/\\u([0-9A-F]{4})/, text, &character/2), else: text
    text = Regex.replace(~r/:"(#{name})"/u, text, ":\\1")
    Regex.replace(~r/"(#{name})": /u, text, "\\1: ")
  end

  defp character(_, hex), do: <<String.to_integer(hex, 16)::utf8>>

  # Text that Elixir printed is read, or refused with a hint for a name without quotes.
  defp reads(port, term, text) do
    case {Driver.text(port, text), wide?(term)} do
      {{:ok, bytes}, false} -> same(bytes, canonical(term), "bytes")
      {{:error, why}, true} -> why =~ "quotes around a name" || why
      {other, wide} -> "#{wide}: #{inspect(other)}"
    end
  end

  # Whether Elixir prints an atom in it that is not ASCII, without quotes.
  defp wide?(a) when is_atom(a) do
    text = inspect(a)
    not String.starts_with?(text, ":\"") and text =~ ~r/[^\x00-\x7f]/u
  end

  defp wide?([h | t]), do: wide?(h) or wide?(t)
  defp wide?(t) when is_tuple(t), do: wide?(Tuple.to_list(t))
  defp wide?(m) when is_map(m), do: Enum.any?(m, fn {k, v} -> wide?(k) or wide?(v) end)
  defp wide?(_), do: false

  defp show(b), do: inspect(b, limit: :infinity, printable_limit: 3000)

  # All of these in turn; the first that is not true is the answer.
  defp each(checks), do: Enum.find_value(checks, true, fn c -> with true <- c.(), do: nil end)

  defp canonical(term), do: :erlang.term_to_binary(term, minor_version: 2)

  # A map of two pairs or more anywhere: its order is the writer's own.
  defp has_order?(term) do
    case term do
      m when is_map(m) ->
        map_size(m) > 1 or Enum.any?(m, fn {k, v} -> has_order?(k) or has_order?(v) end)

      t when is_tuple(t) ->
        has_order?(Tuple.to_list(t))

      [h | t] ->
        has_order?(h) or has_order?(t)

      _ ->
        false
    end
  end

  # ---- terms that C made ----

  defp ours(port, n) do
    seeds = 1..n
    made = for s <- seeds, do: {s, Driver.random(port, s)}

    all("codec/ours/made", made, fn {_, made} -> match?({:ok, _, _}, made) || inspect(made) end)

    made =
      for {s, {:ok, bytes, text}} <- made, do: {s, bytes, text, :erlang.binary_to_term(bytes)}

    Tap.comment(
      "#{length(made)} terms of ours, #{made |> Enum.map(&byte_size(elem(&1, 1))) |> Enum.sum()} bytes"
    )

    all("codec/ours/decode safely", made, fn {_, bytes, _, term} ->
      :erlang.binary_to_term(bytes, [:safe]) === term
    end)

    all("codec/ours/same bytes but for the order of pairs", made, fn {_, bytes, _, term} ->
      theirs = canonical(term)

      if has_order?(term),
        do: same(byte_size(bytes), byte_size(theirs), "length"),
        else: same(bytes, theirs, "bytes")
    end)

    all("codec/ours/their bytes come back the same", made, fn {_, _, _, term} ->
      theirs = canonical(term)
      with {:ok, again, _} <- Driver.decode(port, theirs), do: same(again, theirs, "bytes")
    end)

    all("codec/ours/old atom tags", made, fn {_, _, _, term} ->
      with {:ok, again, _} <- Driver.decode(port, :erlang.term_to_binary(term, minor_version: 1)),
           do: same(again, canonical(term), "bytes")
    end)

    all("codec/ours/printed as inspect does", made, fn {_, bytes, text, term} ->
      {text, term} = if has_order?(term), do: reprint(port, bytes, term), else: {text, term}
      printed(text, inspect(term, @inspect))
    end)

    all("codec/ours/text read back by us", made, fn {_, bytes, text, _} ->
      with {:ok, again} <- Driver.text(port, text), do: same(again, bytes, "bytes")
    end)

    all("codec/ours/text read back by Elixir", Enum.take(made, 1000), fn {_, _, text, term} ->
      unreadable?(term) or text =~ @bidi or read_by_elixir(text, term)
    end)

    made
  end

  defp read_by_elixir(text, term) do
    case eval(text) do
      {:ok, ^term} -> true
      other -> "Elixir reads it as #{inspect(other)}"
    end
  end

  # Pairs in the order the BEAM has them.
  defp reprint(port, _bytes, term) do
    {:ok, _, text} = Driver.decode(port, canonical(term))
    {text, term}
  end

  # inspect itself writes atoms with \x80 or U+FFFE in a way Elixir cannot read.
  defp unreadable?(term) do
    case term do
      a when is_atom(a) ->
        not String.printable?(Atom.to_string(a)) or String.contains?(inspect(a), "\\x")

      m when is_map(m) ->
        Enum.any?(m, fn {k, v} -> unreadable?(k) or unreadable?(v) end)

      t when is_tuple(t) ->
        unreadable?(Tuple.to_list(t))

      [h | t] ->
        unreadable?(h) or unreadable?(t)

      _ ->
        false
    end
  end

  defp eval(text) do
    {value, _} = Code.eval_string(text)
    {:ok, value}
  rescue
    e -> {:error, Exception.message(e)}
  end

  # ---- terms that the BEAM made ----

  defp theirs(port, n) do
    terms = for _ <- 1..n, do: Random.term()
    Tap.comment("#{n} terms of the BEAM's")

    all("codec/theirs/accepted, and the same bytes again", terms, fn term ->
      bytes = canonical(term)

      each([
        fn ->
          with {:ok, again, _} <- Driver.decode(port, bytes), do: same(again, bytes, "bytes")
        end,
        fn ->
          with {:ok, again, _} <- Driver.decode(port, :erlang.term_to_binary(term)),
               do: same(again, bytes, "from the default form")
        end
      ])
    end)

    printed = for term <- terms, do: {term, inspect(term, @inspect)}

    all("codec/theirs/printed as inspect does", printed, fn {term, wanted} ->
      with {:ok, _, text} <- Driver.decode(port, canonical(term)), do: printed(text, wanted)
    end)

    all("codec/theirs/inspect read by us", printed, fn {term, text} ->
      reads(port, term, text)
    end)

    all("codec/theirs/inspect over several lines read by us", Enum.take(terms, 2000), fn term ->
      reads(port, term, inspect(term, Keyword.merge(@inspect, width: 40, pretty: true)))
    end)
  end

  # ---- strings of bytes ----

  defp bytes(port, n) do
    answers =
      for _ <- 1..n do
        bytes = Bytes.any()
        {bytes, Driver.decode(port, bytes)}
      end

    # A fun whose creator is no pid brings the VM down that decodes it.
    {fatal, answers} =
      Enum.split_with(answers, &match?({_, {:error, "a fun whose creator is no pid"}}, &1))

    accepted = Enum.count(answers, &match?({_, {:ok, _, _}}, &1))

    Tap.comment(
      "#{n} strings of bytes, #{accepted} accepted, #{length(fatal)} not shown to the BEAM"
    )

    Tap.test("codec/bytes/enough of both kinds", fn ->
      (accepted > n / 20 and accepted < n - n / 20) || "#{accepted} of #{n}"
    end)

    all("codec/bytes/what we accept the BEAM accepts as the same", answers, fn
      {bytes, {:ok, again, _}} ->
        case beam(bytes) do
          {:ok, term} -> same(:erlang.binary_to_term(again), term, "value")
          :refused -> "the BEAM refuses it"
        end

      _ ->
        true
    end)

    all("codec/bytes/what only we refuse is on the list", answers, fn
      {bytes, {:error, why}} -> beam(bytes) == :refused or why in @stricter || "we say: #{why}"
      _ -> true
    end)

    reasons =
      answers
      |> Enum.map(&elem(&1, 1))
      |> Enum.filter(&match?({:error, _}, &1))
      |> Enum.frequencies()

    for {{:error, why}, k} <- Enum.sort_by(reasons, &(-elem(&1, 1))),
        do: Tap.comment("#{k} x #{why}")

    for why <- @stricter -- ["nested over the depth limit", "larger than the size limit"] do
      Tap.test("codec/bytes/seen: #{why}", fn ->
        Map.has_key?(reasons, {:error, why}) or directed(port, why)
      end)
    end

    all("codec/bytes/what we accept is printed as inspect does", answers, fn
      {_, {:ok, again, text}} ->
        term = :erlang.binary_to_term(again)
        opaque?(term) or has_order?(term) or printed(text, inspect(term, @inspect))

      _ ->
        true
    end)
  end

  # Reasons too rare to come up by chance.
  defp directed(port, why) do
    bytes =
      case why do
        "an integer over the size limit" ->
          <<131, 111, 600::32, 0, :binary.copy(<<1>>, 600)::binary>>

        "compressed terms are refused" ->
          :erlang.term_to_binary(:binary.copy("a", 1000), [:compressed])

        "references into a VM's memory are refused" ->
          <<131, 73, 0, 1>>

        "a fun without its index or uniq" ->
          body =
            <<1, 0::128, 0::32, 0::32, 119, 2, "ok", 110, 1, 0, 1, 97, 0, 88, 119, 3, "a@b",
              1::32, 0::32, 1::32>>

          <<131, 112, byte_size(body) + 4::32, body::binary>>

        "a fun that is not as long as it says" ->
          body =
            <<1, 0::128, 0::32, 0::32, 119, 2, "ok", 97, 0, 97, 0, 88, 119, 3, "a@b", 1::32,
              0::32, 1::32>>

          <<131, 112, byte_size(body) + 3::32, body::binary>>

        "an external fun without its arity" ->
          <<131, 113, 119, 2, "ok", 119, 2, "ok", 98, 3::32>>

        "a fun inside a map key" ->
          body =
            <<1, 0::128, 0::32, 0::32, 119, 2, "ok", 97, 0, 97, 0, 88, 119, 3, "a@b", 1::32,
              0::32, 1::32>>

          <<131, 116, 2::32, 112, byte_size(body) + 4::32, body::binary, 97, 1, 97, 2, 97, 3>>

        _ ->
          <<>>
      end

    each([
      fn -> same(Driver.decode(port, bytes), {:error, why}, "answer") end,
      fn -> match?({:ok, _}, beam(bytes)) || "the BEAM refuses it too" end
    ])
  end

  defp beam(bytes) do
    {:ok, :erlang.binary_to_term(bytes)}
  rescue
    ArgumentError -> :refused
  end

  defp opaque?(term) do
    case term do
      m when is_map(m) ->
        Enum.any?(m, fn {k, v} -> opaque?(k) or opaque?(v) end)

      t when is_tuple(t) ->
        opaque?(Tuple.to_list(t))

      [h | t] ->
        opaque?(h) or opaque?(t)

      t ->
        is_pid(t) or is_port(t) or is_reference(t) or
          (is_function(t) and :erlang.fun_info(t, :type) == {:type, :local})
    end
  end

  # ---- text ----

  defp text(port) do
    for text <- readable(), do: readable(port, text)
    for text <- unreadable(), do: unreadable(port, text)
    for text <- wide(), do: wide(port, text)
    characters(port)
    short_atoms(port)
  end

  # Text that both read, to the same term.
  defp readable do
    [
      "1",
      "-1",
      "+1",
      "1_000",
      "1_0_0",
      "0xFF",
      "0xff",
      "0xFF_FF",
      "-0xFF",
      "0o17",
      "0b101",
      "0x0",
      "00012",
      "1.0",
      "-1.5",
      "1.5e3",
      "1.5e+3",
      "1.5E-3",
      "1_0.2_5",
      "0.1",
      "1.0e308",
      "5.0e-324",
      "-0.0",
      "123456789012345678901234567890",
      "?a",
      "?\\n",
      "?\\\\",
      "?é",
      "? ",
      ":a",
      ":a?",
      ":a!",
      ":A",
      ":a@b",
      ":_",
      ":\"a b\"",
      ":'a b'",
      ":\"\"",
      ":\"a\\nb\"",
      ":+",
      ":..//",
      ":%{}",
      ":{}",
      ":<<>>",
      ":\"é\"",
      ":\"αβγ\"",
      "[\"é\": 1]",
      "true",
      "false",
      "nil",
      ":true",
      "Foo",
      "Foo.Bar",
      "Foo.Bar1_a",
      "Elixir",
      "Elixir.Foo",
      "Elixir.Elixir.Foo",
      "\"\"",
      "\"abc\"",
      "\"é☎😀\"",
      "\"a\\\"b\"",
      "\"\\a\\b\\d\\e\\f\\n\\r\\s\\t\\v\\0\\\\\\#\"",
      "\"\\x41\\xff\"",
      "\"\\u00e9\\u{1F600}\"",
      "\"a\\\nb\"",
      "\"a\nb\"",
      "\"#a\"",
      "\"\\\#{a}\"",
      "\"\\q\"",
      "''",
      "'abc'",
      "'é'",
      "'a\\'b'",
      "'\"'",
      "[]",
      "[1]",
      "[1, 2]",
      "[1,2]",
      "[ 1 , 2 ]",
      "[1 | 2]",
      "[1, 2 | 3]",
      "[1 | [2, 3]]",
      "[a: 1]",
      "[a: 1, b: 2]",
      "[1, a: 2]",
      "[a: [b: 1]]",
      "[\"a b\": 1]",
      "[+: 1]",
      "[nil: 1]",
      "[A: 1]",
      "[{:a, 1}]",
      "[{Foo, 1}]",
      "[%{}: 1]",
      "[{}: 1]",
      "{}",
      "{1}",
      "{1, 2}",
      "{ }",
      "{:a, [b: 1]}",
      "%{}",
      "%{ }",
      "%{a: 1}",
      "%{:a => 1}",
      "%{\"a\" => 1}",
      "%{1 => 2, a: 3}",
      "%{\"a b\": 1}",
      "%{a: %{b: 1}}",
      "%{[1] => {2}}",
      "%{%{} => []}",
      "%{1=>2}",
      "<<>>",
      "<<1>>",
      "<<1, 2>>",
      "<<1,2>>",
      "<< 1 , 2 >>",
      "<<1::1>>",
      "<<1::size(1)>>",
      "<<5::3>>",
      "<<300>>",
      "<<300::16>>",
      "<<-1>>",
      "<<-1::4>>",
      "<<1, 2, 3::size(7)>>",
      "<<\"abc\">>",
      "<<\"abc\", 0>>",
      "<<\"a\", 1::1>>",
      "<<1::1, \"a\">>",
      "<<0::0>>",
      "<<1::64>>",
      "<<255::8, 1::4, 15::4>>",
      " 1 ",
      "\n1\n",
      "\t{1,\n 2}\n",
      "{1,\n[2\n|3]\n}",
      "%{a: 1,\n b: 2}"
    ]
  end

  defp readable(port, text) do
    Tap.test("codec/text/reads #{inspect(text)}", fn ->
      {:ok, term} = eval(text)

      with {:ok, bytes} <- Driver.text(port, text),
           do: same(:erlang.binary_to_term(bytes), term, "term")
    end)
  end

  # Text that neither reads as a term (Elixir may read some as code).
  defp unreadable do
    [
      "",
      " ",
      "a",
      "foo(1)",
      "1 +",
      "1 + 1",
      "1 2",
      "1_",
      "1__0",
      "_1",
      "1.",
      "1.e3",
      ".5",
      "1e3",
      "1.0e",
      "1.0e400",
      "0x",
      "0xG",
      "0b2",
      "0o8",
      "--1",
      "- 1a",
      "1a",
      "0xFFg",
      "1.5x",
      ":",
      ": a",
      ":1",
      ":\"a",
      ":\"\\x\"",
      "\"",
      "\"a",
      "\"\\",
      "\"\\x\"",
      "\"\\xZ\"",
      "\"\\u12\"",
      "\"\\u{}\"",
      "\"\\u{110000}\"",
      "\"\\u{D800}\"",
      "\"\#{1}\"",
      "'a",
      "'\#{1}'",
      "\"\"\"\na\n\"\"\"x",
      "?",
      "[",
      "[1",
      "[1,",
      "[1 2]",
      "[,]",
      "[1,,2]",
      "[|1]",
      "[1|]",
      "[1|2|3]",
      "[1|2,3]",
      "[a: 1, 2]",
      "[a:",
      "[a: ]",
      "{",
      "{1",
      "{1 2}",
      "{,}",
      "}",
      "]",
      "{]",
      "[}",
      "%",
      "%{",
      "%{1}",
      "%{a}",
      "%{a: }",
      "%{a: 1",
      "%{1 => }",
      "%{1 => 2 3}",
      "%{a: 1, 2 => 3}",
      "%{=> 1}",
      "%{1, 2}",
      "%{1 => 2 => 3}",
      "%{a: 1]",
      "<<",
      "<<1",
      "<<1>",
      "<<1,>>",
      "<<,>>",
      "<<1 2>>",
      "<<a>>",
      "<<1::>>",
      "<<1::65>>",
      "<<1::size>>",
      "<<1::size(>>",
      "<<1::size(1>>",
      "<<1.0>>",
      "<<99999999999999999999>>",
      "%Foo{}",
      "%Foo{a: 1}",
      "&foo/1",
      "fn -> 1 end",
      "#PID<0.1.0>",
      "self()",
      "~r/a/",
      "~s(a)",
      "1..2",
      "foo",
      "Foo.bar",
      "Foo.",
      "(1)",
      "not true",
      "!true",
      "\\",
      "$",
      "@a",
      "\x00",
      "é",
      "%{a: 1} %{b: 2}"
    ]
  end

  defp unreadable(port, text) do
    Tap.test("codec/text/refuses #{inspect(text)}", fn ->
      match?({:error, _}, Driver.text(port, text)) || "it was read"
    end)
  end

  # Elixir reads these names without quotes; we do not, and say so.
  defp wide, do: [":é", ":αβγ", ":aé", ":É", "[é: 1]", "%{größe: 1}", "[Größe: 1]", "{:ok, :ü}"]

  defp wide(port, text) do
    Tap.test("codec/text/refuses with a hint #{inspect(text)}", fn ->
      {:ok, term} = eval(text)
      reads(port, term, text)
    end)
  end

  # Every character there is, in a text of its own.
  defp characters(port) do
    all = Enum.concat(0..0xD7FF, 0xE000..0x10FFFF)
    # Some thousands of the rest are enough; the edges are all below.
    some =
      Enum.filter(
        all,
        &(&1 < 0x3000 or rem(&1, 97) == 0 or &1 in 0xFF00..0x10100 or &1 > 0x10FF00)
      )

    all(
      "codec/text/every character in a string, #{length(some)} of them",
      Enum.chunk_every(some, 50),
      fn cps ->
        term = for cp <- cps, do: <<cp::utf8>>

        with {:ok, _, text} <- Driver.decode(port, canonical(term)),
             do: printed(text, inspect(term, @inspect))
      end
    )

    # Few enough not to fill the atom table.
    few = Enum.filter(some, &(&1 < 0x3000 or rem(&1, 970) == 0))

    all(
      "codec/text/every character in an atom, #{length(few)} of them",
      Enum.chunk_every(few, 20),
      fn cps ->
        term =
          Enum.flat_map(cps, fn cp ->
            Enum.map(
              [<<cp::utf8>>, <<"a", cp::utf8>>, <<cp::utf8, "_">>, <<"é", cp::utf8>>],
              &String.to_atom/1
            )
          end)

        with {:ok, _, text} <- Driver.decode(port, canonical(term)),
             do: printed(text, inspect(term, @inspect))
      end
    )

    all("codec/text/every character's atom read back", few, fn cp ->
      term = String.to_atom(<<"a", cp::utf8, "b">>)

      each([
        fn -> reads(port, term, inspect(term, @inspect)) end,
        fn -> reads(port, [{term, 1}], inspect([{term, 1}], @inspect)) end,
        fn ->
          with {:ok, _, text} <- Driver.decode(port, canonical(term)),
               {:ok, bytes} <- Driver.text(port, text),
               do: same(bytes, canonical(term), "bytes")
        end
      ])
    end)
  end

  # Every atom of one or two ASCII characters, as itself and as a key.
  defp short_atoms(port) do
    ones = for a <- 0..127, do: <<a>>
    twos = for a <- 32..126, b <- 32..126, do: <<a, b>>

    threes =
      for a <- '.<>=&|+-~!{%}', b <- '.<>=&|+-~!{%}', c <- '.<>=&|+-~!{%}/', do: <<a, b, c>>

    names =
      ones ++
        twos ++
        threes ++ ~w(<<>> ..// Elixir.A Elixir.A. Elixir..A Elixir.A.b Elixir.1 Elixir.A_ ElixirA)

    all(
      "codec/text/short atoms and keys, #{length(names)} of them",
      Enum.chunk_every(names, 100),
      fn names ->
        atoms = Enum.map(names, &String.to_atom/1)
        term = {atoms, Enum.map(atoms, &[{&1, 1}]), Enum.map(atoms, &%{&1 => 1})}

        with {:ok, _, text} <- Driver.decode(port, canonical(term)),
             true <- printed(text, inspect(term, @inspect)),
             {:ok, bytes} <- Driver.text(port, text),
             do: same(bytes, canonical(term), "bytes")
      end
    )
  end
end

Codec.Test.main(System.argv())
