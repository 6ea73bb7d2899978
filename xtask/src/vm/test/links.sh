# What the strict profile adds, each grade over IPv6 too; and links that no other lab has: tags beside and in the
# packet, and packets without a link header. Loading it takes old kernels seconds, so that it is one run.
#
#   host                              net
#   eth0.7 10.7.0.5/24 ────────────── eth0.7 10.7.0.1/24, 93.184.216.7
#   eth0.7.8 10.8.0.5/24 ──────────── eth0.7.8 10.8.0.1/24, 93.184.216.8
#   wg0 10.30.0.5/24 fd00:30::5/64 (no peer)

vlan() {
    for namespace in host net; do
        ip -n "$namespace" link add link "$1" name "$1.$2" type vlan id "$2" || failed "no VLAN device"
    done
    addresses host "$1.$2" "10.$2.0.5/24"
    addresses net "$1.$2" "10.$2.0.1/24" "93.184.216.$2/32"
    ip -n host route add "93.184.216.$2" via "10.$2.0.1"
}

# veth takes the outer tag beside the packet, as hardware does; an inner one is in its bytes.
vlan eth0 7
vlan eth0.7 8
ip -n host link add wg0 type wireguard || failed 'no WireGuard'
addresses host wg0 10.30.0.5/24 fd00:30::5/64
ip -n host route add 93.184.216.30 dev wg0
ip -n host route add 2606:2800:220:1::30 dev wg0
start strict 'eth0 wg0' --profile strict --interface eth0 --interface wg0
connect $SERVER6 445
told connection-established $SERVER6 445
connect $SERVER6 139
told connection-refused $SERVER6 139
connect $SERVER6 8445 /tmp/smb
told smb-spoken $SERVER6 8445
for port in 445 139; do
    connect 93.184.216.7 $port
    connect 93.184.216.8 $port
done
inner='"inner":{"vlan":{"id":"8"'
outer='"vlan":{"id":"7"'
# A tag in the bytes would make 78 of them.
told connection-attempted 93.184.216.7 445 "$outer" '"wire":{"bytes":74}'
told connection-attempted 93.184.216.8 445 "$outer" "$inner" '"wire":{"bytes":78}'
told connection-established 93.184.216.7 445 "$outer"
told connection-refused 93.184.216.7 139 "$outer"
told connection-established 93.184.216.8 445 "$outer" "$inner"
told connection-refused 93.184.216.8 139 "$outer" "$inner"
for address in 93.184.216.30 2606:2800:220:1::30; do
    connect $address 445
    told connection-attempted $address 445 '"name":"wg0"'
done
stop
ip -n host link delete eth0.7
ip -n net link delete eth0.7
ip -n host link delete wg0
