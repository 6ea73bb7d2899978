# Links go with the agent that made them; filters stay, until the next one comes.

echo 'interfaces.back_end = "clsact"' >/tmp/clsact.toml
start killed eth0 --config /tmp/clsact.toml
kill -KILL "$agent"
wait "$agent"
[ "$(filters egress smbwatch_egress)" = 1 ] || failed 'the killed agent has left no filter'
start again eth0 --config /tmp/clsact.toml
has /tmp/again.err 'attached to eth0 (clsact)' || failed 'not attached by clsact'
[ "$(filters egress smbwatch_egress)" = 1 ] || failed 'not one filter at egress after a kill'
[ "$(filters ingress smbwatch_reply)" = 1 ] || failed 'not one filter at ingress after a kill'
connect $SERVER 445
told connection-established $SERVER 445
stop
[ "$(filters egress smbwatch)" = 0 ] || failed 'a filter is left'
