# The kernel's own SMB client: who mounted, and that its later connections, made by a thread of the kernel, are his.

STATE=/tmp/samba
SHARE=/mnt/share
mkdir -p $STATE $STATE/share $SHARE
chmod 777 $STATE/share
echo "$SERVER files.example" >/etc/hosts
cat >$STATE/smb.conf <<END
[global]
workgroup = CORP
smb ports = 445 139
map to guest = never
passdb backend = tdbsam:$STATE/passdb.tdb
private dir = $STATE
state directory = $STATE
lock directory = $STATE
cache directory = $STATE
pid directory = $STATE
ncalrpc dir = $STATE/ncalrpc
binddns dir = $STATE
log file = $STATE/log
load printers = no
printing = bsd
printcap name = /dev/null
disable spoolss = yes
rpc start on demand helpers = no
[share]
path = $STATE/share
read only = no
END
printf 'Spring-2026\nSpring-2026\n' | /test/smbpasswd -c $STATE/smb.conf -s -a alice >/tmp/smbpasswd 2>&1 ||
    failed "smbpasswd: $(cat /tmp/smbpasswd)"

# samba: starts the server, and waits until it takes connections.
samba() {
    setsid nsenter --net=/run/netns/net /test/smbd --foreground --no-process-group --debug-stdout --debuglevel=2 \
        --configfile $STATE/smb.conf >/tmp/smbd.log 2>&1 &
    await 'SMB server' grep -q 'waiting for connections' /tmp/smbd.log
}

no_samba() { ! pidof smbd >/dev/null; }

# mount_share SOURCE: notes what alerts are to tell of it.
mount_share() {
    inside host /test/mount -t cifs "$1" $SHARE -o username=alice,password=Spring-2026,domain=CORP ||
        failed "mount $1"
    mounts="\"mounts\":\[{\"source\":\"$1\",\"path\":\"$SHARE\""
}

# A write may fail that was under way when its connection went; one that waits for the next does not.
write_file() {
    await 'write on the share' sh -c "date >$SHARE/file"
}

# told_again PATTERN...: waits for word of the connection that there is now, which a thread of the kernel has made.
told_again() {
    write_file
    port=$(inside host /test/ss -Htn state established dst $SERVER | sed -n 's/.*10\.20\.0\.5:\([0-9]*\) .*/\1/p')
    heard connection-established $SERVER 445 "\"source\":{[^}]*\"port\":$port," "$MOUNTER" "$INHERITED" "$mounts" "$@"
}

# cut: ends the connection at the client's side.
cut() {
    inside host /test/ss -HK dst $SERVER dport = 445 >/dev/null
}

MOUNTER='"process":{"pid":[1-9].*"name":"mount.cifs".*"executable":"/sbin/mount.cifs".*"user":{"id":"0","name":"root"}'
NAME='"destination":{[^}]*"domain":"files.example"'
OWNER='"attribution":{"method":"owner"'
INHERITED='"attribution":{"method":"inherited"'
HELD='"attribution":{"method":"socket-diag"'

# A mount that is older than the agent: no process holds the socket, and who mounted is not known any more.
samba
mount_share //files.example/share
start mounted eth0
write_file
heard smb-spoken $SERVER 445 "$NAME" "$HELD" "$mounts,\"user\":\"alice\""
[ "$(count '"process":{"pid"')" = 0 ] || failed 'a process is told of a socket that none holds'
stop
umount $SHARE

start mount eth0
mount_share //files.example/share
heard connection-established $SERVER 445 "$NAME" "$MOUNTER" "$OWNER" "$mounts"

# The server goes and comes again.
write_file
killall smbd
await 'end of the SMB server' no_samba
samba
told_again "$NAME"

cut
told_again "$NAME"
umount $SHARE
stop

# By its address; a server that was mounted by no name has none.
start address eth0
mount_share //$SERVER/share
heard connection-established $SERVER 445 "$MOUNTER" "$OWNER" "$mounts"
cut
told_again
[ "$(count "$NAME")" = 0 ] || failed 'a name is told of a server that was mounted by its address'
umount $SHARE

# Another takes its place at once.
mount_share //files.example/share
cut
told_again "$NAME"
umount $SHARE
stop
