/**
 * Runs the released file on a bare host and checks its connections. The host is a read-only root folder with the file,
 * the libraries that it links, and a folder for data. It has no shell, /tmp, /proc, /dev or /etc, and no network but a
 * loopback interface.
 */
import assert from "node:assert/strict";
import { lstatSync, readlinkSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { test } from "node:test";
import { type Finished, type Running, runProgram, start } from "../support/child.ts";
import { ensureOldLibraries } from "../support/peers/debian.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { hostFile } from "../support/binary/released.ts";

/** The path of the file on the host, and its only writable folder, which is empty at each start. */
const PROGRAM = "/tlsboot";
const DATA = "/data";

/** Ids of user and group. */
type User = "0:0" | "65534:65534";

/** The result of a traced run, with its network calls as strace writes them. */
interface Traced extends Finished {
  readonly calls: readonly string[];
}

/** A bare host. Commands have no environment variables, and nothing that they write is kept. */
interface BareRoot {
  run(args: readonly string[], user: User): Promise<Finished>;
  trace(args: readonly string[], user: User): Promise<Traced>;
  /** Returns the path of a library of the host. */
  findPath(library: string): string;
  /** Starts a command that keeps running. */
  start(args: readonly string[], user: User): BareServer;
}

/** A running command with a trace, and its host. Disposing it ends the command. */
interface BareServer extends AsyncDisposable {
  readonly running: Running;
  /** Runs another command on the same host. */
  trace(args: readonly string[], user: User): Promise<Traced>;
  /** Returns the network calls of the server so far. */
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

const USERS: readonly { readonly who: string; readonly user: User }[] = [
  { who: "root", user: "0:0" },
  { who: "an ordinary user", user: "65534:65534" },
];

for (const { who, user } of USERS) {
  test(`the file runs server and client as ${who} on a bare host, and connects only to loopback`, async () => {
    await using folder = await createTempFolder();
    const host = await createBareRoot(hostFile(), folder);
    await assertServes(host, user);
  });

  test(`the file reports the path that ${who} cannot write on a read-only root`, async () => {
    await using folder = await createTempFolder();
    const host = await createBareRoot(hostFile(), folder);
    const { code, stderr } = await host.run(["up"], user);
    assert.equal(code, 1);
    assert.match(stderr, /^tlsboot: error: cannot create "\/tlsboot-data": the file system is read-only$/m);
    assert.match(stderr, /^tlsboot: hint: /m);
  });
}

test("the file runs the demo with nothing but its libraries, and connects only to loopback", async () => {
  await using folder = await createTempFolder();
  const host = await createBareRoot(hostFile(), folder);
  const { code, stdout, stderr, calls } = await host.trace(["demo", "--data-dir", `${DATA}/demo`], "65534:65534");
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(stdout, /all 3 certificates are signed by the CA/);
  assertLoopback(calls);
});

test("the file needs no network for local commands", async () => {
  await using folder = await createTempFolder();
  const host = await createBareRoot(hostFile(), folder);
  for (
    const args of [["version"], ["--help"], ["ca", "init", "--data-dir", `${DATA}/instance`], ["completion", "bash"]]
  ) {
    const { code, stderr, calls } = await host.trace(args, "65534:65534");
    assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
    assert.deepEqual(calls.flatMap((call) => parseAddress(call) ?? []), [], args.join(" "));
  }
});

test("the file runs server and client with glibc 2.31, the oldest one available", async () => {
  await using folder = await createTempFolder();
  const libraries = await ensureOldLibraries();
  const host = await createBareRoot(hostFile(), folder, libraries);
  const libc = await readFile(host.findPath("libc.so.6"), "latin1");
  assert.match(libc, /GNU C Library \(Debian GLIBC 2\.31-/);
  await assertServes(host, "65534:65534");
});

/** Runs a server and a client, and asserts that both connect only to loopback. */
async function assertServes(host: BareRoot, user: User): Promise<void> {
  await using server = host.start(["up", "--data-dir", `${DATA}/instance`], user);
  await server.running.waitFor(/is up at https:\/\/127\.0\.0\.1:6443/);
  const client = await server.trace(["get", "csr", "--data-dir", `${DATA}/instance`], user);
  assert.deepEqual({ code: client.code, stderr: client.stderr }, { code: 0, stderr: "No resources found\n" });
  assertLoopback(client.calls);
  assertLoopback(await server.calls());
}

function assertLoopback(calls: readonly string[]): void {
  const addresses = calls.flatMap((call) => parseAddress(call) ?? []);
  assert.ok(addresses.includes("127.0.0.1"), "the trace includes the command's own connections");
  assert.deepEqual(addresses.filter((address) => address !== "127.0.0.1"), []);
}

/** Returns the IP address in a call; undefined for UNIX and netlink sockets. */
function parseAddress(call: string): string | undefined {
  return /inet_addr\("([^"]+)"\)/.exec(call)?.[1] ?? /inet_pton\(AF_INET6, "([^"]+)"/.exec(call)?.[1];
}

/** Creates a bare host in a folder, with the libraries of this machine or of another root folder. Needs root. */
async function createBareRoot(file: string, folder: TempFolder, libraries?: string): Promise<BareRoot> {
  const root = folder.join("root");
  await mkdir(`${root}${DATA}`, { recursive: true });
  await copyFile(file, `${root}${PROGRAM}`);
  const needed = await findLibraries(file);
  for (const library of needed) {
    await mkdir(`${root}${dirname(library)}`, { recursive: true });
    await copyFile(libraries === undefined ? library : findInRoot(libraries, library), `${root}${library}`);
  }
  const script = folder.join("enter.sh");
  await writeFile(script, ENTER);
  let traces = 0;
  const nextTrace = () => folder.join(`trace-${traces++}`);
  const runTraced = async (command: string, args: readonly string[], trace: string): Promise<Traced> => ({
    ...await runProgram(command, args),
    calls: await readCalls(trace),
  });
  const toNewHostArgs = (args: readonly string[], user: User, trace: string): readonly string[] => [
    ...["--mount", "--net", "--pid", "--fork", "--kill-child"],
    ...["sh", script, "new", root, user, trace, ...args],
  ];
  return {
    findPath: (name) => `${root}${needed.find((library) => library.endsWith(`/${name}`))}`,
    run: (args, user) => runProgram("unshare", toNewHostArgs(args, user, "")),
    trace(args, user) {
      const trace = nextTrace();
      return runTraced("unshare", toNewHostArgs(args, user, trace), trace);
    },
    start(args, user) {
      const serverTrace = nextTrace();
      const running = start("unshare", toNewHostArgs(args, user, serverTrace));
      return {
        running,
        trace(clientArgs, clientUser) {
          const trace = nextTrace();
          const host = ["--target", `${running.pid}`, "--mount", "--net", "sh", script, "joined", root];
          return runTraced("nsenter", [...host, clientUser, trace, ...clientArgs], trace);
        },
        calls: () => readCalls(serverTrace),
        [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
      };
    },
  };
}

/** Lists the paths of the loader and of all libraries that a program needs. */
async function findLibraries(file: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await runProgram("ldd", [file]);
  if (code !== 0) throw new Error(`ldd ${file}: ${stderr}`);
  return [...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map(([, path]) => path!);
}

/** Finds a library below another root folder, where /lib may be a real folder and links may be absolute. */
function findInRoot(root: string, library: string): string {
  const found = [join(root, library), join(root, "usr", library)].find((path) =>
    lstatSync(path, { throwIfNoEntry: false }) !== undefined
  );
  if (found === undefined) throw new Error(`${root} has no ${library}`);
  const target = lstatSync(found).isSymbolicLink() ? readlinkSync(found) : "";
  return isAbsolute(target) ? findInRoot(root, target) : found;
}

/** Reads the calls of a trace. A call that another thread interrupted has two lines; the first one has the address. */
async function readCalls(trace: string): Promise<readonly string[]> {
  const lines = (await readFile(trace, "utf8")).split("\n").map((line) => line.replace(/^\d+ +/, ""));
  return lines.filter((line) => line !== "" && !line.startsWith("<..."));
}
