#!/bin/busybox sh
# The guest's first process: mounts what BPF needs, runs the test, says on the serial line how it ended, switches off.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
exec </dev/null >/dev/ttyS0 2>&1
while read -r module; do
    insmod "$module" || echo "insmod $module failed"
done </test/modules
if sh /test/all.sh; then
    echo 'guest: passed'
fi
poweroff -f
