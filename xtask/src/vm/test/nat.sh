# A container behind NAT: one incident for each connection, with its own address and the one outside.
#
#   ct                    host
#   eth0 10.9.0.2/24 ──── ct0 10.9.0.1/24, MASQUERADE at eth0

PUBLIC=8.20.0.5

nft() { inside host /test/nft "$@" || failed "nft $*"; }

ip netns add ct
ip -n host link add ct0 type veth peer name eth0 netns ct || failed 'no veth'
addresses host ct0 10.9.0.1/24
addresses ct lo
addresses ct eth0 10.9.0.2/24
ip -n ct route add default via 10.9.0.1
inside host sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
nft add table ip nat
nft 'add chain ip nat post { type nat hook postrouting priority 100 ; }'
nft add rule ip nat post oifname eth0 masquerade

# incidents: how many there are among all documents of the run.
incidents() {
    sed -n 's/.*"incident":{"id":"\([^"]*\)".*/\1/p' "/tmp/$run.json" | sort -u | wc -l
}

source='"source":{[^}]*"ip":"10.9.0.2"'
start nat 'eth0 ct0'
connect_from ct $SERVER 445
for action in connection-attempted connection-established; do
    told $action $SERVER 445 "$source" '"source":{[^}]*"nat":{"ip":"10.20.0.5"' \
        '"sightings":\[{"interface":"ct0","direction":"ingress",.*{"interface":"eth0","direction":"egress",'
done
stop
[ "$(incidents)" = 1 ] || failed "$(incidents) incidents of one connection"

# Behind a public address, the packets at the uplink have no private source any more.
ip -n host address add $PUBLIC/32 dev eth0
ip -n net route add $PUBLIC/32 via 10.20.0.5
nft flush chain ip nat post
nft add rule ip nat post oifname eth0 snat to $PUBLIC
start public 'eth0 ct0'
connect_from ct $SERVER 445
told connection-established $SERVER 445 "$source" '"sightings":\[{"interface":"ct0"'
stop
[ "$(incidents)" = 1 ] || failed "$(incidents) incidents of one connection"
nft flush chain ip nat post
nft add rule ip nat post oifname eth0 masquerade
