%% SPDX-License-Identifier: Apache-2.0
%% The other side of a case, inside a real node: evaluates what comes on
%% standard input, `ID EXPRESSIONS.`, and answers `ANSWER ID BASE64`, the term
%% that came of it.
-module(other_side).
-export([start/0, echo/1, sink/0, get_sunk/1, sleep/1, fail/0, load/5, stacks/0]).

start() ->
    {ok, _} = application:ensure_all_started(barrel_p2p),
    register(sink, spawn(fun() -> sink([]) end)),
    register(echo, spawn(fun serve/0)),
    io:format("~nREADY ~s~n", [os:getpid()]),
    read().

read() ->
    case io:get_line("") of
        Line when is_list(Line); is_binary(Line) ->
            {Id, Text} = string:to_integer(unicode:characters_to_list(Line)),
            spawn(fun() -> answer(Id, Text) end),
            read();
        _ ->
            halt(0)
    end.

answer(Id, Text) ->
    Result =
        try
            {ok, Tokens, _} = erl_scan:string(Text),
            {ok, Exprs} = erl_parse:parse_exprs(Tokens),
            {value, V, _} = erl_eval:exprs(Exprs, []),
            V
        catch
            Class:Reason -> {Class, Reason}
        end,
    io:format("~nANSWER ~b ~s~n", [Id, base64:encode(term_to_binary(Result))]).

echo(X) -> X.
sleep(Ms) -> timer:sleep(Ms), awake.
fail() -> error(on_purpose).

%% A gen_server by its messages: echo.
serve() ->
    receive
        {'$gen_call', From, stop} ->
            gen_server:reply(From, stopping);
        {'$gen_call', From, Request} ->
            gen_server:reply(From, Request),
            serve();
        stop ->
            ok;
        _ ->
            serve()
    end.

sink() -> sink([]).
sink(Got) ->
    receive
        {get, From, N} when length(Got) >= N ->
            From ! {sunk, lists:reverse(Got)},
            sink([]);
        M when element(1, M) =/= get ->
            sink([M | Got]);
        M when not is_tuple(M) -> sink([M | Got])
    end.

%% The next N messages, within a while.
get_sunk(N) ->
    sink ! {get, self(), N},
    receive
        {sunk, L} -> L
    after 600000 -> timeout
    end.

%% How many of N calls of M:F(A) at Node had the answer Want; Mode: seq | par.
load(Mode, N, Node, {M, F, A}, Want) ->
    One = fun(_) -> catch erpc:call(Node, M, F, A, 20000) end,
    Answers =
        case Mode of
            seq ->
                lists:map(One, lists:seq(1, N));
            par ->
                Me = self(),
                Pids = [spawn(fun() -> Me ! {self(), One(I)} end) || I <- lists:seq(1, N)],
                [receive {P, R} -> R after 30000 -> timeout end || P <- Pids]
        end,
    case [R || R <- Answers, R =/= Want] of
        [] -> N;
        [Bad | _] = All -> {N - length(All), trim(Bad)}
    end.

trim(B) when is_binary(B) -> {binary, byte_size(B)};
trim(X) -> X.

%% The processes of distribution, and where they are.
stacks() ->
    [{pid_to_list(P), [{M, F, A} || {M, F, A, _} <- S]} || P <- processes(),
        {current_stacktrace, S} <- [process_info(P, current_stacktrace)],
        lists:any(fun({M, _, _, _}) -> lists:member(M, [net_kernel, dist_util, quic_dist,
            quic_dist_controller, barrel_p2p_dist_auth_stream]) end, S)].
