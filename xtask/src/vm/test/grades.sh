# Each grade.

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
