/** Each role listens on the documented port, on loopback by default, and on nothing else. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type Child, ROOT, spawnTlsboot } from "../support/child.ts";
import { readListening } from "../support/listening.ts";
import { runCaptured } from "../support/run_captured.ts";
import { type Instance, spawnInstance } from "../support/instance_process.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { findLink, startUi } from "../support/ui_client.ts";

let folder: TempFolder;
let instance: Instance;

before(async () => {
  folder = await createTempFolder();
  instance = await spawnInstance(folder);
  await writeFile(folder.join("web.yaml"), PROFILE);
});
after(async () => {
  await instance[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

test("readListening() sees TCP and UNIX sockets of a process", async () => {
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

/** The flags for listeners with their defaults in the manual, by command. */
async function readDocumented(): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const manual = await readFile(join(ROOT, "docs", "reference", "cli.md"), "utf8");
  const commands = manual.split(/^### tlsboot /m).slice(1).map((section) => {
    const flags = [...section.matchAll(/^\| `--([a-z-]*(?:address|port))=(?:'([^']*)'|([^'`]*))` \|/gm)]
      // The server address in a kubeconfig is not a listener.
      .filter(([, flag]) => flag !== "advertise-address")
      .map(([, flag = "", quoted, plain]) => [flag, quoted ?? plain ?? ""]);
    return [section.split("\n")[0], Object.fromEntries(flags)] as const;
  });
  return Object.fromEntries(commands.filter(([, flags]) => Object.keys(flags).length > 0));
}

test("the manual has these listeners and no others", async () => {
  const server = { "bind-address": "127.0.0.1", "secure-port": "6443" };
  const role = { "metrics-bind-address": "0" };
  assert.deepEqual(await readDocumented(), {
    demo: { "ui-port": "0" },
    up: { ...server, "ui-port": "0" },
    serve: server,
    signer: role,
    approver: role,
    ui: { port: "0" },
  });
});

/** The time for which a port of another process is retried. */
const TAKEN_MS = 60_000;

for (const command of ["up", "serve"]) {
  test(`tlsboot ${command} without flags takes the address and the port of the manual, and no other`, async () => {
    const flags = (await readDocumented())[command] ?? {};
    const [host = "", port = ""] = [flags["bind-address"], flags["secure-port"]];
    const said = `cannot listen on "${host}:${port}": the address is in use`;
    const until = Date.now() + TAKEN_MS;
    while (true) {
      const { isOurs, printed } = await startBesides(command, host, Number(port));
      // The other process may have closed the port before the attempt.
      if (!isOurs && printed !== said && Date.now() < until) continue;
      assert.equal(printed, said);
      return;
    }
  });
}

/** The error of a server without flags while the port is occupied, by this test if it was free. */
async function startBesides(
  command: string,
  host: string,
  port: number,
): Promise<{ readonly isOurs: boolean; readonly printed: string }> {
  // A client of another test may connect, and the server ends only when all connections have.
  const taken = createServer((socket) => socket.destroy());
  const isOurs = await new Promise<boolean>((resolve) => {
    taken.once("error", () => resolve(false)).listen(port, host, () => resolve(true));
  });
  await using other = await createTempFolder();
  await using running = spawnTlsboot([command, "--data-dir", "data"], { cwd: other.path });
  const [printed] = await running.waitFor(/cannot listen on .*|(?:is up at|serves) \S+/);
  await new Promise<void>((resolve) => taken.close(() => resolve()));
  return { isOurs, printed };
}

test("tlsboot up listens on its port of loopback alone", async () => {
  assert.deepEqual(await readListening(instance.running.pid), [{ kind: "tcp", at: `127.0.0.1:${instance.port}` }]);
});

test("tlsboot serve listens on its port of loopback alone", async () => {
  await using other = await createTempFolder();
  await using served = await spawnInstance(other, [], "serve");
  assert.deepEqual(await readListening(served.running.pid), [{ kind: "tcp", at: `127.0.0.1:${served.port}` }]);
});

test("tlsboot ui and tlsboot up --ui serve the page on loopback alone", async () => {
  await using page = await startUi(["--data-dir", instance.data], { cwd: folder.path });
  const at = (origin: string) => ({ kind: "tcp", at: new URL(origin).host });
  assert.deepEqual(await readListening(page.running.pid), [at(page.origin)]);
  await using other = await createTempFolder();
  await using served = await spawnInstance(other, ["--ui"]);
  const { origin } = await findLink(served.running);
  const found = (await readListening(served.running.pid)).map((listener) => listener.at).sort();
  assert.deepEqual(found, [`127.0.0.1:${served.port}`, at(origin).at].sort());
});

test("tlsboot serve listens on the given address", async () => {
  await using other = await createTempFolder();
  await using served = await spawnInstance(other, ["--bind-address", "127.0.0.2"], "serve");
  assert.deepEqual(await readListening(served.running.pid), [{ kind: "tcp", at: `127.0.0.2:${served.port}` }]);
});

test("tlsboot demo --keep listens on its port of loopback alone", async () => {
  await using other = await createTempFolder();
  await using demo = spawnTlsboot(["demo", "--nodes", "1", "--keep", "--data-dir", "demo"], { cwd: other.path });
  // In the story the server starts again twice.
  const [, port] = await demo.waitFor(/Serving on at https:\/\/127\.0\.0\.1:(\d+)/);
  assert.deepEqual(await readListening(demo.pid), [{ kind: "tcp", at: `127.0.0.1:${port}` }]);
});

/** The roles that serve metrics. */
const METRICS = ["signer", "approver"] as const;
/** A custom signer, whose requests the built-in signer ignores. */
const SIGNER = "example.com/web";
const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: ${SIGNER}
names: { dns: { allowed: ["*.example.com"] } }
usages: { allowed: [server auth, digital signature] }
lifetime: { max: 24h }
`;

