# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Json do
  @moduledoc """
  Reads JSON text, as much of it as the recorded vectors use: OTP 25 has no
  reader of its own. Objects become maps with string keys, null becomes nil.
  Anything that is not JSON raises.
  """

  def read_file!(path), do: path |> File.read!() |> decode!()

  def decode!(text) do
    {value, rest} = value(blank(text))
    "" = blank(rest)
    value
  end

  defp blank(<<c, rest::binary>>) when c in ~c" \t\r\n", do: blank(rest)
  defp blank(rest), do: rest

  defp value("{" <> rest), do: object(blank(rest), [])
  defp value("[" <> rest), do: array(blank(rest), [])
  defp value("\"" <> rest), do: string(rest, [])
  defp value("true" <> rest), do: {true, rest}
  defp value("false" <> rest), do: {false, rest}
  defp value("null" <> rest), do: {nil, rest}
  defp value(<<c, _::binary>> = text) when c in ?0..?9 or c == ?-, do: number(text)

  defp object("}" <> rest, []), do: {%{}, rest}

  defp object("\"" <> rest, pairs) do
    {key, rest} = string(rest, [])
    ":" <> rest = blank(rest)
    {value, rest} = value(blank(rest))
    pairs = [{key, value} | pairs]

    case blank(rest) do
      "," <> rest -> object(blank(rest), pairs)
      "}" <> rest -> {Map.new(pairs), rest}
    end
  end

  defp array("]" <> rest, []), do: {[], rest}

  defp array(text, items) do
    {item, rest} = value(text)

    case blank(rest) do
      "," <> rest -> array(blank(rest), [item | items])
      "]" <> rest -> {Enum.reverse([item | items]), rest}
    end
  end

  # Runs without an escape are taken whole: vectors hold long hex strings.
  defp string(text, parts) do
    {at, 1} = :binary.match(text, ["\"", "\\"])
    <<run::binary-size(at), mark, rest::binary>> = text

    case mark do
      ?" -> {IO.iodata_to_binary(Enum.reverse([run | parts])), rest}
      ?\\ -> escape(rest, [run | parts])
    end
  end

  defp escape(<<?u, hex::binary-size(4), rest::binary>>, parts) do
    code = String.to_integer(hex, 16)

    if code in 0xD800..0xDBFF do
      <<"\\u", low::binary-size(4), rest::binary>> = rest
      code = 0x10000 + (code - 0xD800) * 0x400 + String.to_integer(low, 16) - 0xDC00
      string(rest, [<<code::utf8>> | parts])
    else
      string(rest, [<<code::utf8>> | parts])
    end
  end

  defp escape(<<c, rest::binary>>, parts) do
    byte =
      Map.fetch!(
        %{?" => 34, ?\\ => 92, ?/ => 47, ?b => 8, ?f => 12, ?n => 10, ?r => 13, ?t => 9},
        c
      )

    string(rest, [<<byte>> | parts])
  end

  defp number(text) do
    [digits] = Regex.run(~r/\A-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/, text)
    rest = binary_part(text, byte_size(digits), byte_size(text) - byte_size(digits))

    case Integer.parse(digits) do
      {n, ""} -> {n, rest}
      {_, _} -> {elem(Float.parse(digits), 0), rest}
    end
  end
end
