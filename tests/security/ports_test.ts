/** Each role listens on the documented port, on loopback by default, and on nothing else. */
import assert from "node:assert/strict";
import { readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { ROOT, runTlsboot, startTlsboot } from "../support/child.ts";
import { describeInstance, startInstance } from "../support/instance_process.ts";
import { createTempFolder } from "../support/temp.ts";
import { WEB } from "../support/test_profiles.ts";
import { findLink, startUi } from "../support/ui_client.ts";

/** A socket that listens for connections. */
interface ListeningSocket {
  readonly kind: "tcp" | "udp" | "unix";
  /** `127.0.0.1:6443`, or the path of a UNIX socket. */
  readonly at: string;
}

const LISTENING = "0A";
/** Bound datagram sockets have no state of their own. */
const UNCONNECTED = "07";

/** Lists the listening sockets of a process and its children from `/proc`, on Linux only. */
async function readListening(pid: number): Promise<readonly ListeningSocket[]> {
  const pids = await listWithChildren(pid);
  const inodes = new Set((await Promise.all(pids.map(readSocketInodes))).flat());
  const read = async (name: string): Promise<readonly string[]> =>
    (await readFile(`/proc/${pid}/net/${name}`, "utf8").catch(() => "")).trim().split("\n").slice(1);
  const found: ListeningSocket[] = [];
  for (
    const [name, kind, state] of [["tcp", "tcp", LISTENING], ["tcp6", "tcp", LISTENING], ["udp", "udp", UNCONNECTED], [
      "udp6",
      "udp",
      UNCONNECTED,
    ]] as const
  ) {
    for (const line of await read(name)) {
      const fields = line.trim().split(/\s+/);
      const [, address = "", , shown] = fields;
      if (shown === state && inodes.has(fields[9] ?? "")) found.push({ kind, at: parseAddress(address) });
    }
  }
  for (const line of await read("unix")) {
    const fields = line.trim().split(/\s+/);
    // The flag of a socket that accepts connections.
    const isAccepting = (Number.parseInt(fields[3] ?? "0", 16) & 0x10000) !== 0;
    if (isAccepting && inodes.has(fields[6] ?? "")) found.push({ kind: "unix", at: fields[7] ?? "" });
  }
  return found;
}

async function listWithChildren(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = text.trim().split(/\s+/).filter((word) => word !== "").map(Number);
  return [pid, ...(await Promise.all(children.map(listWithChildren))).flat()];
}

async function readSocketInodes(pid: number): Promise<readonly string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => "")));
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.slice(1) ?? []);
}

/** Parses the kernel's hexadecimal notation, in which the bytes of IPv4 addresses are reversed. */
function parseAddress(text: string): string {
  const [address = "", port = ""] = text.split(":");
  const number = Number.parseInt(port, 16);
  if (address.length !== 8) return `[${address.toLowerCase()}]:${number}`;
  return `${(address.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)).join(".")}:${number}`;
}

/**
 * Starts tlsboot, and passes to `check` the new sockets on which this process and its children listen. The program has
 * begun its work when `start` returns.
 */
async function checkListening<T extends AsyncDisposable>(
  start: () => Promise<T>,
  check: (found: readonly ListeningSocket[], running: T) => void,
): Promise<void> {
  const before = new Set((await readListening(process.pid)).map(({ at }) => at));
  await using running = await start();
  check((await readListening(process.pid)).filter(({ at }) => !before.has(at)), running);
}

const tcp = (host: string, port: number | string): ListeningSocket => ({ kind: "tcp", at: `${host}:${port}` });

test("readListening() sees TCP and UNIX sockets of a process", async () => {
  await using folder = await createTempFolder();
  const servers = [createServer(), createServer()] as const;
  await new Promise<void>((resolve) => servers[0].listen(0, "127.0.0.1", resolve));
  await new Promise<void>((resolve) => servers[1].listen(folder.join("socket"), resolve));
  const address = servers[0].address();
  const port = typeof address === "object" ? address?.port : 0;
  const found = await readListening(process.pid);
  for (const server of servers) await new Promise<void>((resolve) => server.close(() => resolve()));
  assert.ok(found.some(({ kind, at }) => kind === "tcp" && at === `127.0.0.1:${port}`), JSON.stringify(found));
  assert.ok(found.some(({ kind, at }) => kind === "unix" && at === folder.join("socket")), JSON.stringify(found));
});

