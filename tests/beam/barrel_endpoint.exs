# SPDX-License-Identifier: Apache-2.0
#
# Endpoint files between ours (endpointtool) and OTP: file:consult reads the files that
# we publish, we read the files that io_lib writes, and from a damaged file we accept
# only what OTP reads as the same term.
# usage: elixir -pa PEER_EBIN barrel_endpoint.exs ENDPOINTTOOL

defmodule BarrelEndpointTest do
  alias Peer.Tap

  @name "beta@h.example"
  @mistakes 400

  def main([tool]) do
    Process.put(:tool, Path.expand(tool))
    dir = Path.join(System.tmp_dir!(), "pn-endpoint-#{System.pid()}")
    File.mkdir!(dir)

    try do
      Tap.run(fn ->
        published(dir)
        written_by_otp(dir)
        mistakes(dir)
        File.rm_rf!(dir)
      end)
    after
      File.rm_rf!(dir)
    end
  end

  defp published(dir) do
    for {host, port} <- endpoints() do
      said = tool(["publish", dir, @name, host, "#{port}"])
      file = path(dir, @name)

      Tap.same("barrel/endpoint/consult #{cut(host)}", {said, :file.consult(file)}, {
        ["ok"],
        {:ok, [{String.to_charlist(host), port}]}
      })

      # As upstream writes it, as long as io_lib needs no second line.
      if String.length(host) < 60 do
        wanted = :io_lib.format("~p.~n", [{String.to_charlist(host), port}])
        Tap.same("barrel/endpoint/bytes #{cut(host)}", File.read!(file), to_string(wanted))
      end
    end
  end

  defp written_by_otp(dir) do
    for {host, port} <- endpoints(), format <- ["~p.~n", "~w.~n", "~tp.~n"] do
      text = :io_lib.format(format, [{String.to_charlist(host), port}])
      File.write!(path(dir, @name), text)
      [said] = tool(["read", dir, @name])

      # ~w writes the host as a list of numbers, which nobody is to do.
      Tap.test("barrel/endpoint/read #{format} #{cut(host)}", fn ->
        if format == "~w.~n",
          do: String.starts_with?(said, "error ") || said,
          else: said == "ok #{host} #{port}" || said
      end)
    end
  end

  # One byte more, less or other than it should be.
  defp mistakes(dir) do
    :rand.seed(:exsss, {1, 2, 3})
    names = for i <- 1..@mistakes, do: "n#{i}@h"
    Enum.each(names, &File.write!(path(dir, &1), mistake("{\"h.example\",9100}.\n")))
    said = tool(["read", dir | names])
    both = Enum.zip(names, said)
    taken = Enum.filter(both, fn {_, s} -> String.starts_with?(s, "ok ") end)

    Tap.test("barrel/endpoint/mistakes, some are harmless", fn ->
      length(said) == @mistakes and length(taken) in 10..(@mistakes - 10)
    end)

    Tap.test("barrel/endpoint/mistakes, OTP reads the same", fn ->
      wrong =
        for {name, "ok " <> rest} <- taken,
            [host, port] = String.split(rest),
            wanted = {String.to_charlist(host), String.to_integer(port)},
            :file.consult(path(dir, name)) != {:ok, [wanted]},
            do: {File.read!(path(dir, name)), rest}

      wrong == [] || wrong
    end)
  end

  defp mistake(text) do
    at = :rand.uniform(byte_size(text)) - 1
    <<before::binary-size(at), old, rest::binary>> = text
    new = Enum.random(~c" \n\t{}\",.'\\%09az_#\0")

    case :rand.uniform(3) do
      1 -> <<before::binary, rest::binary>>
      2 -> <<before::binary, new, rest::binary>>
      3 -> <<before::binary, new, old, rest::binary>>
    end
  end

  defp endpoints do
    lengths = for n <- [1, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 100, 254, 255], do: n

    [{"127.0.0.1", 4433}, {"h.example", 9100}, {"fe80::1%eth0", 1}, {"::1", 65535}] ++
      for(n <- lengths, do: {String.duplicate("a", n), 9100})
  end

  defp tool(args) do
    {out, 0} = System.cmd(Process.get(:tool), args)
    String.split(out, "\n", trim: true)
  end

  defp path(dir, name), do: Path.join(dir, name <> ".endpoint")
  defp cut(host) when byte_size(host) < 20, do: host
  defp cut(host), do: "#{byte_size(host)} bytes"
end

BarrelEndpointTest.main(System.argv())
