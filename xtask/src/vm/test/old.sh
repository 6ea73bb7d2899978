# Connections that are older than the agent, of the host and behind NAT: it looks for who holds the socket.

# What is written to these is sent on the connections.
mkfifo /tmp/from-host /tmp/from-ct
exec 8<>/tmp/from-host 9<>/tmp/from-ct
connect_from host $SERVER 445 /tmp/from-host
in_host=$!
connect_from ct $SERVER 445 /tmp/from-ct
in_ct=$!

# connections NAMESPACE: how many are established to the server.
connections() {
    inside "$1" /test/ss -Htn state established dst $SERVER | wc -l
}

both_are_connected() {
    [ "$(connections host) $(connections ct)" = '1 1' ]
}

await 'old connections' both_are_connected
start old 'eth0 ct0'
cat /tmp/smb >&8
cat /tmp/smb >&9
for pair in 10.20.0.5=$in_host 10.9.0.2=$in_ct; do
    heard smb-spoken $SERVER 445 "\"source\":{[^}]*\"ip\":\"${pair%=*}\"" \
        "\"process\":{\"pid\":${pair#*=},.*\"name\":\"nc\"" '"midstream":true' '"method":"socket-diag"'
done
stop
exec 8>&- 9>&-
