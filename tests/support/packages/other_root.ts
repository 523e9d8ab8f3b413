/**
 * A container whose first process is systemd. Packages and services there do not affect this machine: its root is an
 * overlay in memory over the machine's, in its own namespaces for mounts, processes, control groups and the network, which
 * has only a loopback interface. All of it ends with its first process. Needs root.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { type Finished, runProgram, start } from "../child.ts";

/** A running container. Disposing it ends its processes and removes it. */
export interface OtherRoot extends AsyncDisposable {
  /** Runs shell lines, which must succeed, and returns their stdout. */
  run(lines: string): Promise<string>;
  /** Runs shell lines, which may fail. */
  attempt(lines: string): Promise<Finished>;
}

/**
 * Starts the namespaces in a new control group, and removes the group afterwards. It is a cgroup v2, in a mount that other
 * processes do not see. An interrupted test runner signals its process group, which unshare ignores, so the trap kills
 * the control group.
 */
const OUTER = `set -e
mount --make-rprivate /
mount -t cgroup2 tlsboot-groups "$1"
group="$1/tlsboot-root-$$"
mkdir "$group"
sh -c 'echo $$ > "$0/cgroup.procs" && exec "$@"' "$group" \\
  unshare --mount --pid --cgroup --net --uts --ipc --fork --kill-child sh -c "$INNER" sh "$1" "$2" &
trap 'echo 1 > "$group/cgroup.kill"' INT TERM
while kill -0 $! 2> /dev/null; do wait $! || true; done
${untilLine('find "$group" -depth -type d -exec rmdir {} + 2> /dev/null')}`;

/**
 * Mounts the overlay and the file systems that systemd expects in a container (https://systemd.io/CONTAINER_INTERFACE/).
 * Settings of the kernel are read-only. Services of this machine do not start.
 */
const INNER = `set -e
read pid rest < /proc/self/stat
groups=$(mktemp -d)
mount -t cgroup2 groups "$groups"
mount -t tmpfs tlsboot-root "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount --move "$groups" sys/fs/cgroup
mount -t tmpfs -o mode=755 devices dev
for name in null zero full random urandom tty; do touch "dev/$name" && mount --bind "/dev/$name" "dev/$name"; done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 terminals dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mkdir tmp/share .outer
mount --bind "$2" tmp/share
rm -rf etc/systemd/system/*.wants
echo 0123456789abcdef0123456789abcdef > etc/machine-id
for unit in sys-kernel-debug sys-kernel-tracing sys-fs-fuse-connections dev-hugepages; do
  ln -sf /dev/null "etc/systemd/system/$unit.mount"
done
pivot_root . .outer
umount -l .outer
ip link set lo up
echo "root of $pid"
exec env -i container=tlsboot PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target
`;

/** Returns shell lines that wait until a command succeeds. After three minutes they run `onTimeout` and fail. */
export function untilLine(command: string, onTimeout = ":"): string {
  return `
    ends=$(($(date +%s) + 180))
    until ${command}; do
      [ "$(date +%s)" -lt $ends ] || { echo 'timeout' >&2; ${onTimeout}; exit 1; }
      sleep 0.2
    done
`;
}

/** Creates a container. `mountPoint` is an empty folder, and `shared` appears in the container as /tmp/share. */
export async function createOtherRoot(mountPoint: string, shared: string): Promise<OtherRoot> {
  const holder = start("unshare", ["--mount", "sh", "-c", OUTER, "sh", mountPoint, shared], { env: { INNER } });
  const [, pid = ""] = await holder.waitFor(/^root of (\d+)$/m);
  const enter = (command: readonly string[]): readonly string[] => [
    ...["--target", pid, "--mount", "--pid", "--cgroup", "--net", "--uts", "--ipc", "--root", "--wd", ...command],
  ];
  const attempt = (lines: string): Promise<Finished> => runProgram("nsenter", enter(["sh", "-c", `cd /\n${lines}`]));
  const root: OtherRoot = {
    attempt,
    async run(lines) {
      const { code, stdout, stderr } = await attempt(lines);
      assert.equal(code, 0, `${lines}\n${stdout}${stderr}`);
      return stdout;
    },
    // All other processes of the container end with its first one, and unshare ends after them.
    async [Symbol.asyncDispose]() {
      if (!holder.hasEnded()) process.kill(Number(pid), "SIGKILL");
      await holder.finished();
    },
  };
  await root.run(untilLine("systemctl is-system-running --wait"));
  return root;
}
