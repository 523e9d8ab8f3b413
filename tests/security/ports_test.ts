/** Each role listens on the port that the manual says, on loopback unless told otherwise, and on nothing else. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import process from "node:process";
import { after, before, test } from "node:test";
import { type Running, startTlsboot } from "../support/child.ts";
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
    await using running: Running = startTlsboot([...args, ...(name === "bootstrap" ? [] : ["--debug"])], {
      cwd: folder.path,
    });
    await running.waitFor(isUp);
    assert.deepEqual(await readListening(running.pid), []);
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
