/**
 * A separate root file system over this machine's. Installations and removals there do not affect this machine. An overlay whose
 * upper side is memory, in mount and process namespaces that end with the process that holds them. Needs root.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { type Finished, type Running, runProgram, start } from "../child.ts";

/** A running root. Disposing it ends everything that runs in it, and forgets it. */
export interface OtherRoot extends AsyncDisposable {
  /** Runs shell lines in it to their end; fails the test unless they end with 0. Answers what they printed. */
  run(lines: string): Promise<string>;
  /** Runs shell lines in it to any end. */
  attempt(lines: string): Promise<Finished>;
  /** Starts a program in it. */
  start(command: string, args: readonly string[]): Running;
}

/** Mounts the machine below, memory above, and the kernel's file systems that programs need. */
const MOUNTS = `set -e
read pid rest < /proc/self/stat
mount --make-rprivate /
mount -t tmpfs tlsboot-root "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs run "$1/root/run"
mount -t tmpfs -o mode=1777 tmp "$1/root/tmp"
mkdir "$1/root/tmp/share"
mount --bind "$2" "$1/root/tmp/share"
echo "root of $pid"
exec sleep infinity
`;

/** Creates another root; `mountPoint` is an empty folder, `shared` appears in it as /tmp/share. */
export async function createOtherRoot(mountPoint: string, shared: string): Promise<OtherRoot> {
  const holder = start("unshare", [
    ...["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", MOUNTS, "sh", mountPoint, shared],
  ]);
  const [, pid = ""] = await holder.waitFor(/^root of (\d+)$/m);
  const enter = (command: readonly string[]): readonly string[] => [
    ...["--target", pid, "--mount", "--pid", "chroot", `${mountPoint}/root`, ...command],
  ];
  const attempt = (lines: string): Promise<Finished> => runProgram("nsenter", enter(["sh", "-c", `cd /\n${lines}`]));
  return {
    attempt,
    async run(lines) {
      const { code, stdout, stderr } = await attempt(lines);
      assert.equal(code, 0, `${lines}\n${stdout}${stderr}`);
      return stdout;
    },
    start: (command, args) => start("nsenter", enter([command, ...args])),
    // With its first process all others of the root end, and only then does unshare.
    async [Symbol.asyncDispose]() {
      if (!holder.hasEnded()) process.kill(Number(pid), "SIGKILL");
      await holder.finished();
    },
  };
}