/** Reads the flags for listeners with their defaults from the manual, by command. */
async function readDocumented(): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const manual = await readFile(join(ROOT, "docs", "reference", "cli.md"), "utf8");
  const readTable = (section: string) =>
    [...section.matchAll(/^\| `--([a-z-]*(?:address|port))=(?:'([^']*)'|([^'`]*))` \|/gm)]
      // The server address in a kubeconfig is not a listener.
      .filter(([, flag]) => flag !== "advertise-address")
      .map(([, flag = "", quoted, plain]) => [flag, quoted ?? plain ?? ""] as const);
  const [groups = "", ...sections] = manual.split(/^### tlsboot /m);
  const shared = readTable(groups);
  const commands = sections.map((section) => {
    const line = /^Shared options: .*$/m.exec(section)?.[0] ?? "";
    const taken = shared.filter(([flag]) => line.includes(`\`--${flag}\``));
    return [section.split("\n")[0], Object.fromEntries([...readTable(section), ...taken])] as const;
  });
  return Object.fromEntries(commands.filter(([, flags]) => Object.keys(flags).length > 0));
}

test("the manual documents these listeners and no others", async () => {
  const server = { "bind-address": "127.0.0.1", "secure-port": "6443" };
  const role = { "metrics-bind-address": "0" };
  assert.deepEqual(await readDocumented(), {
    up: server,
    serve: server,
    signer: role,
    approver: role,
    attestor: { ...server, "secure-port": "6444", ...role },
    ui: { port: "0" },
  });
});

for (const command of ["up", "serve"]) {
  test(`tlsboot ${command} without flags uses the documented address and port`, async () => {
    const flags = (await readDocumented())[command] ?? {};
    const [host = "", port = ""] = [flags["bind-address"], flags["secure-port"]];
    await using folder = await createTempFolder();
    await using running = startTlsboot([command, "--data-dir", "data"], { cwd: folder.path });
    // Another program may use the port.
    const [, at] = await running.waitFor(/cannot listen on "(.*)": the address is in use|(?:is up at|serves) \S+/);
    if (at !== undefined) return assert.equal(at, `${host}:${port}`);
    assert.match(running.stdout(), new RegExp(`https://${host}:${port}\\b`));
  });
}

test("an occupied port is not shared", async () => {
  await using folder = await createTempFolder();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  const args = ["serve", "--data-dir", "data", "--secure-port", `${port}`];
  const { code, stderr } = await runTlsboot(args, { cwd: folder.path });
  await new Promise<void>((resolve) => taken.close(() => resolve()));
  assert.equal(code, 1);
  assert.match(stderr, /the address is in use/);
});

for (
  const { command, args, host } of [
    { command: "up", args: [], host: "127.0.0.1" },
    { command: "serve", args: [], host: "127.0.0.1" },
    { command: "serve", args: ["--bind-address", "127.0.0.2"], host: "127.0.0.2" },
  ] as const
) {
  test(`tlsboot ${[command, ...args].join(" ")} listens only on its port of ${host}`, async () => {
    await using folder = await createTempFolder();
    await checkListening(
      () => startInstance(folder, args, command),
      (found, { port }) => assert.deepEqual(found, [tcp(host, port)]),
    );
  });
}

test("tlsboot up --ui serves the page on loopback only", async () => {
  await using folder = await createTempFolder();
  await checkListening(async () => {
    const instance = await startInstance(folder, ["--ui"]);
    return { ...instance, ui: await findLink(instance.running) };
  }, (found, { port, ui }) => {
    const all = [tcp("127.0.0.1", port).at, new URL(ui.origin).host];
    assert.deepEqual(found.map(({ at }) => at).sort(), all.sort());
  });
});

