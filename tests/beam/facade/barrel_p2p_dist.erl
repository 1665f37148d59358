%% SPDX-License-Identifier: Apache-2.0
%%
%% barrel_p2p 0.1.0 as examples/erlang sees it: its application makes the keys of
%% the node, its distribution is OTP's over TCP, and a bridgetool carries that over
%% QUIC to ours.
-module(barrel_p2p_dist).
-behaviour(application).
-export([start/2, stop/1]).
-export([listen/2, accept/1, accept_connection/5, setup/5, close/1, select/1, address/0]).

start(_, _) ->
    {ok, Dir} = application:get_env(barrel_p2p, auth_key_dir),
    Key = filename:join(Dir, "node.key"),
    filelib:is_file(Key) orelse make_keys(Dir, Key),
    {ok, spawn_link(fun() -> receive stop -> ok end end)}.

stop(_) ->
    ok.

make_keys(Dir, Key) ->
    {Public, Seed} = crypto:generate_key(eddsa, ed25519),
    ok = filelib:ensure_path(filename:join(Dir, "trusted")),
    [ok = file:change_mode(D, 8#700) || D <- [Dir, filename:join(Dir, "trusted")]],
    ok = file:write_file(Key, Seed),
    ok = file:change_mode(Key, 8#600),
    ok = file:write_file(filename:join(Dir, "node.pub"), Public).

listen(Name, Host) ->
    application:set_env(kernel, inet_dist_use_interface, {127, 0, 0, 1}),
    inet_tcp_dist:listen(Name, Host).

accept(Listen) ->
    inet_tcp_dist:accept(Listen).

accept_connection(Acceptor, Socket, Own, Allowed, Time) ->
    inet_tcp_dist:accept_connection(Acceptor, Socket, Own, Allowed, Time).

setup(Node, Type, Own, Names, Time) ->
    inet_tcp_dist:setup(Node, Type, Own, Names, Time).

close(Listen) ->
    inet_tcp_dist:close(Listen).

select(Node) ->
    inet_tcp_dist:select(Node).

address() ->
    inet_tcp_dist:address().
