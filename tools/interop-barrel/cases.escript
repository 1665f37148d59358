#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -noinput
%% The cases of tools/interop-barrel/run, as TAP.
-mode(compile).

main(Args) ->
    put(options, options(Args, #{only => ""})),
    {ok, Peer} = file:read_file(filename:join(opt(work), "other_side.erl")),
    true = is_binary(Peer),
    compile_peer(),
    Cases = [C || {Name, _} = C <- cases(), string:find(Name, opt(only)) =/= nomatch],
    io:format("1..~b~n", [length(Cases)]),
    Failed = [N || {N, {Name, Run}} <- lists:zip(lists:seq(1, length(Cases)), Cases),
        not tap(N, Name, Run)],
    io:format("# ~b of ~b hold~n", [length(Cases) - length(Failed), length(Cases)]),
    halt(min(length(Failed), 1)).

options(["--" ++ Name, Value | T], O) -> options(T, O#{list_to_atom(Name) => Value});
options([], O) -> O.

opt(Name) -> maps:get(Name, get(options)).

tap(N, Name, Run) ->
    put(case_no, N),
    put(started, []),
    put(peer, none),
    T0 = erlang:monotonic_time(millisecond),
    Result =
        try Run() of
            {skip, Why} -> {skip, Why};
            _ -> ok
        catch
            Class:Reason:Stack -> {Class, Reason, Stack}
        end,
    Ms = erlang:monotonic_time(millisecond) - T0,
    case Result of
        ok ->
            io:format("ok ~b - ~s # ~b ms~n", [N, Name, Ms]);
        {skip, NotHere} ->
            io:format("ok ~b - ~s # SKIP ~s~n", [N, Name, NotHere]);
        {C, R, S} ->
            io:format("not ok ~b - ~s # ~b ms~n", [N, Name, Ms]),
            Text = io_lib:format("~p: ~P~n~P", [C, R, 40, S, 30]),
            [io:format("#   ~ts~n", [L]) || L <- string:split(Text, "\n", all)],
            catch stacks(),
            [tail(F) || F <- filelib:wildcard(dir() ++ "/*.log")]
    end,
    stop_all(),
    Result =:= ok orelse element(1, Result) =:= skip.

%% Where their distribution is.
stacks() ->
    E = get(peer),
    L = answer(E, asked(E, "other_side:stacks()", []), 3000),
    [io:format("#   ~s ~0p~n", [P, F]) || {P, F} <- L].

tail(File) ->
    {ok, B} = file:read_file(File),
    Lines = string:split(string:trim(B), "\n", all),
    Last = lists:nthtail(max(0, length(Lines) - 20), Lines),
    [io:format("#   ~s: ~ts~n", [filename:basename(File), L]) || L <- Last, byte_size(L) < 2000].

%% ---- what is started -------------------------------------------------------

dir() ->
    D = filename:join(opt(work), integer_to_list(get(case_no))),
    ok = filelib:ensure_dir(filename:join(D, "x")),
    D.

compile_peer() ->
    W = opt(work),
    Cmd = io_lib:format(
        "cd ~s && ~s -noshell -eval 'halt(case compile:file(\"other_side\") of "
        "{ok,_} -> 0; _ -> 1 end)' 2>&1 || echo FAILED",
        [W, opt(erl)]
    ),
    case os:cmd(lists:flatten(Cmd)) of
        "" -> ok;
        Out -> io:format("Bail out! ~s~n", [Out]), halt(2)
    end.

started(Pid) -> put(started, [Pid | get(started)]).

stop_all() ->
    [kill(P) || P <- get(started)],
    put(started, []).

kill(OsPid) ->
    _ = os:cmd("kill -9 " ++ integer_to_list(OsPid) ++ " 2>/dev/null"),
    wait_gone(OsPid, 100).

wait_gone(_, 0) -> error(still_there);
wait_gone(OsPid, N) ->
    %% A zombie has ended when its threads have, too.
    Proc = "/proc/" ++ integer_to_list(OsPid),
    case {file:read_file(Proc ++ "/stat"), file:list_dir(Proc ++ "/task")} of
        {{ok, Stat}, {ok, Tasks}} ->
            [_, Rest] = string:split(Stat, ") "),
            case {Rest, Tasks} of
                {<<"Z", _/binary>>, [_]} -> ok;
                _ -> timer:sleep(20), wait_gone(OsPid, N - 1)
            end;
        _ -> ok
    end.

free_port() ->
    {ok, S} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}]),
    {ok, P} = inet:port(S),
    gen_udp:close(S),
    P.

