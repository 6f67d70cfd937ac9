#!/bin/busybox sh
# The guest's first process. Disks: vda the root, vdb a tar of what comes in, vdc takes one of what
# goes out. Whatever is written is in memory; the root's disk stays as it is.
busybox=/bin/busybox
$busybox mount -t devtmpfs dev /dev
for module in /modules/*; do $busybox insmod "$module"; done
$busybox mount -t ext4 -o ro /dev/vda /root
$busybox mount --move /dev /root/dev
$busybox mount -t proc proc /root/proc
$busybox mount -t sysfs sys /root/sys
$busybox mount -t tmpfs tmp /root/tmp
$busybox mkdir /root/tmp/in /root/tmp/out
$busybox tar -xf /root/dev/vdb -C /root/tmp/in
$busybox env -i PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 HOME=/tmp NO_COLOR=1 \
	PYTHONPATH=/opt/wheels:/tmp/in PYTHONPYCACHEPREFIX=/tmp/python \
	$busybox chroot /root /usr/bin/python3 -m tests.v4l2_lab.inside
echo $? >/root/tmp/out/ended
$busybox tar -cf /root/dev/vdc -C /root/tmp/out .
$busybox sync
# The emulator is told not to start again.
$busybox reboot -f
