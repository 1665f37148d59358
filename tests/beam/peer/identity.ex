# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Identity do
  @moduledoc "identity.keys of a data directory (docs/PROTOCOL.md, section 8.2)."

  @doc "Reads the key pair; makes one where there is none."
  def open!(dir) do
    File.mkdir_p!(dir)
    path = Path.join(dir, "identity.keys")

    case File.read(path) do
      {:ok, bytes} -> read!(bytes)
      {:error, :enoent} -> create!(path)
    end
  end

  defp read!(<<"PNID", 2, 32, public::binary-size(32), 32, private::binary-size(32)>>) do
    %{public: public, private: private}
  end

  defp create!(path) do
    pair = Peer.Noise.key_pair()
    File.write!(path, ["PNID", 2, 32, pair.public, 32, pair.private])
    File.chmod!(path, 0o600)
    pair
  end
end