test("tlsboot demo --keep listens only on its port of loopback", async () => {
  await using folder = await createTempFolder();
  const args = ["demo", "--nodes", "1", "--keep", "--data-dir", "demo"];
  await checkListening(async () => {
    const running = startTlsboot(args, { cwd: folder.path });
    // The demo restarts the server twice.
    const [, port = ""] = await running.waitFor(/Still serving at https:\/\/127\.0\.0\.1:(\d+)/);
    return { ...running, port };
  }, (found, { port }) => assert.deepEqual(found, [tcp("127.0.0.1", port)]));
});

/** The roles that serve metrics. */
const METRICS = ["signer", "approver"] as const;
/** A custom signer, whose requests the built-in signer ignores. */
const SIGNER = "example.com/web";

/** The commands, each with the log message that it has begun its work. */
const AT_WORK = {
  signer: {
    args: [
      ...["signer", "--kubeconfig", "data/admin.kubeconfig", "--leader-elect=false", "--debug"],
      ...["--signer", SIGNER, "--profile", "web.yaml"],
      ...["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"],
    ],
    isUp: /"CSR signed"/,
  },
  approver: {
    args: [
      ...["approver", "--kubeconfig", "data/admin.kubeconfig", "--leader-elect=false", "--debug"],
      ...["--policy", "kubelet-serving-trusting"],
    ],
    isUp: /"CSR stays pending"/,
  },
  request: {
    args: [
      ...["request", "--kubeconfig", "data/admin.kubeconfig", "--signer", "example.com/a", "--subject", "CN=a"],
      ...["--out", "out"],
    ],
    isUp: /waiting for approval/,
  },
  bootstrap: {
    args: [
      ...["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--kubeconfig", "n1/kubeconfig"],
      ...["--cert-dir", "n1/pki", "--hostname-override", "n1"],
    ],
    isUp: /waiting for approval/,
  },
} as const;

describeInstance("the clients of an instance", {
  prepare: (folder) => writeFile(folder.join("web.yaml"), WEB),
}, (instance) => {
  let worksMade = 0;

  /** Creates an approved request for the signer, and a pending one for the approver. */
  async function makeWork(): Promise<void> {
    const run = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await instance.tlsboot(...args, "--kubeconfig", "data/admin.kubeconfig");
      assert.equal(code, 0, stderr);
      return stdout;
    };
    worksMade += 1;
    const request = ["request", "--signer", SIGNER, "--dns", "a.example.com", "--no-wait", "-o", "json", "--out"];
    const made = await run(...request, `approved${worksMade}`);
    // Without --yes, open requests of earlier tests for this name would need a confirmation.
    await run("approve", JSON.parse(made).request.name, "--yes");
    await run(...request, `waiting${worksMade}`);
  }

  test("tlsboot ui serves the page on loopback only", async () => {
    await checkListening(
      () => startUi(["--data-dir", instance.data], { cwd: instance.folder.path }),
      (found, { origin }) => assert.deepEqual(found, [{ kind: "tcp", at: new URL(origin).host }]),
    );
  });

  for (const [name, { args, isUp }] of Object.entries(AT_WORK)) {
    test(`tlsboot ${name} listens on nothing`, async () => {
      await makeWork();
      await checkListening(async () => {
        const running = startTlsboot(args, { cwd: instance.folder.path });
        await running.waitFor(isUp);
        return running;
      }, (found) => assert.deepEqual(found, []));
    });
  }

  for (const name of METRICS) {
    test(`tlsboot ${name} listens only on the given address for metrics`, async () => {
      await makeWork();
      const { args, isUp } = AT_WORK[name];
      await checkListening(async () => {
        const running = startTlsboot([...args, "--metrics-bind-address", "127.0.0.2:0"], { cwd: instance.folder.path });
        const [, port = ""] = await running.waitFor(/"message":"metrics".*"port":(\d+)/);
        await running.waitFor(isUp);
        return { ...running, port };
      }, (found, { port }) => assert.deepEqual(found, [tcp("127.0.0.2", port)]));
    });
  }
});
