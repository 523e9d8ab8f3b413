/**
 * A host with glibc and nothing else: a root folder with the file, the libraries that it links, and a folder for data.
 * No shell, no /tmp, no /proc, no /dev, no /etc; the root is read-only, and the network is a loopback interface.
 */
import { lstatSync, readlinkSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { type Finished, type Running, runProgram, start } from "../child.ts";
import type { TempFolder } from "../temp.ts";

/** The path of the file on such a host, and the one folder that can be written, which is empty at each start. */
const PROGRAM = "/tlsboot";
export const DATA = "/data";

/** Ids of user and group. */
export type User = "0:0" | "65534:65534";

/** The result of a traced run: its network calls, as strace writes them. */
interface Traced extends Finished {
  readonly calls: readonly string[];
}

/** A bare host. Commands have no environment, and nothing that they write stays. */
export interface BareRoot {
  run(args: readonly string[], user: User): Promise<Finished>;
  trace(args: readonly string[], user: User): Promise<Traced>;
  /** Returns the path of a library of the host, by its name. */
  findPath(library: string): string;
  /** Starts a command that keeps running. */
  start(args: readonly string[], user: User): BareServer;
}

/** A traced command that runs, and others on the same host. Disposing it ends all. */
interface BareServer extends AsyncDisposable {
  readonly running: Running;
  /** Runs another command, in the same network and over the same data. */
  trace(args: readonly string[], user: User): Promise<Traced>;
  /** The calls of the network that the server has made. */
  calls(): Promise<readonly string[]>;
}

/** $1 is `new` or `joined`, $2 the root, $3 the user, $4 a file for the trace or nothing; then the arguments. */
const ENTER = `
set -eu
host=$1 root=$2 user=$3 trace=$4
shift 4
if [ "$host" = new ]; then
  ip link set lo up
  mount --bind "$root" "$root"
  mount -t tmpfs -o mode=1777 tmpfs "$root${DATA}"
  mount -o remount,bind,ro "$root"
fi
set -- "$(command -v chroot)" "--userspec=$user" "$root" ${PROGRAM} "$@"
[ -z "$trace" ] || set -- "$(command -v strace)" -f -qq -e trace=%network -e signal=none -o "$trace" "$@"
exec env -i "$@"
`;

/** Creates a bare host in a folder; with the libraries of another root, if it is given. Needs root. */
export async function createBareRoot(file: string, folder: TempFolder, libraries?: string): Promise<BareRoot> {
  const root = folder.join("root");
  await mkdir(`${root}${DATA}`, { recursive: true });
  await copyFile(file, `${root}${PROGRAM}`);
  const needed = await findLibraries(file);
  for (const library of needed) {
    await mkdir(`${root}${dirname(library)}`, { recursive: true });
    await copyFile(libraries === undefined ? library : findIn(libraries, library), `${root}${library}`);
  }
  const script = folder.join("enter.sh");
  await writeFile(script, ENTER);
  let traces = 0;
  const nextTrace = () => folder.join(`trace-${traces++}`);
  const traced = async (command: string, args: readonly string[], trace: string): Promise<Traced> => ({
    ...await runProgram(command, args),
    calls: await readCalls(trace),
  });
  const inNew = (args: readonly string[], user: User, trace: string): readonly string[] => [
    ...["--mount", "--net", "--pid", "--fork", "--kill-child"],
    ...["sh", script, "new", root, user, trace, ...args],
  ];
  return {
    findPath: (name) => `${root}${needed.find((library) => library.endsWith(`/${name}`))}`,
    run: (args, user) => runProgram("unshare", inNew(args, user, "")),
    trace(args, user) {
      const trace = nextTrace();
      return traced("unshare", inNew(args, user, trace), trace);
    },
    start(args, user) {
      const serverTrace = nextTrace();
      const running = start("unshare", inNew(args, user, serverTrace));
      return {
        running,
        trace(more, other) {
          const trace = nextTrace();
          const host = ["--target", `${running.pid}`, "--mount", "--net", "sh", script, "joined", root];
          return traced("nsenter", [...host, other, trace, ...more], trace);
        },
        calls: () => readCalls(serverTrace),
        [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
      };
    },
  };
}

/** Paths of the loader and of all libraries that a program needs. */
async function findLibraries(file: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await runProgram("ldd", [file]);
  if (code !== 0) throw new Error(`ldd ${file}: ${stderr}`);
  return [...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map(([, path]) => path!);
}

/** A library of another root, where /lib may be a real folder, and where links may begin at that root. */
function findIn(root: string, library: string): string {
  const found = [join(root, library), join(root, "usr", library)].find((path) =>
    lstatSync(path, { throwIfNoEntry: false }) !== undefined
  );
  if (found === undefined) throw new Error(`${root} has no ${library}`);
  const target = lstatSync(found).isSymbolicLink() ? readlinkSync(found) : "";
  return isAbsolute(target) ? findIn(root, target) : found;
}

/** A call that another thread interrupted is on two lines; the first one has the address. */
async function readCalls(trace: string): Promise<readonly string[]> {
  const lines = (await readFile(trace, "utf8")).split("\n").map((line) => line.replace(/^\d+ +/, ""));
  return lines.filter((line) => line !== "" && !line.startsWith("<..."));
}
