#!/usr/bin/env bash
# A throw-away machine with a real systemd as PID 1: namespaces over the files of this one. Nothing is downloaded, everything
# that is written goes to memory and is gone at the end. Needs root, util-linux, overlayfs and a cgroup2 mount.
#
#   container.sh check                            exit 0 when it can work here; says why when not
#   container.sh start DIR [SOURCE:PLACE]...      DIR keeps its state; each SOURCE is mounted read-only at PLACE
#   container.sh exec DIR COMMAND...              runs COMMAND inside
#   container.sh stop DIR                         powers it off and cleans up; nothing happens when it does not run
set -euo pipefail

die() { echo "container: $*" >&2; exit 1; }
cgroup_mount() { awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts; }
begun() { awk '{ print $22 }' "/proc/$1/stat" 2>/dev/null || true; }
# The container's PID 1, seen from here, if it is still the process that was started.
init_of() {
  local pid when
  [ -f "$1/init" ] || return 1
  read -r pid when <"$1/init"
  [ -n "$when" ] && [ "$(begun "$pid")" = "$when" ] && echo "$pid"
}

check() {
  [ "$(id -u)" = 0 ] || die "needs root"
  local tool
  for tool in unshare nsenter pivot_root systemctl systemd-analyze; do
    command -v "$tool" >/dev/null || die "$tool is missing"
  done
  [ -x /usr/lib/systemd/systemd ] || [ -x /lib/systemd/systemd ] || die "systemd is not installed"
  [ -n "$(cgroup_mount)" ] || die "no cgroup2 is mounted"
  local try; try="$(own_cgroup)/stellar-lake-try-$$"
  mkdir "$try" 2>/dev/null || die "the cgroup2 mount cannot be written"
  rmdir "$try"
  unshare --fork --pid --mount --uts --ipc --net --cgroup true 2>/dev/null || die "namespaces cannot be made"
  unshare --mount bash -c 'd=$(mktemp -d) && mount -t tmpfs tmpfs "$d" && mkdir "$d"/{u,w,r} &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=$d/u,workdir=$d/w" "$d/r"; s=$?; umount -l "$d"; rmdir "$d"; exit $s' \
    2>/dev/null || die "an overlay of / cannot be mounted"
}

own_cgroup() {
  local self; self=$(sed -n 's/^0:://p' /proc/self/cgroup)
  echo "$(cgroup_mount)${self%/}"
}

# What becomes PID 1: builds the root in its own namespaces, then turns into systemd.
write_init() {
  cat <<'INIT'
set -eu
state=$1 mem=$1/mem
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$mem"
mkdir "$mem/upper" "$mem/work" "$mem/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$mem/upper,workdir=$mem/work" "$mem/root"
root=$mem/root
mkdir -p "$root"/{proc,sys,dev,run,tmp,.old}
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
# PID 1 would raise fs.nr_open and set kernel.*: those belong to the machine around.
for name in sys sysrq-trigger irq bus; do
  [ -e "$root/proc/$name" ] || continue
  mount --bind "$root/proc/$name" "$root/proc/$name"
  mount -o remount,bind,ro "$root/proc/$name"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid,noexec tmpfs "$root/dev"   # devices allowed: PrivateDevices= makes some
for name in null zero full random urandom tty; do
  : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"; ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"; ln -s /proc/self/fd/1 "$root/dev/stdout"; ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
while IFS=: read -r from to; do
  [ -n "$from" ] || continue
  if [ -d "$from" ]; then mkdir -p "$root$to"; else mkdir -p "$(dirname "$root$to")"; rm -f "$root$to"; : >"$root$to"; fi
  mount --bind "$from" "$root$to"; mount -o remount,bind,ro "$root$to"
done <"$state/binds"
# What the machine around has switched on is none of this test's business.
mkdir -p "$root/run/systemd/system"
rm -rf "$root/etc/systemd/system/"*.target.wants "$root/etc/systemd/system/"*.target.requires
for unit in getty@tty1 console-getty systemd-modules-load systemd-pstore systemd-udevd systemd-udev-trigger \
  systemd-timesyncd systemd-firstboot systemd-networkd-wait-online; do
  ln -sf /dev/null "$root/run/systemd/system/$unit.service"
done
for unit in dev-hugepages dev-mqueue sys-kernel-debug sys-kernel-tracing sys-kernel-config sys-fs-fuse-connections; do
  ln -sf /dev/null "$root/run/systemd/system/$unit.mount"
done
ln -sfn /usr/lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
rm -f "$root/etc/machine-id"; tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
hostname lake-test; echo lake-test >"$root/etc/hostname"
cd "$root"; pivot_root . .old; umount -l /.old; rmdir /.old
# Inside a container PID 1 leaves this alone, and LoadCredential= then gives an empty folder.
mount --make-rshared /
init=/usr/lib/systemd/systemd; [ -x $init ] || init=/lib/systemd/systemd
exec env -i container=lake PATH=/usr/sbin:/usr/bin:/sbin:/bin $init --log-target=journal --show-status=no </dev/null
INIT
}

