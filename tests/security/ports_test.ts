/** Each role listens on the port that the manual says, on loopback unless told otherwise, and on nothing else. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { after, before, test } from "node:test";
import { ROOT, type Running, startTlsboot } from "../support/child.ts";
import { readListening } from "../support/listening.ts";
import { type SiteProcess, startSiteProcess } from "../support/site_process.ts";
import { createTempFolder, findFreePort, type TempFolder } from "../support/temp.ts";

let folder: TempFolder;
let site: SiteProcess;

before(async () => {
  folder = await createTempFolder();
  site = await startSiteProcess(folder);
});
after(async () => {
  await site[Symbol.asyncDispose]();
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

/** Flags that say where to listen, with their defaults, as the manual has them: command by command. */
async function readDocumented(): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>> {
  const manual = await readFile(join(ROOT, "docs", "cli.md"), "utf8");
  const commands = manual.split(/^### tlsboot /m).slice(1).map((section) => {
    const flags = [...section.matchAll(/^\| `--([a-z-]*(?:address|port))=(?:'([^']*)'|([^'`]*))` \|/gm)]
      // What kubeconfigs say of the server is nothing to listen on.
      .filter(([, flag]) => flag !== "advertise-address")
      .map(([, flag = "", quoted, plain]) => [flag, quoted ?? plain ?? ""]);
    return [section.split("\n")[0], Object.fromEntries(flags)] as const;
  });
  return Object.fromEntries(commands.filter(([, flags]) => Object.keys(flags).length > 0));
}

test("the manual knows of these listeners and no others", async () => {
  const server = { "bind-address": "127.0.0.1", "secure-port": "6443" };
  const role = { "metrics-bind-address": "0" };
  assert.deepEqual(await readDocumented(), { up: server, serve: server, signer: role, approver: role });
});

for (const command of ["up", "serve"]) {
  test(`tlsboot ${command} without flags takes the address and the port of the manual, and no other`, async () => {
    const flags = (await readDocumented())[command] ?? {};
    const address = `${flags["bind-address"]}:${flags["secure-port"]}`;
    // Taken here, if it was free: so it is tried and nothing is disturbed.
    const taken = createServer();
    await new Promise<void>((resolve) => {
      taken.once("error", () => resolve()).listen(Number(flags["secure-port"]), flags["bind-address"], resolve);
    });
    await using other = await createTempFolder();
    await using running = startTlsboot([command, "--data-dir", "data"], { cwd: other.path });
    const [told] = await running.waitFor(/cannot listen on .*|(?:is up at|serves) \S+/);
    await new Promise<void>((resolve) => taken.close(() => resolve()));
    assert.equal(told, `cannot listen on "${address}": the address is in use`);
  });
}

test("tlsboot up listens on its port of loopback alone", async () => {
  assert.deepEqual(await readListening(site.running.pid), [{ kind: "tcp", at: `127.0.0.1:${site.port}` }]);
});

test("tlsboot serve listens on its port of loopback alone", async () => {
  await using other = await createTempFolder();
  await using served = await startSiteProcess(other, [], "serve");
  assert.deepEqual(await readListening(served.running.pid), [{ kind: "tcp", at: `127.0.0.1:${served.port}` }]);
});

test("tlsboot serve listens on the address that it is told", async () => {
  await using other = await createTempFolder();
  await using served = await startSiteProcess(other, ["--bind-address", "127.0.0.2"], "serve");
  assert.deepEqual(await readListening(served.running.pid), [{ kind: "tcp", at: `127.0.0.2:${served.port}` }]);
});

test("tlsboot demo --keep listens on its port of loopback alone", async () => {
  await using other = await createTempFolder();
  await using demo = startTlsboot(["demo", "--nodes", "1", "--keep", "--data-dir", "demo"], { cwd: other.path });
  const [, port] = await demo.waitFor(/https:\/\/127\.0\.0\.1:(\d+)/);
  assert.deepEqual(await readListening(demo.pid), [{ kind: "tcp", at: `127.0.0.1:${port}` }]);
});

/** Roles that can be asked for their metrics. */
const METRICS = ["signer", "approver"] as const;

const AT_WORK: Readonly<Record<string, { readonly args: readonly string[]; readonly isUp: RegExp }>> = {
  signer: {
    args: [
      ...[
        "signer",
        "--kubeconfig",
        "data/admin.kubeconfig",
        "--leader-elect=false",
        "--signer-name",
        "kubernetes.io/kubelet-serving",
      ],
      ...["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"],
    ],
    isUp: /working for an API server/,
  },
  approver: {
    args: ["approver", "--kubeconfig", "data/admin.kubeconfig", "--leader-elect=false"],
    isUp: /working for an API server/,
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
    isUp: /waiting for approval|submitted|created/i,
  },
};

for (const [name, { args, isUp }] of Object.entries(AT_WORK)) {
  test(`tlsboot ${name} listens on nothing`, async () => {
    await using running: Running = startTlsboot([
      ...args,
      ...(METRICS.some((role) => role === name) ? ["--debug"] : []),
    ], {
      cwd: folder.path,
    });
    await running.waitFor(isUp);
    assert.deepEqual(await readListening(running.pid), []);
  });
}

for (const name of METRICS) {
  test(`tlsboot ${name} listens where it is told to answer for its metrics, and on nothing else`, async () => {
    const port = await findFreePort();
    for (const address of [`127.0.0.1:${port}`, `127.0.0.2:${port}`]) {
      await using running = startTlsboot([...AT_WORK[name]!.args, "--metrics-bind-address", address], {
        cwd: folder.path,
      });
      await running.waitFor(AT_WORK[name]!.isUp);
      assert.deepEqual(await readListening(running.pid), [{ kind: "tcp", at: address }]);
    }
  });
}

test("a port that is taken is not shared", async () => {
  await using other = await createTempFolder();
  const port = await findFreePort();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(port, "127.0.0.1", resolve));
  await using second = startTlsboot(["serve", "--data-dir", "data", "--secure-port", `${port}`], { cwd: other.path });
  const { code, stderr } = await second.finished();
  await new Promise<void>((resolve) => taken.close(() => resolve()));
  assert.equal(code, 1);
  assert.match(stderr, /the address is in use/);
});