%% An identity in a folder; its public key.
identity(Dir) ->
    {Pub, Seed} = crypto:generate_key(eddsa, ed25519),
    Keys = filename:join(Dir, "keys"),
    ok = filelib:ensure_dir(filename:join([Keys, "trusted", "x"])),
    ok = secret(filename:join(Keys, "node.key"), Seed),
    ok = secret(filename:join(Keys, "node.pub"), Pub),
    Pub.

secret(File, Data) ->
    ok = file:write_file(File, Data),
    file:change_mode(File, 8#600).

pin(Dir, Name, Key) ->
    secret(filename:join([Dir, "keys", "trusted", Name ++ ".pub"]), Key).

%% A side before it runs: name, port, folder, key.
side(Word) ->
    Name = Word ++ "@127.0.0.1",
    Dir = filename:join(dir(), Word),
    #{name => Name, port => free_port(), dir => Dir, key => identity(Dir),
        cookie => "a cookie", trust => strict, word => Word, log => dir() ++ "/" ++ Word ++ ".log"}.

pair() -> {side("c"), side("e")}.
pair(How) -> pair(How, "c").
pair(How, Ours) ->
    {C, E} = {side(Ours), side("e")},
    case How of
        pinned ->
            pin(maps:get(dir, C), maps:get(name, E), maps:get(key, E)),
            pin(maps:get(dir, E), maps:get(name, C), maps:get(key, C)),
            {C, E};
        tofu -> {C#{trust => tofu}, E#{trust => tofu}}
    end.

%% ---- their node -----------------------------------------------------------

start_peer(S, Known) -> start_peer(S, Known, "").
start_peer(#{name := Name, port := Port, dir := Dir, cookie := Cookie, trust := Trust} = S, Known, Host0) ->
    Host = case Host0 of "" -> "127.0.0.1"; _ -> Host0 end,
    Nodes = [{list_to_atom(N), {Host, P}} || #{name := N, port := P} <- Known],
    Config = [
        {kernel, [{logger_level, notice}]},
        {barrel_p2p, [
            {listen_port, Port}, {auth_enabled, true}, {auth_trust_mode, Trust},
            {auth_key_dir, Dir ++ "/keys"}, {quic_cert_dir, Dir ++ "/quic"},
            {dist_cookie, list_to_atom(Cookie)},
            {discovery_dir, maps:get(discovery, S, Dir ++ "/discovery")},
            {reminder_data_dir, Dir ++ "/reminders"}, {barrel_p2p_map_data_dir, Dir ++ "/maps"}
        ]},
        {quic, [{dist, [{nodes, Nodes}]}]}
    ],
    ok = file:write_file(Dir ++ "/sys.config", io_lib:format("~p.~n", [Config])),
    Ebin = [io_lib:format(" -pa ~s/~s/ebin", [opt(upstream), A]) || A <- ["barrel_p2p", "quic", "hlc", "instrument"]],
    Cmd = io_lib:format(
        "cd ~s && exec env ERL_LIBS=~s ~s -noshell -name ~s -setcookie '~s' -proto_dist barrel_p2p "
        "-epmd_module barrel_p2p_epmd -start_epmd false -barrel_p2p_dist_port ~b "
        "-barrel_p2p_dist_cert_dir ~s/quic -config ~s/sys -pa ~s~s -s other_side start 2>>~s",
        [Dir, opt(upstream), opt(erl), Name, Cookie, Port, Dir, Dir, opt(work), Ebin, maps:get(log, S)]
    ),
    P = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", lists:flatten(Cmd)]},
        {line, 1 bsl 26}, binary, exit_status]),
    {os_pid, Os} = erlang:port_info(P, os_pid),
    started(Os),
    Self = S#{io => P, os => Os},
    put(peer, Self),
    <<"READY ", _/binary>> = wait_line(Self, <<"READY ">>, 20000),
    Self.

wait_line(#{io := P, log := Log} = S, Start, Ms) ->
    Size = byte_size(Start),
    receive
        {P, {data, {eol, <<Start:Size/binary, _/binary>> = Line}}} -> Line;
        {P, {data, {eol, <<"ANSWER ", Rest/binary>> = Line}}} ->
            %% another's, who has not asked for it yet
            [Id, _] = string:split(Rest, " "),
            put({heard, <<"ANSWER ", Id/binary, " ">>}, Line),
            wait_line(S, Start, Ms);
        {P, {data, {_, Line}}} ->
            ok = file:write_file(Log, [Line, "\n"], [append]),
            wait_line(S, Start, Ms);
        {P, {exit_status, N}} -> error({peer_ended, N})
    after Ms -> error({no_line, Start})
    end.

ask(S, Format, Args) -> answer(S, asked(S, Format, Args), patience()).

%% Asks and does not wait.
asked(#{io := P}, Format, Args) ->
    Id = erlang:unique_integer([positive]),
    Text = io_lib:format("~b " ++ Format ++ ".~n", [Id | Args]),
    true = port_command(P, unicode:characters_to_binary(Text)),
    Id.

answer(S, Id, Ms) ->
    Start = iolist_to_binary(io_lib:format("ANSWER ~b ", [Id])),
    Line = case erase({heard, Start}) of
        undefined -> wait_line(S, Start, Ms);
        Heard -> Heard
    end,
    binary_to_term(base64:decode(binary:part(Line, byte_size(Start), byte_size(Line) - byte_size(Start)))).

node_of(#{name := N}) -> list_to_atom(N).

%% ---- our node ---------------------------------------------------------------

start_ours(S, Known) -> start_ours(S, Known, #{}).
start_ours(#{name := Name, port := Port, dir := Dir, cookie := Cookie, trust := Trust} = S, Known, O) ->
    Cmd = io_lib:format("exec ~s 2>>~s", [opt(tool), maps:get(log, S)]),
    P = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", lists:flatten(Cmd)]},
        {packet, 4}, binary, exit_status]),
    {os_pid, Os} = erlang:port_info(P, os_pid),
    started(Os),
    Self = S#{tool => P, os => Os},
    Addresses = [{bin(N), bin("127.0.0.1:" ++ integer_to_list(KP))} || #{name := N, port := KP} <- Known],
    {ok, _, {Port, Key}} = do(Self, {open, bin(Dir), bin(Name), bin(Cookie), Trust,
        bin(maps:get(address, O, "127.0.0.1")), Port, Addresses, maps:get(visible, O, false),
        bin(maps:get(discovery, O, "")), maps:get(dials, O, false)}),
    Key = maps:get(key, S),
    Self.

bin(T) -> iolist_to_binary(T).

do(S, Op) -> done(tell(S, Op), patience()).
tell(#{tool := P}, Op) ->
    true = port_command(P, term_to_binary(Op)),
    P.
done(P, Ms) ->
    receive
        {P, {data, B}} -> binary_to_term(B);
        {P, {exit_status, N}} -> error({tool_ended, N})
    after Ms -> error(tool_is_silent)
    end.

connect(C, E) -> do(C, {connect, bin(maps:get(name, E)), 15000}).
%% Upstream copies what it has of a message at each packet: 8 MiB take 16 s on a
%% machine with nothing else to do, and minutes on a busy one.
patience() -> 600000.
rpc(C, E, M, F, A) -> rpc(C, E, M, F, A, patience()).
rpc(C, E, M, F, A, Ms) -> do(C, {rpc, bin(maps:get(name, E)), bin(":" ++ M), bin(F), A, Ms}).
call(C, E, Proc, Req) -> do(C, {call, bin(maps:get(name, E)), bin(Proc), Req, patience()}).

is_ok({ok, _, _}) -> ok;
is_ok(Other) -> error({not_ok, Other}).

same(X, X) -> ok;
same(Want, Got) -> error({wanted, Want, got, Got}).

until(Want, Fun) -> until(Want, Fun, 50).
until(Want, Fun, N) ->
    case Fun() of
        Want -> ok;
        Got when N =:= 0 -> error({wanted, Want, got, Got});
        _ -> timer:sleep(100), until(Want, Fun, N - 1)
    end.

%% Refused, and the sentence has this word in it.
refused(Word, {error, Why, _}) ->
    case string:find(Why, Word) of
        nomatch -> error({no_word, Word, Why});
        _ -> io:format("# ~s~n", [Why])
    end;
refused(_, Other) -> error({not_refused, Other}).

grant(C, E) -> is_ok(do(C, {grant, maps:get(key, E)})).

%% Both run, pinned, not connected, and may call each other.
up() -> up(pinned, #{}).
up(How, O) ->
    {C0, E0} = pair(How, maps:get(word, O, "c")),
    E = start_peer(E0, [C0]),
    C = start_ours(C0, [E0], O),
    grant(C, E),
    {C, E}.

%% The same, connected by one of them.
linked(we_dial) ->
    {C, E} = up(),
    is_ok(connect(C, E)),
    {C, E};
linked(they_dial) ->
    {C, E} = up(),
    same(true, ask(E, "net_kernel:connect_node(~p)", [node_of(C)])),
    {C, E}.

%% ---- the cases ----------------------------------------------------------------

cases() ->
    lists:append([
        [{Name ++ " (" ++ text(Dir) ++ ")", fun() -> Run(Dir) end} || {Name, Run} <- both(), Dir <- [we_dial, they_dial]],
        single()
    ]).

text(we_dial) -> "we dial";
text(they_dial) -> "they dial".

both() ->
    [
        {"strict, pinned", fun strict/1},
        {"strict, pinned here under another key", fun(D) -> wrong_pin(D, ours) end},
        {"strict, pinned there under another key", fun(D) -> wrong_pin(D, theirs) end},
        {"strict, not pinned here", fun(D) -> unpinned(D, ours) end},
        {"strict, not pinned there", fun(D) -> unpinned(D, theirs) end},
        {"tofu", fun tofu/1},
        {"another cookie", fun cookie/1},
        {"our rpc", fun our_rpc/1},
        {"their rpc and erpc", fun their_rpc/1},
        {"gen_server:call both ways", fun calls/1},
        {"messages both ways", fun messages/1},
        {"not there, not granted", fun refusals/1},
        {"monitors", fun monitors/1},
        {"200 calls in turn, 64 at once, both ways", fun load/1},
        {"1 MiB both ways", fun(D) -> payload(D, 1 bsl 20) end},
        {"5 MiB both ways", fun(D) -> payload(D, 5 bsl 20) end},
        {"8 MiB both ways", fun(D) -> payload(D, 8 bsl 20) end},
        {"64 calls of 48000 bytes at once, both ways", fun load_big/1},
        {"our process is killed", fun we_die/1},
        {"theirs is killed", fun they_die/1},
        {"we disconnect and connect again", fun we_disconnect/1},
        {"they disconnect and connect again", fun they_disconnect/1}
    ].

single() ->
    [
        {"both dial at the same time, theirs wins", fun() -> simultaneous("c") end},
        {"both dial at the same time, ours wins", fun() -> simultaneous("g") end},
        {"they dial us over IPv6", fun ipv6/0},
        {"found by endpoint files", fun files/0},
        {"a visible node", fun visible/0},
        {"global and pg of two of theirs, with ours visible", fun global_and_pg/0},
        {"ours is killed and comes back by itself", fun comes_back/0},
        {"their key is rotated", fun rotated/0},
        {"theirs is killed and stays away", fun they_stay_away/0}
    ].

strict(D) ->
    {C, E} = linked(D),
    until([node_of(C)], fun() -> ask(E, "nodes(hidden)", []) end),
    same([], ask(E, "nodes()", [])),
    until({ok, bin(maps:get(name, E)), []}, fun() -> do(C, {nodes}) end),
    same({ok, <<>>, maps:get(key, E)}, do(C, {pinned, bin(maps:get(name, E))})).

%% They have forgotten us, in their net_kernel too.
gone(C, E) ->
    until({[], []}, fun() -> ask(E, "{nodes(connected), [X || X <- ets:lookup(sys_dist, ~p), element(1, X) =:= connection]}", [node_of(C)]) end).

try_to(we_dial, C, E) -> connect(C, E);
try_to(they_dial, C, E) ->
    case ask(E, "net_kernel:connect_node(~p)", [node_of(C)]) of
        true -> {ok, <<>>, []};
        false -> {error, <<"false">>, []}
    end.

attempt(D, C0, E0, Word) ->
    E = start_peer(E0, [C0]),
    C = start_ours(C0, [E0]),
    W = case D of we_dial -> Word; they_dial -> "false" end,
    refused(W, try_to(D, C, E)),
    timer:sleep(300),
    same({ok, <<>>, []}, do(C, {nodes})),
    same([], ask(E, "nodes(connected)", [])),
    {C, E}.

wrong_pin(D, Whose) ->
    {C, E} = pair(pinned),
    {Other, _} = crypto:generate_key(eddsa, ed25519),
    case Whose of
        ours -> pin(maps:get(dir, C), maps:get(name, E), Other);
        theirs -> pin(maps:get(dir, E), maps:get(name, C), Other)
    end,
    attempt(D, C, E, "key").

unpinned(D, Whose) ->
    {C, E} = pair(),
    case Whose of
        ours -> pin(maps:get(dir, E), maps:get(name, C), maps:get(key, C));
        theirs -> pin(maps:get(dir, C), maps:get(name, E), maps:get(key, E))
    end,
    attempt(D, C, E, "untrusted").

tofu(D) ->
    {C, E} = up(tofu, #{}),
    is_ok(try_to(D, C, E)),
    {Cd, Ck, Cn} = {maps:get(dir, C), maps:get(key, C), maps:get(name, C)},
    {Ed, Ek, En} = {maps:get(dir, E), maps:get(key, E), maps:get(name, E)},
    same({ok, Ek}, file:read_file(filename:join([Cd, "keys", "trusted", En ++ ".pub"]))),
    until({ok, Ck}, fun() -> file:read_file(filename:join([Ed, "keys", "trusted", Cn ++ ".pub"])) end),
    %% and a second time, now that both are pinned
    kill(maps:get(os, C)),
    C2 = start_ours(maps:without([tool, os], C), [E]),
    until(ok, fun() -> catch is_ok(try_to(D, C2, E)) end, 100),
    same({ok, <<>>, 3}, rpc(C2, E, "erlang", "abs", [-3])).

cookie(D) ->
    {C, E} = pair(pinned),
    attempt(D, C#{cookie => "another"}, E, "cookie").

our_rpc(D) ->
    {C, E} = linked(D),
    Value = {a, 1, -1, 1.5, [1, 2 | 3], "text", <<"bin">>, <<1:3>>, #{k => v, 2 => []}, 1 bsl 70, -(1 bsl 200), 'é'},
    same({ok, <<>>, Value}, rpc(C, E, "other_side", "echo", [Value])),
    same({ok, <<>>, "27"}, rpc(C, E, "erlang", "system_info", [otp_release])),
    {error, <<"REMOTE">>, {'EXIT', {undef, _}}} = rpc(C, E, "other_side", "nothing", []),
    {error, <<"REMOTE">>, {'EXIT', {on_purpose, _}}} = rpc(C, E, "other_side", "fail", []),
    {error, <<"TIMEOUT">>, _} = rpc(C, E, "other_side", "sleep", [3000], 300),
    same({ok, <<>>, node_of(E)}, rpc(C, E, "erlang", "node", [])).

their_rpc(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    Value = {a, 1, -1, 1.5, [1, 2 | 3], "text", <<"bin">>, #{k => v}, 1 bsl 70},
    same(Value, ask(E, "rpc:call(~0p, capp, echo, [~0p])", [N, Value])),
    same(Value, ask(E, "erpc:call(~0p, capp, echo, [~0p])", [N, Value])),
    same(3, ask(E, "erpc:call(~0p, capp, size, [<<1,2,3>>])", [N])),
    same(Value, ask(E, "rpc:block_call(~0p, capp, echo, [~0p], 5000)", [N, Value])),
    same([{ok, 1}], ask(E, "erpc:multicall([~0p], capp, echo, [1])", [N])),
    same({value, 7}, ask(E, "K = rpc:async_call(~0p, capp, echo, [7]), rpc:nb_yield(K, 5000)", [N])),
    same(9, ask(E, "R = erpc:send_request(~0p, capp, echo, [9]), erpc:receive_response(R, 5000)", [N])).

calls(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    Value = {x, [1], #{}},
    same(Value, ask(E, "gen_server:call({echo, ~p}, ~p)", [N, Value])),
    same(awake, ask(E, "gen_server:call({slow, ~p}, 200)", [N])),
    same(Value, ask(E, "gen_statem:call({echo, ~p}, ~p)", [N, Value])),
    same({reply, Value}, ask(E, "R = gen_server:send_request({echo, ~p}, ~p), gen_server:receive_response(R, 5000)", [N, Value])),
    {'exit', {timeout, _}} = ask(E, "gen_server:call({slow, ~p}, 1000, 100)", [N]),
    same({error, refused}, ask(E, "gen_server:call({fail, ~p}, x)", [N])),
    same({ok, <<>>, Value}, call(C, E, "echo", Value)),
    {error, <<"REMOTE">>, noproc} = call(C, E, "nobody", Value),
    timer:sleep(1200),
    same(1, ask(E, "gen_server:call({echo, ~p}, 1)", [N])).

messages(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    ask(E, "{sink, ~p} ! {hello, 1}", [N]),
    until({ok, <<"1">>, {hello, 1}}, fun() -> do(C, {sunk}) end),
    ask(E, "[{sink, ~p} ! I || I <- lists:seq(1, 500)]", [N]),
    timer:sleep(1000),
    same({ok, <<"500">>, 500}, do(C, {sunk})),
    ask(E, "gen_server:cast({sink, ~p}, fifth)", [N]),
    until({ok, <<"1">>, fifth}, fun() -> do(C, {sunk}) end),
    same(pong, ask(E, "net_adm:ping(~p)", [N])),
    [is_ok(do(C, {send, bin(maps:get(name, E)), <<"sink">>, I})) || I <- lists:seq(1, 500)],
    same(lists:seq(1, 500), ask(E, "other_side:get_sunk(500)", [])),
    is_ok(do(C, {send, bin(maps:get(name, E)), <<"nobody">>, lost})),
    same({ok, <<>>, 1}, rpc(C, E, "erlang", "abs", [-1])).

refusals(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    {'exit', {noproc, _}} = ask(E, "gen_server:call({nobody, ~p}, x)", [N]),
    Closed = ask(E, "gen_server:call({closed, ~p}, x, 5000)", [N]),
    io:format("# call of what is not granted: ~P~n", [Closed, 12]),
    true = Closed =/= x,
    {badrpc, Rpc} = ask(E, "rpc:call(~p, capp, secret, [], 5000)", [N]),
    io:format("# rpc of what is not granted: ~P~n", [Rpc, 12]),
    {badrpc, None} = ask(E, "rpc:call(~p, os, cmd, [\"id\"], 5000)", [N]),
    io:format("# rpc of what is not there: ~P~n", [None, 12]),
    {error, _} = ask(E, "erpc:call(~p, capp, secret, [], 5000)", [N]),
    ask(E, "{nobody, ~p} ! lost", [N]),
    ask(E, "{closed, ~p} ! lost", [N]),
    same(pong, ask(E, "net_adm:ping(~p)", [N])),
    %% what a C node has no use for is no end either
    ask(E, "spawn(~p, other_side, echo, [1])", [N]),
    ask(E, "group_leader(), erlang:monitor(process, {nobody, ~p}), receive {'DOWN',_,_,_,noproc} -> noproc after 2000 -> error(late) end", [N]),
    same(1, ask(E, "gen_server:call({echo, ~p}, 1)", [N])),
    same([node_of(C)], ask(E, "nodes(hidden)", [])).

monitors(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    En = bin(maps:get(name, E)),
    {ok, _, M1} = do(C, {monitor, En, <<"sink">>}),
    {ok, _, M2} = do(C, {monitor, En, <<"nobody">>}),
    {ok, _, M3} = do(C, {monitor, En, <<>>}),
    same({ok, <<>>, noproc}, do(C, {wait_down, M2, 5000})),
    ask(E, "exit(whereis(sink), gone)", []),
    same({ok, <<>>, gone}, do(C, {wait_down, M1, 5000})),
    Id = asked(E, "monitor_node(~p, true), erlang:monitor(process, {echo, ~p}), "
        "receive {'DOWN',_,process,P,_} = X -> receive {nodedown, Nd} -> {P, element(5, X), Nd} after 5000 -> late end after 20000 -> late end", [N, N]),
    timer:sleep(500),
    is_ok(do(C, {disconnect, En})),
    same({{echo, N}, noconnection, N}, answer(E, Id, 30000)),
    same({ok, <<>>, noconnection}, do(C, {wait_down, M3, 5000})).

load(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    En = bin(maps:get(name, E)),
    same({ok, <<>>, 200}, do(C, {load, false, 200, En, <<":other_side">>, <<"echo">>, [abc], abc, 20000})),
    same({ok, <<>>, 64}, do(C, {load, true, 64, En, <<":other_side">>, <<"echo">>, [abc], abc, 20000})),
    same(200, ask(E, "other_side:load(seq, 200, ~p, {capp, echo, [abc]}, abc)", [N])),
    same(64, ask(E, "other_side:load(par, 64, ~p, {capp, echo, [abc]}, abc)", [N])).

%% All of them fit into max_output_bytes, and into max_queue_bytes_per_link.
load_big(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    En = bin(maps:get(name, E)),
    Big = binary:copy(<<"abcdefgh">>, 6000),
    same({ok, <<>>, 64}, do(C, {load, true, 64, En, <<":other_side">>, <<"echo">>, [Big], Big, 20000})),
    same(64, ask(E, "B = binary:copy(<<\"abcdefgh\">>, 6000), other_side:load(par, 64, ~p, {capp, echo, [B]}, B)", [N])),
    same({ok, <<>>, 1}, rpc(C, E, "erlang", "abs", [-1])).

payload(D, Size) ->
    {C, E} = linked(D),
    N = node_of(C),
    En = bin(maps:get(name, E)),
    Big = crypto:strong_rand_bytes(Size),
    T0 = erlang:monotonic_time(millisecond),
    same({ok, <<>>, Size}, rpc(C, E, "erlang", "byte_size", [Big])),
    T1 = erlang:monotonic_time(millisecond),
    {ok, <<>>, Back} = rpc(C, E, "crypto", "strong_rand_bytes", [Size]),
    same(Size, byte_size(Back)),
    T2 = erlang:monotonic_time(millisecond),
    io:format("# there: ~b ms, here: ~b ms~n", [T1 - T0, T2 - T1]),
    {ok, <<>>, Big} = rpc(C, E, "other_side", "echo", [Big]),
    {ok, <<>>, Big} = call(C, E, "echo", Big),
    same(Size, ask(E, "erpc:call(~p, capp, size, [crypto:strong_rand_bytes(~b)])", [N, Size])),
    same(true, ask(E, "B = crypto:strong_rand_bytes(~b), B =:= rpc:call(~p, capp, echo, [B])", [Size, N])),
    same(true, ask(E, "B = crypto:strong_rand_bytes(~b), B =:= gen_server:call({echo, ~p}, B, ~b)", [Size, N, patience()])),
    ask(E, "{sink, ~p} ! crypto:strong_rand_bytes(~b), ok", [N, Size]),
    until(Size, fun() -> {ok, _, B} = do(C, {sunk}), catch byte_size(B) end, 3000),
    is_ok(do(C, {send, En, <<"sink">>, Big})),
    same([Size], ask(E, "[byte_size(B) || B <- other_side:get_sunk(1)]", [])).

we_die(D) ->
    {C, E} = linked(D),
    N = node_of(C),
    Id = asked(E, "monitor_node(~p, true), T = erlang:monotonic_time(millisecond), R = rpc:call(~p, nothing, slow, []), "
        "S = (catch gen_server:call({slow, ~p}, 60000, 60000)), receive {nodedown, Nd} -> {Nd, R, S, erlang:monotonic_time(millisecond) - T} after 90000 -> late end", [N, N, N]),
    timer:sleep(700),
    kill(maps:get(os, C)),
    C2 = start_ours(maps:without([tool, os], C), [E]),
    grant(C2, E),
    T0 = erlang:monotonic_time(millisecond),
    until(ok, fun() -> catch is_ok(connect(C2, E)) end, 100),
    io:format("# connected again after ~b ms~n", [erlang:monotonic_time(millisecond) - T0]),
    same({ok, <<>>, 3}, rpc(C2, E, "erlang", "abs", [-3])),
    same(1, ask(E, "gen_server:call({echo, ~p}, 1)", [N])),
    {N, _, {'EXIT', {{nodedown, N}, _}}, Ms} = answer(E, Id, 95000),
    io:format("# they noticed within ~b ms~n", [Ms]).

they_die(D) ->
    {C, E} = linked(D),
    En = bin(maps:get(name, E)),
    {ok, _, M} = do(C, {monitor, En, <<>>}),
    kill(maps:get(os, E)),
    T0 = erlang:monotonic_time(millisecond),
    E2 = start_peer(maps:without([io, os], E), [C]),
    until(true, fun() -> ask(E2, "net_kernel:connect_node(~p)", [node_of(C)]) end, 100),
    same({ok, <<>>, noconnection}, do(C, {wait_down, M, 70000})),
    io:format("# noticed and connected again within ~b ms~n", [erlang:monotonic_time(millisecond) - T0]),
    same({ok, <<>>, 3}, rpc(C, E2, "erlang", "abs", [-3])),
    same(1, ask(E2, "gen_server:call({echo, ~p}, 1)", [node_of(C)])).

we_disconnect(D) ->
    {C, E} = linked(D),
    [begin
        is_ok(do(C, {disconnect, bin(maps:get(name, E))})),
        gone(C, E),
        is_ok(try_to(D, C, E)),
        same({ok, <<>>, 3}, rpc(C, E, "erlang", "abs", [-3]))
    end || _ <- lists:seq(1, case D of we_dial -> 40; they_dial -> 5 end)].

they_disconnect(D) ->
    {C, E} = linked(D),
    [begin
        true = ask(E, "erlang:disconnect_node(~p)", [node_of(C)]),
        %% D14: nothing of it goes over the wire
        case D of
            we_dial -> is_ok(do(C, {disconnect, bin(maps:get(name, E))}));
            they_dial -> ok
        end,
        is_ok(try_to(D, C, E)),
        same({ok, <<>>, 3}, rpc(C, E, "erlang", "abs", [-3]))
    end || _ <- lists:seq(1, 5)].

simultaneous(Word) ->
    {C, E} = up(tofu, #{word => Word}),
    N = node_of(C),
    En = bin(maps:get(name, E)),
    [begin
        P = tell(C, {connect, En, 15000}),
        Id = asked(E, "net_kernel:connect_node(~p)", [N]),
        true = answer(E, Id, 20000),
        is_ok(done(P, 20000)),
        same({ok, <<>>, 3}, rpc(C, E, "erlang", "abs", [-3])),
        same(I, ask(E, "gen_server:call({echo, ~p}, ~b)", [N, I])),
        until({ok, En, []}, fun() -> do(C, {nodes}) end),
        until([N], fun() -> ask(E, "nodes(hidden)", []) end),
        is_ok(do(C, {disconnect, En})),
        gone(C, E),
        timer:sleep(250) %% our gate lets so many strangers in
    end || I <- lists:seq(1, 20)].

%% Before 1.5 it asks for the server "::1" by TLS, which is no name.
ipv6() ->
    {C0, E0} = pair(pinned),
    E = start_peer(E0, [C0], "::1"),
    {ok, Quic} = ask(E, "application:get_key(quic, vsn)", []),
    case [list_to_integer(N) || N <- string:lexemes(Quic, ".")] >= [1, 5] of
        true -> ipv6(C0, E);
        false -> {skip, "erlang_quic " ++ Quic ++ " has no IPv6"}
    end.

ipv6(C0, E) ->
    C = start_ours(C0, [], #{address => "::"}),
    grant(C, E),
    same(true, ask(E, "net_kernel:connect_node(~p)", [node_of(C)])),
    same(1, ask(E, "gen_server:call({echo, ~p}, 1)", [node_of(C)])),
    same({ok, <<>>, 3}, rpc(C, E, "erlang", "abs", [-3])).

files() ->
    {C0, E0} = pair(pinned),
    Dir = filename:join(dir(), "discovery"),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    E = start_peer(E0#{discovery => Dir}, []),
    C = start_ours(C0, [], #{discovery => Dir}),
    grant(C, E),
    is_ok(connect(C, E)),
    same({ok, <<>>, 3}, rpc(C, E, "erlang", "abs", [-3])),
    is_ok(do(C, {disconnect, bin(maps:get(name, E))})),
    gone(C, E),
    same(true, ask(E, "net_kernel:connect_node(~p)", [node_of(C)])),
    same(1, ask(E, "gen_server:call({echo, ~p}, 1)", [node_of(C)])).

visible() ->
    {C, E} = up(pinned, #{visible => true}),
    is_ok(connect(C, E)),
    until([node_of(C)], fun() -> ask(E, "nodes()", []) end),
    [begin
        same({ok, <<>>, 3}, rpc(C, E, "erlang", "abs", [-3])),
        same(1, ask(E, "gen_server:call({echo, ~p}, 1)", [node_of(C)])),
        timer:sleep(1000)
    end || _ <- lists:seq(1, 8)],
    same([node_of(C)], ask(E, "nodes()", [])).

%% Neither of theirs waits for what ours does not have.
global_and_pg() ->
    [C0, E0, F0] = All = [side(W) || W <- ["c", "e", "f"]],
    [pin(maps:get(dir, A), maps:get(name, B), maps:get(key, B)) || A <- All, B <- All, A =/= B],
    E = start_peer(E0, [C0, F0]),
    F = start_peer(F0, [C0, E0]),
    C = start_ours(C0, [E0, F0], #{visible => true}),
    same(true, ask(E, "net_kernel:connect_node(~p)", [node_of(F)])),
    [is_ok(connect(C, X)) || X <- [E, F]],
    [until([node_of(C), node_of(Y)], fun() -> lists:sort(ask(X, "nodes()", [])) end) || {X, Y} <- [{E, F}, {F, E}]],
    [begin
        same(done, soon(X, "global:trans({a_lock, self()}, fun() -> done end)")),
        same(ok, soon(X, "global:sync()"))
    end || X <- [E, F]],
    same(yes, soon(E, "global:register_name(the_name, whereis(echo))")),
    until(node_of(E), fun() -> soon(F, "catch node(global:whereis_name(the_name))") end),
    [soon(X, "catch pg:start(pg)") || X <- [E, F]],
    same(ok, soon(E, "pg:join(a_group, whereis(echo))")),
    until(1, fun() -> soon(F, "length(pg:get_members(a_group))") end),
    same(noproc, soon(E, "R = monitor(process, {global_name_server, '" ++ maps:get(name, C) ++
        "'}), receive {'DOWN', R, _, _, Why} -> Why end")).

soon(S, Text) -> answer(S, asked(S, Text, []), 10000).

%% They do not dial again what they have lost: upstream sets dist_auto_connect once.
comes_back() ->
    {C0, E0} = pair(pinned),
    E = start_peer(E0, [C0]),
    C = start_ours(C0, [E0], #{dials => true}),
    until([node_of(C)], fun() -> ask(E, "nodes(hidden)", []) end),
    kill(maps:get(os, C)),
    C1 = start_ours(C0, [E0], #{dials => true}),
    grant(C1, E),
    %% Theirs may have to notice first that the old one has gone.
    until(1, fun() -> ask(E, "catch gen_server:call({echo, ~p}, 1, 1000)", [node_of(C)]) end, 300).

rotated() ->
    {C, E} = linked(we_dial),
    {ok, _} = ask(E, "barrel_p2p_rotate:rotate_identity()", []),
    is_ok(do(C, {disconnect, bin(maps:get(name, E))})),
    gone(C, E),
    refused("key", connect(C, E)).

they_stay_away() ->
    {C, E} = linked(we_dial),
    {ok, _, M} = do(C, {monitor, bin(maps:get(name, E)), <<>>}),
    P = tell(C, {call, bin(maps:get(name, E)), <<"sink">>, nothing, 90000}),
    kill(maps:get(os, E)),
    {error, <<"CLOSED">>, _} = done(P, 80000),
    same({ok, <<>>, noconnection}, do(C, {wait_down, M, 5000})),
    {error, _, _} = connect(C, E).