/** The log message of each command when it has begun its work. */
const AT_WORK: Readonly<Record<string, { readonly args: readonly string[]; readonly isUp: RegExp }>> = {
  signer: {
    args: [
      ...["signer", "--kubeconfig", "data/admin.kubeconfig", "--leader-elect=false", "--debug"],
      ...["--signer-name", SIGNER, "--profile", "web.yaml"],
      ...["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"],
    ],
    isUp: /"CSR signed"/,
  },
  approver: {
    args: [
      ...["approver", "--kubeconfig", "data/admin.kubeconfig", "--leader-elect=false", "--debug"],
      ...["--policy", "kubelet-serving-trusting"],
    ],
    isUp: /"CSR is about no policy"/,
  },
  request: {
    args: [
      ...["request", "--kubeconfig", "data/admin.kubeconfig", "--signer-name", "example.com/a", "--subject", "CN=a"],
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
};

let worksMade = 0;

/** Creates an approved request for the signer, and a pending one for the approver. */
async function makeWork(): Promise<void> {
  const run = async (...args: readonly string[]): Promise<string> => {
    const all = [...args, "--kubeconfig", "data/admin.kubeconfig"];
    const io = { cwd: folder.path, clock: createSystemClock(), random: createSystemRandom() };
    const { code, stdout, stderr } = await runCaptured(all, io, AbortSignal.timeout(60_000));
    assert.equal(code, 0, stderr);
    return stdout;
  };
  worksMade += 1;
  const request = ["request", "--signer-name", SIGNER, "--dns", "a.example.com", "--no-wait", "-o", "json", "--out"];
  const made = await run(...request, `approved${worksMade}`);
  // The requests of earlier tests for this name are still open, of which it warns.
  await run("approve", JSON.parse(made).request.name, "--yes");
  await run(...request, `waiting${worksMade}`);
}

for (const [name, { args, isUp }] of Object.entries(AT_WORK)) {
  test(`tlsboot ${name} listens on nothing`, async () => {
    await makeWork();
    await using running: Child = spawnTlsboot(args, { cwd: folder.path });
    await running.waitFor(isUp);
    assert.deepEqual(await readListening(running.pid), []);
  });
}

for (const name of METRICS) {
  test(`tlsboot ${name} listens on the given address for metrics, and on nothing else`, async () => {
    for (const host of ["127.0.0.1", "127.0.0.2"]) {
      await makeWork();
      const { args, isUp } = AT_WORK[name]!;
      await using running = spawnTlsboot([...args, "--metrics-bind-address", `${host}:0`], { cwd: folder.path });
      const [, port] = await running.waitFor(/"message":"metrics".*"port":(\d+)/);
      await running.waitFor(isUp);
      assert.deepEqual(await readListening(running.pid), [{ kind: "tcp", at: `${host}:${port}` }]);
    }
  });
}

test("an occupied port is not shared", async () => {
  await using other = await createTempFolder();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  await using second = spawnTlsboot(["serve", "--data-dir", "data", "--secure-port", `${port}`], { cwd: other.path });
  const { code, stderr } = await second.finished();
  await new Promise<void>((resolve) => taken.close(() => resolve()));
  assert.equal(code, 1);
  assert.match(stderr, /the address is in use/);
});
