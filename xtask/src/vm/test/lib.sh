# What the parts of the test have in common: the agent, its documents, peers and addresses.

SERVER=93.184.216.34
SERVER6=2606:2800:220:1::1

run=
clients=
servers=

# By name, busybox prefers its own.
ip() { /test/ip "$@"; }

# inside NAMESPACE COMMAND... In the background, `nsenter` itself: `$!` is then the command.
inside() {
    space=$1
    shift
    nsenter --net="/run/netns/$space" "$@"
}

# part NAME: that part of the test, and how long it took.
part() {
    began=$(date +%s)
    . "/test/$1.sh"
    echo "guest: $1 $(($(date +%s) - began)) s"
}

# since MAJOR MINOR: whether the kernel is this one or a later one.
since() {
    release=$(uname -r)
    major=${release%%.*}
    minor=${release#*.}
    minor=${minor%%[!0-9]*}
    [ $((major * 1000 + minor)) -ge $(($1 * 1000 + $2)) ]
}

failed() {
    dmesg | tail -n 10
    for file in /tmp/smbd.log "/tmp/$run.err" "/tmp/$run.json" /run/smbwatch/*.log; do
        [ -e "$file" ] || continue
        echo "--- $file"
        tail -n 10 "$file"
    done
    echo "guest: failed: $*"
    exit 1
}

# await WHAT COMMAND...: until it succeeds, for 30 s at most.
await() {
    what=$1
    shift
    deadline=$(($(date +%s) + 30))
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

# start RUN INTERFACES ARGUMENT...: the agent on the host, until it has attached to all of these.
start() {
    run=$1 interfaces=$2
    shift 2
    case " $* " in
    *' --config '*) ;;
    *)
        # What is done again shall be told again.
        echo 'incident_seconds = 0' >/tmp/each.toml
        set -- --config /tmp/each.toml "$@"
        ;;
    esac
    nsenter --net=/run/netns/host /test/smbwatch run --format json --run-dir /run/smbwatch "$@" \
        >"/tmp/$run.json" 2>"/tmp/$run.err" &
    agent=$!
    await "word of being attached ($run)" attached_or_gone
    attached || failed "the agent ended ($run)"
}

attached() {
    for interface in $interfaces; do
        grep -q "attached to $interface " "/tmp/$run.err" || return 1
    done
}

attached_or_gone() {
    attached || ! kill -0 "$agent" 2>/dev/null
}

# heard ACTION DESTINATION PORT PATTERN...: waits for such a document.
heard() {
    action=$1 destination=$2 port=$3
    shift 3
    await "$action to $destination:$port ($run) $*" has "/tmp/$run.json" "\"action\":\"$action\"" \
        "\"destination\":{[^}]*\"ip\":\"$destination\"" "\"destination\":{[^}]*\"port\":$port[,}]" "$@"
}

# count PATTERN...: how many documents of the run match them all.
count() {
    lines=$(cat "/tmp/$run.json")
    for pattern; do
        lines=$(echo "$lines" | grep -e "$pattern")
    done
    echo "$lines" | grep -c .
}

# told ACTION DESTINATION PORT PATTERN...: the same, with the process that connected. One that is refused may
# be gone before /proc is read; its identifier and name come from the kernel.
told() {
    case $1 in
    connection-established | smb-spoken) heard "$@" '"process":{"pid":[1-9].*"name":"nc"' '"executable":"/bin/busybox"' ;;
    *) heard "$@" '"process":{"pid":[1-9].*"name":"nc"' ;;
    esac
}

# stop: the agent ends well, and its account agrees; the connections end after it.
stop() {
    kill -TERM "$agent"
    wait "$agent" || failed "the agent ended with $? ($run)"
    [ -z "$clients" ] || kill $clients 2>/dev/null
    clients=
    has "/tmp/$run.err" 'seen [1-9][0-9]* = alerted [1-9].* lost 0$' || failed "the account does not agree ($run)"
}

# connect ADDRESS PORT [FILE]: sends it from the host, and stays connected.
connect() { connect_from host "$@"; }

# connect_from NAMESPACE ADDRESS PORT [FILE]
connect_from() {
    nsenter --net="/run/netns/$1" nc -w 5 "$2" "$3" <"${4:-/dev/null}" >/dev/null 2>&1 &
    clients="$clients $!"
}

# serve: takes connections at the Internet's end and answers nothing.
serve() {
    for port in 445 8445; do
        nsenter --net=/run/netns/net nc -ll -p $port -e /bin/sleep 1000 &
        servers="$servers $!"
    done
}

unserve() {
    kill $servers
    wait $servers
    servers=
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

# filters WAY NAME: how many such filters there are on clsact.
filters() {
    inside host /test/tc filter show dev eth0 "$1" | grep -c "$2"
}

# A NetBIOS session message with the head of an SMB2 message, [MS-SMB2] 2.2.1.
{
    printf '\000\000\000\100\376SMB\100\000'
    head -c 58 /dev/zero
} >/tmp/smb