start() {
  local dir=$1 cgroup up pid; shift
  check
  stop "$dir"
  mkdir -p "$dir/mem"
  printf '%s\n' "$@" >"$dir/binds"
  write_init >"$dir/init.sh"
  cgroup="$(own_cgroup)/stellar-lake-test-$$"
  mkdir "$cgroup"; echo "$cgroup" >"$dir/cgroup"
  # In a cgroup and a session of its own: it outlives this script.
  ( echo $BASHPID >"$cgroup/cgroup.procs"
    exec setsid unshare --fork --kill-child=KILL --pid --mount --uts --ipc --net --cgroup \
      bash "$dir/init.sh" "$dir" ) >"$dir/console" 2>&1 </dev/null &
  up=$!
  for _ in $(seq 200); do
    pid=$(cat "/proc/$up/task/$up/children" 2>/dev/null || true); pid=${pid%% *}
    [ -z "$pid" ] && [ -d "/proc/$up" ] || break
    sleep 0.05
  done
  [ -n "$pid" ] || { cat "$dir/console" >&2; die "did not start"; }
  echo "$pid $(begun "$pid")" >"$dir/init"
  for _ in $(seq 400); do
    init_of "$dir" >/dev/null || { cat "$dir/console" >&2; die "PID 1 ended"; }
    [ -S "/proc/$pid/root/run/systemd/private" ] && break
    sleep 0.05
  done
  local state; state=$(inside "$dir" timeout 60 systemctl is-system-running --wait || true)
  case $state in
    running | degraded) echo "container: systemd $(inside "$dir" systemctl --version | awk 'NR == 1 { print $2 }'), $state" ;;
    *) die "its state is $state" ;;
  esac
}

inside() {
  local pid; pid=$(init_of "$1") || die "$1 does not run"; shift
  # All namespaces, the one of processes too: a power-off must not be this machine's.
  nsenter -t "$pid" -a -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    TERM=dumb SYSTEMD_PAGER= SYSTEMD_COLORS=0 "$@"
}

stop() {
  local dir=$1 pid cgroup
  [ -d "$dir" ] || return 0
  if pid=$(init_of "$dir"); then
    kill -s RTMIN+4 "$pid" 2>/dev/null || true   # power off
    for _ in $(seq 400); do init_of "$dir" >/dev/null || break; sleep 0.05; done
    ! init_of "$dir" >/dev/null || kill -KILL "$pid" 2>/dev/null || true
    for _ in $(seq 100); do init_of "$dir" >/dev/null || break; sleep 0.05; done
  fi
  cgroup=$(cat "$dir/cgroup" 2>/dev/null || true)
  for _ in $(seq 100); do
    [ -n "$cgroup" ] && [ -d "$cgroup" ] || break
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
  done
  rm -rf --one-file-system "$dir"
}

command=${1:-}; shift || true
case $command in
  check) check ;;
  start | stop) "$command" "$@" ;;
  exec) inside "$@" ;;
  *) sed -n '2,9p' "$0"; exit 2 ;;
esac
