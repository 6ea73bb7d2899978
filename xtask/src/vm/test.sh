# What is asked of every kernel: load, attach, tell each grade, IPv4 and IPv6, VLAN tags, no link header, no leftovers.
#
#   host                              net, the Internet
#   eth0 10.20.0.5/24 ─────────────── eth0 10.20.0.1/24, lo 93.184.216.34 and 2606:2800:220:1::1
#   eth0.7 10.7.0.5/24 ────────────── eth0.7 10.7.0.1/24, 93.184.216.7
#   eth0.7.9 10.9.0.5/24 ──────────── eth0.7.9 10.9.0.1/24, 93.184.216.9
#   wg0 10.30.0.5/24 fd00:30::5/64 (no peer)
set -u
run=
clients=

SERVER=93.184.216.34
SERVER6=2606:2800:220:1::1

# By name, busybox prefers its own.
ip() { /test/ip "$@"; }

failed() {
    echo "guest: failed: $*"
    for file in "/tmp/$run.err" "/tmp/$run.json" /run/smbwatch/*.log; do
        [ -e "$file" ] || continue
        echo "--- $file"
        tail -n 30 "$file"
    done
    exit 1
}

# await WHAT COMMAND...: until it succeeds, for 20 s at most.
await() {
    what=$1
    shift
    deadline=$(($(date +%s) + 20))
    until "$@"; do
        [ "$(date +%s)" -lt $deadline ] || failed "no $what"
        usleep 50000
    done
}

# has FILE PATTERN...: whether one line matches them all.
has() {
    lines=$(cat "$1")
    shift
    for pattern; do
        lines=$(echo "$lines" | grep -e "$pattern") || return 1
    done
}

# start RUN INTERFACE ARGUMENT...: the agent on the host, until it has attached to this interface, the last one.
start() {
    run=$1 last=$2
    shift 2
    nsenter --net=/run/netns/host /test/smbwatch run --format json --run-dir /run/smbwatch "$@" \
        >"/tmp/$run.json" 2>"/tmp/$run.err" &
    agent=$!
    await "word of being attached ($run)" attached_or_gone
    grep -q "attached to $last" "/tmp/$run.err" || failed "the agent ended ($run)"
}

attached_or_gone() {
    grep -q "attached to $last" "/tmp/$run.err" || ! kill -0 "$agent" 2>/dev/null
}

# told ACTION DESTINATION PORT PATTERN...: waits for such a document, with the process that connected. One that is
# refused may be gone before /proc is read; its identifier and name come from the kernel.
told() {
    action=$1 destination=$2 port=$3
    shift 3
    case $action in
    connection-established | smb-spoken) set -- "$@" '"executable":"/bin/busybox"' ;;
    esac
    await "$action to $destination:$port ($run) $*" has "/tmp/$run.json" "\"action\":\"$action\"" \
        "\"destination\":{[^}]*\"ip\":\"$destination\"" "\"destination\":{[^}]*\"port\":$port[,}]" \
        '"process":{"pid":[1-9].*"name":"nc"' "$@"
}

# stop: the agent ends well, and its account agrees; the connections end after it.
stop() {
    kill -TERM "$agent"
    wait "$agent" || failed "the agent ended with $? ($run)"
    kill $clients 2>/dev/null
    clients=
    has "/tmp/$run.err" 'seen [1-9][0-9]* = alerted [1-9].* lost 0$' || failed "the account does not agree ($run)"
}

# connect ADDRESS PORT [FILE]: sends it from the host, and stays connected.
connect() {
    nsenter --net=/run/netns/host nc -w 5 "$1" "$2" <"${3:-/dev/null}" >/dev/null 2>&1 &
    clients="$clients $!"
}

# addresses NAMESPACE INTERFACE ADDRESS...
addresses() {
    namespace=$1 interface=$2
    shift 2
    for address; do
        case $address in
        *:*) ip -n "$namespace" address add "$address" dev "$interface" nodad ;;
        *) ip -n "$namespace" address add "$address" dev "$interface" ;;
        esac || failed "ip address add $address"
    done
    ip -n "$namespace" link set "$interface" up || failed "ip link set $interface up"
}

vlan() {
    for namespace in host net; do
        ip -n "$namespace" link add link "$1" name "$1.$2" type vlan id "$2" || failed "no VLAN device"
    done
    addresses host "$1.$2" "10.$2.0.5/24"
    addresses net "$1.$2" "10.$2.0.1/24" "93.184.216.$2/32"
    ip -n host route add "93.184.216.$2" via "10.$2.0.1"
}

# filters WAY NAME: how many such filters there are on clsact.
filters() {
    nsenter --net=/run/netns/host /test/tc filter show dev eth0 "$1" | grep -c "$2"
}

ip netns add host
ip netns add net
ip -n host link add eth0 type veth peer name eth0 netns net || failed 'no veth'
addresses host lo
addresses host eth0 10.20.0.5/24 fd00:20::5/64
addresses net lo $SERVER/32 $SERVER6/128
addresses net eth0 10.20.0.1/24 fd00:20::1/64
ip -n host route add default via 10.20.0.1
ip -n host route add default via fd00:20::1
for port in 445 8445; do
    nsenter --net=/run/netns/net nc -ll -p $port -e /bin/sleep 1000 &
done

# A NetBIOS session message with the head of an SMB2 message, [MS-SMB2] 2.2.1.
{
    printf '\000\000\000\100\376SMB\100\000'
    head -c 58 /dev/zero
} >/tmp/smb

release=$(uname -r)
major=${release%%.*}
minor=${release#*.}
minor=${minor%%[!0-9]*}
back_end=clsact
[ $((major * 1000 + minor)) -lt 6006 ] || back_end=tcx
echo "guest: back end $back_end"

start grades eth0
has /tmp/grades.err "attached to eth0 ($back_end)" || failed "not attached by $back_end"
connect $SERVER 445
told connection-attempted $SERVER 445
told connection-established $SERVER 445
connect $SERVER 139
told connection-refused $SERVER 139
connect $SERVER 8445 /tmp/smb
told smb-spoken $SERVER 8445
stop
[ "$(filters egress smbwatch)" = 0 ] || failed 'a filter is left'

start strict eth0 --profile strict
connect $SERVER6 445
told connection-established $SERVER6 445
connect $SERVER6 139
told connection-refused $SERVER6 139
connect $SERVER6 8445 /tmp/smb
told smb-spoken $SERVER6 8445
stop

# veth takes the outer tag beside the packet, as hardware does; an inner one is in its bytes.
vlan eth0 7
vlan eth0.7 9
ip -n host link add wg0 type wireguard || failed 'no WireGuard'
addresses host wg0 10.30.0.5/24 fd00:30::5/64
ip -n host route add 93.184.216.30 dev wg0
ip -n host route add 2606:2800:220:1::30 dev wg0
start tags wg0 --profile strict --interface eth0 --interface wg0
for port in 445 139; do
    connect 93.184.216.7 $port
    connect 93.184.216.9 $port
done
inner='"inner":{"vlan":{"id":"9"'
outer='"vlan":{"id":"7"'
# A tag in the bytes would make 78 of them.
told connection-attempted 93.184.216.7 445 "$outer" '"wire":{"bytes":74}'
told connection-attempted 93.184.216.9 445 "$outer" "$inner" '"wire":{"bytes":78}'
told connection-established 93.184.216.7 445 "$outer"
told connection-refused 93.184.216.7 139 "$outer"
told connection-established 93.184.216.9 445 "$outer" "$inner"
told connection-refused 93.184.216.9 139 "$outer" "$inner"
for address in 93.184.216.30 2606:2800:220:1::30; do
    connect $address 445
    told connection-attempted $address 445 '"name":"wg0"'
done
stop

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

# The programs on single packets, where this was asked for; what is skipped has not been tested.
if [ -e /test/classifier ]; then
    run=classifier
    SMBWATCH_SKIPS=/tmp/skips /test/classifier >/tmp/classifier.err 2>&1 || failed 'a program, on a packet'
    [ ! -s /tmp/skips ] || failed "skipped: $(cat /tmp/skips)"
    echo 'guest: the programs agree with the oracle'
fi
