%% SPDX-License-Identifier: Apache-2.0
%%
%% Addresses of nodes, from files in the current folder: `beam_port` is this node's, and
%% `bridge_port` the one at which every other node is, 0 for none.
-module(barrel_p2p_epmd).
-export([start_link/0, register_node/2, register_node/3, listen_port_please/2,
    address_please/3, port_please/2, port_please/3, names/1]).

start_link() ->
    ignore.

register_node(Name, Port) ->
    register_node(Name, Port, inet).

%% Files are for later: there is no file server yet.
register_node(_, Port, _) ->
    persistent_term:put(?MODULE, integer_to_list(Port)),
    {ok, 77}.

listen_port_please(_, _) ->
    {ok, 0}.

address_please(_, _, _) ->
    {ok, {127, 0, 0, 1}}.

port_please(Name, Address) ->
    port_please(Name, Address, 5000).

port_please(_, _, _) ->
    ok = file:write_file("beam_port.new", persistent_term:get(?MODULE)),
    ok = file:rename("beam_port.new", "beam_port"),
    bridge_port(5000).

bridge_port(Left) ->
    case file:read_file("bridge_port") of
        {ok, <<"0">>} -> noport;
        {ok, Port} -> {port, binary_to_integer(Port), 6};
        _ when Left > 0 -> timer:sleep(20), bridge_port(Left - 20);
        _ -> noport
    end.

names(_) ->
    {error, address}.
