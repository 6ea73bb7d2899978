# What is asked of every kernel: load, attach, tell each grade and who it was, and leave nothing behind.
#
#   host                              net, the Internet
#   eth0 10.20.0.5/24 ─────────────── eth0 10.20.0.1/24, lo 93.184.216.34 and 2606:2800:220:1::1
set -u
. /test/lib.sh

ip netns add host
ip netns add net
ip -n host link add eth0 type veth peer name eth0 netns net || failed 'no veth'
addresses host lo
addresses host eth0 10.20.0.5/24 fd00:20::5/64
addresses net lo $SERVER/32 $SERVER6/128
addresses net eth0 10.20.0.1/24 fd00:20::1/64
ip -n host route add default via 10.20.0.1
ip -n host route add default via fd00:20::1

back_end=clsact
since 6 6 && back_end=tcx
echo "guest: back end $back_end"

serve
for part in grades links nat old leftovers; do
    part $part
done
unserve
part cifs

# The programs on single packets, where this was asked for; what is skipped has not been tested.
if [ -e /test/classifier ]; then
    run=classifier
    SMBWATCH_SKIPS=/tmp/skips /test/classifier >/tmp/classifier.err 2>&1 || failed 'a program, on a packet'
    [ ! -s /tmp/skips ] || failed "skipped: $(cat /tmp/skips)"
    echo 'guest: the programs agree with the oracle'
fi
