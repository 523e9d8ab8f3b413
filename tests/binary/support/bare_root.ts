/**
 * A host with glibc and nothing else: a root folder with the file, the libraries that it links, and a folder for data.
 * No shell, no /tmp, no /proc, no /dev, no /etc; the root is read-only, and the network is a loopback interface.
 */
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type Finished, runProgram } from "../../support/child.ts";
import type { TempFolder } from "../../support/temp.ts";

/** Where the file is on such a host, and the one folder that can be written, which is empty at each start. */
export const PROGRAM = "/tlsboot";
export const DATA = "/data";

/** A bare host. */
export interface BareRoot {
  /** Runs the file as a user, with no environment; nothing that it writes stays. */
  run(args: readonly string[], user: User): Promise<Finished>;
  /** The same; answers with the calls of the network that were made, as strace writes them. */
  trace(args: readonly string[], user: User): Promise<Finished & { readonly calls: readonly string[] }>;
}

/** Ids of user and group. */
export type User = "0:0" | "65534:65534";

/** $1 is the root, $2 the user, $3 a file for the trace or nothing; then the arguments. */
const ENTER = `
set -eu
root=$1 user=$2 trace=$3
shift 3
ip link set lo up
mount --bind "$root" "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root${DATA}"
mount -o remount,bind,ro "$root"
set -- "$(command -v chroot)" "--userspec=$user" "$root" ${PROGRAM} "$@"
[ -z "$trace" ] || set -- "$(command -v strace)" -f -qq -e trace=%network -e signal=none -o "$trace" "$@"
exec env -i "$@"
`;

/** Makes one in a folder. Needs root. */
export async function createBareRoot(file: string, folder: TempFolder): Promise<BareRoot> {
  const root = folder.join("root");
  await mkdir(`${root}${DATA}`, { recursive: true });
  await copyFile(file, `${root}${PROGRAM}`);
  for (const library of await librariesOf(file)) {
    await mkdir(`${root}${dirname(library)}`, { recursive: true });
    await copyFile(library, `${root}${library}`);
  }
  const script = folder.join("enter.sh");
  await writeFile(script, ENTER);
  const enter = (args: readonly string[], user: User, trace: string) =>
    runProgram("unshare", ["--mount", "--net", "sh", script, root, user, trace, ...args]);
  return {
    run: (args, user) => enter(args, user, ""),
    async trace(args, user) {
      const trace = folder.join("trace");
      const finished = await enter(args, user, trace);
      return { ...finished, calls: await readCalls(trace) };
    },
  };
}

/** Paths of the loader and of all libraries that a program needs. */
async function librariesOf(file: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await runProgram("ldd", [file]);
  if (code !== 0) throw new Error(`ldd ${file}: ${stderr}`);
  return [...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map(([, path]) => path!);
}

/** A call that another thread interrupted stands on two lines; the first one has the address. */
async function readCalls(trace: string): Promise<readonly string[]> {
  const lines = (await readFile(trace, "utf8")).split("\n").map((line) => line.replace(/^\d+ +/, ""));
  return lines.filter((line) => line !== "" && !line.startsWith("<..."));
}
