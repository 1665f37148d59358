# SPDX-License-Identifier: Apache-2.0
defmodule Peer.Handshake do
  @moduledoc """
  The three messages of Noise XX as PeerNet 0.1.0 frames them (docs/PROTOCOL.md,
  section 2), as a state machine without a socket: bytes in, bytes out.

  One step takes at most one message. What arrived behind it stays in `inbox`
  until the next step, which needs new bytes: that is the reader habit of
  docs/PROTOCOL.md, section 3.1.
  """

  alias Peer.{Frame, Noise}

  defstruct [:role, :phase, :s, :e, :re, :rs, noise: nil, inbox: ""]

  @doc "ephemeral: nil in earnest, a fixed pair in tests."
  def new(role, static, ephemeral \\ nil) do
    phase = if role == :initiator, do: :send_m1, else: :wait_m1
    e = ephemeral || Noise.key_pair()
    %__MODULE__{role: role, phase: phase, s: static, e: e, noise: Noise.new()}
  end

  @doc "The initiator's first message."
  def start(%{role: :initiator, phase: :send_m1} = hs) do
    noise = Noise.mix_hash(hs.noise, hs.e.public)
    {%{hs | phase: :wait_m2, noise: noise}, frame(hs.e.public)}
  end

  @doc """
  Takes bytes. trusted?: asked once with the peer's static key.
  Returns {:ok, handshake, bytes to write} or {:error, reason, handshake}.
  """
  def step(hs, bytes, trusted?) do
    hs = %{hs | inbox: hs.inbox <> bytes}

    case Frame.take_term(hs.inbox) do
      :incomplete -> {:ok, hs, ""}
      {:ok, message, rest} -> message(hs.phase, message, %{hs | inbox: rest}, trusted?)
      {:error, _} -> {:error, :malformed, hs}
    end
  end

  def keys(%{phase: :authenticated, role: :initiator} = hs) do
    {k1, k2} = Noise.split(hs.noise)
    %{send: k1, receive: k2}
  end

  def keys(%{phase: :authenticated, role: :responder} = hs) do
    {k1, k2} = Noise.split(hs.noise)
    %{send: k2, receive: k1}
  end

  # <- e ; -> e, ee, s, es
  defp message(:wait_m1, <<re::binary-size(32)>>, hs, _trusted?) do
    noise =
      hs.noise
      |> Noise.mix_hash(re)
      |> Noise.mix_hash(hs.e.public)
      |> Noise.mix_key(Noise.dh(hs.e, re))

    {noise, static} = Noise.encrypt_and_hash(noise, hs.s.public)
    noise = Noise.mix_key(noise, Noise.dh(hs.s, re))
    {noise, payload} = Noise.encrypt_and_hash(noise, "")
    hs = %{hs | phase: :wait_m3, re: re, noise: noise}
    {:ok, hs, frame(hs.e.public <> static <> payload)}
  end

  # <- e, ee, s, es ; -> s, se
  defp message(:wait_m2, <<re::binary-size(32), rest::binary-size(64)>>, hs, trusted?) do
    <<static::binary-size(48), payload::binary>> = rest
    noise = hs.noise |> Noise.mix_hash(re)
    noise = Noise.mix_key(noise, Noise.dh(hs.e, re))

    with {:ok, noise, rs} <- opened(hs, noise, static),
         hs = %{hs | re: re, rs: rs, noise: noise},
         :ok <- trust(hs, trusted?),
         noise = Noise.mix_key(noise, Noise.dh(hs.e, rs)),
         {:ok, noise, ""} <- opened(hs, noise, payload) do
      {noise, static} = Noise.encrypt_and_hash(noise, hs.s.public)
      noise = Noise.mix_key(noise, Noise.dh(hs.s, re))
      {noise, payload} = Noise.encrypt_and_hash(noise, "")
      {:ok, %{hs | phase: :authenticated, noise: noise}, frame(static <> payload)}
    end
  end

  # <- s, se
  defp message(:wait_m3, <<static::binary-size(48), payload::binary-size(16)>>, hs, trusted?) do
    with {:ok, noise, rs} <- opened(hs, hs.noise, static),
         hs = %{hs | rs: rs, noise: noise},
         :ok <- trust(hs, trusted?),
         noise = Noise.mix_key(noise, Noise.dh(hs.e, rs)),
         {:ok, noise, ""} <- opened(hs, noise, payload) do
      {:ok, %{hs | phase: :authenticated, noise: noise}, ""}
    end
  end

  defp message(_phase, _other, hs, _trusted?), do: {:error, :malformed, hs}

  defp opened(hs, noise, sealed) do
    with {:error, noise} <- Noise.decrypt_and_hash(noise, sealed) do
      {:error, :bad_decrypt, %{hs | noise: noise}}
    end
  end

  # Asked before the second tag is checked. Ours asks last (T18); this order is
  # the one recorded in the vectors.
  defp trust(hs, trusted?) do
    if trusted?.(hs.rs), do: :ok, else: {:error, :untrusted_peer, hs}
  end

  defp frame(message), do: IO.iodata_to_binary(Frame.wrap(message))
end
