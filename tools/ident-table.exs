# SPDX-License-Identifier: Apache-2.0
# Writes src/term/ident_table.h: which characters an Elixir identifier may be
# made of, by asking the Elixir at hand.
#
#   elixir tools/ident-table.exs > src/term/ident_table.h
#
# The tokenizer's own tables are private, so its module is loaded once more
# under another name with them exported.
defmodule Table do
  def tokenizer do
    {:ok, {_, [debug_info: {:debug_info_v1, backend, data}]}} =
      :beam_lib.chunks(:code.which(String.Tokenizer), [:debug_info])

    {:ok, forms} = backend.debug_info(:erlang_v1, String.Tokenizer, data, [])
    names = [:unicode_start, :unicode_upper, :unicode_continue]

    forms =
      Enum.map(forms, fn
        {:attribute, l, :module, _} -> {:attribute, l, :module, :open_tokenizer}
        {:attribute, l, :export, e} -> {:attribute, l, :export, Enum.map(names, &{&1, 1}) ++ e}
        form -> form
      end)

    {:ok, mod, bin} = :compile.forms(forms, [:nowarn_unused_function])
    {:module, _} = :code.load_binary(mod, 'open_tokenizer', bin)
    mod
  end

  def all, do: Stream.concat(0x80..0xD7FF, 0xE000..0x10FFFF)

  # {kind, set of scripts} of a character; kinds: 1 start, 2 upper, 3 continue
  def class(mod, cp) do
    case {mod.unicode_start(cp), mod.unicode_upper(cp), mod.unicode_continue(cp)} do
      {0, 0, 0} -> nil
      {s, 0, 0} -> {1, s}
      {0, u, 0} -> {2, u}
      {0, 0, c} -> {3, c}
    end
  end

  def ranges(classes) do
    classes
    |> Enum.reduce([], fn
      {cp, c}, [{first, last, c} | rest] when cp == last + 1 and cp - first < 65536 ->
        [{first, cp, c} | rest]

      {cp, c}, rest ->
        [{cp, cp, c} | rest]
    end)
    |> Enum.reverse()
  end

  # What composes under NFC: {starter, mark}, both allowed in an identifier.
  def pairs(allowed) do
    for cp <- all(),
        nfd = :unicode.characters_to_nfd_list([cp]),
        length(nfd) > 1,
        {init, [mark]} = Enum.split(nfd, -1),
        [starter] <- [:unicode.characters_to_nfc_list(init)],
        :unicode.characters_to_nfc_list([starter, mark]) == [cp],
        starter in allowed and mark in allowed,
        do: {starter, mark, cp}
  end

  def rows(items, per, fun) do
    items
    |> Enum.map(fun)
    |> Enum.chunk_every(per)
    |> Enum.map_join("\n", &("    " <> Enum.join(&1, ", ") <> ","))
  end

  def hex(n), do: "0x" <> String.downcase(Integer.to_string(n, 16))
end

mod = Table.tokenizer()
classes = for cp <- Table.all(), c = Table.class(mod, cp), do: {cp, c}
ranges = Table.ranges(classes)
sets = ranges |> Enum.map(fn {_, _, {_, s}} -> s end) |> Enum.uniq()
index = sets |> Enum.with_index() |> Map.new()
ascii = Enum.concat([?a..?z, ?A..?Z, ?0..?9, [?_]])
allowed = MapSet.new(ascii ++ Enum.map(classes, &elem(&1, 0)))
pairs = Table.pairs(allowed) |> Enum.sort_by(fn {s, m, _} -> {m, s} end)

marks =
  for {cp, _} <- classes, %{ccc: c} = :unicode_util.lookup(cp), c != 0, do: {cp, {c, 0}}

true = length(sets) < 256
true = Enum.all?(pairs, fn {s, m, c} -> s < 65536 and m < 65536 and c < 65536 end)

IO.puts("""
/* SPDX-License-Identifier: Apache-2.0 */
/* Made by tools/ident-table.exs from Elixir #{System.version()}; do not edit. */
#ifndef PN_TERM_IDENT_TABLE_H
#define PN_TERM_IDENT_TABLE_H

#include <stdint.h>

/* Sets of scripts, one bit for each. */
static const uint64_t ident_sets[] = {
#{Table.rows(sets, 4, &"UINT64_C(#{Table.hex(&1)})")}
};

/* first character, characters after it, kind (1 may begin an identifier, 2 is
 * an upper-case letter, 3 may only follow) and its set of scripts. */
static const struct {
    uint32_t first;
    uint16_t more;
    uint8_t kind;
    uint8_t set;
} ident_ranges[] = {
#{Table.rows(ranges, 3, fn {a, b, {k, s}} -> "{#{Table.hex(a)}, #{b - a}, #{k}, #{index[s]}}" end)}
};

/* Canonical combining classes that are not zero. */
static const struct {
    uint32_t first;
    uint8_t more;
    uint8_t ccc;
} ident_marks[] = {
#{Table.rows(Table.ranges(marks), 4, fn {a, b, {c, _}} -> "{#{Table.hex(a)}, #{b - a}, #{c}}" end)}
};

/* A mark, the starter it composes with, and what they become; sorted. */
static const struct {
    uint16_t mark;
    uint16_t starter;
    uint16_t composed;
} ident_pairs[] = {
#{Table.rows(pairs, 3, fn {s, m, c} -> "{#{Table.hex(m)}, #{Table.hex(s)}, #{Table.hex(c)}}" end)}
};

#endif\
""")
