%% SPDX-License-Identifier: Apache-2.0
%%
%% Requests of a node of barrel_p2p to the thermometer of ../service.c. Nothing in it is
%% special for the C side.
%%
%%     erl ... -s thermometer main thermo@127.0.0.1
%%
%% README.md has the whole line, and how keys are exchanged.
-module(thermometer).
-export([main/1]).

main([Node]) ->
    {ok, _} = application:ensure_all_started(barrel_p2p),
    %% Readings go to whoever has this name, at every connected node.
    register(thermometer_readings, self()),
    case net_kernel:connect_node(Node) of
        true -> talk(Node);
        false -> no_link(Node)
    end.

talk(Node) ->
    %% {nodedown, Node} comes when the link ends.
    monitor_node(Node, true),
    ask(Node),
    readings(Node, 3),
    subscribe(Node),
    wait(Node).

no_link(Node) ->
    io:format("~p: no link; does it run, and has each the other's key?~n", [Node]),
    halt(1).

ask(Node) ->
    io:format("gen_server:call: ~p~n", [gen_server:call({thermometer, Node}, read)]),
    io:format("rpc:call: ~p~n", [rpc:call(Node, thermometer, read, [])]),
    %% {badrpc, {'EXIT', {forbidden, [{thermometer, set, [22.0], []}]}}} unless it was
    %% started with us as its owner.
    io:format("set: ~p~n", [rpc:call(Node, thermometer, set, [22.0])]),
    %% What is not exported does not exist.
    io:format("os:cmd: ~p~n", [rpc:call(Node, os, cmd, ["id"])]).

readings(_, 0) ->
    ok;
readings(Node, N) ->
    receive
        {reading, T} ->
            io:format("reading: ~p~n", [T]),
            readings(Node, N - 1);
        {nodedown, Node} ->
            gone(Node)
    end.

%% A process of its own, which the thermometer monitors: when it ends, the
%% readings to it end.
subscribe(Node) ->
    spawn_link(fun() ->
        ok = gen_server:call({thermometer, Node}, {subscribe, self()}),
        receive
            {reading, T} -> io:format("for me alone: ~p~n", [T])
        end
    end).

wait(Node) ->
    receive
        {nodedown, Node} -> gone(Node);
        _ -> wait(Node)
    end.

gone(Node) ->
    io:format("~p is gone~n", [Node]),
    halt(0).
