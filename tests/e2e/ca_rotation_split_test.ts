/** The rotation of one CA of several, of a CA whose key has leaked, and what a server cannot adopt. */
import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { isAppError } from "../../core/errors.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import {
  beginRotation,
  changeRotation,
  finishRotation,
  getRotation,
  waitUntilAdopted,
  waitUntilFinished,
} from "../support/ca_rotation.ts";
import { runProgram, runTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { type Connected, connectWith, startInstance } from "../support/instance_process.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const quiet = new AbortController().signal;

async function withAdmin<T>(folder: TempFolder, use: (api: Connected["api"]) => Promise<T>): Promise<T> {
  await using admin = await connectWith(folder.join("data/admin.kubeconfig"));
  return await use(admin.api);
}

async function bootstrap(folder: TempFolder, node: string): Promise<void> {
  const done = await runCaptured(
    [
      ...["bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", "--hostname-override", node],
      ...["--kubeconfig", `${node}/kubeconfig`, "--cert-dir", `${node}/pki`],
    ],
    { cwd: folder.path, clock: createSystemClock(), random: createSystemRandom() },
  );
  assert.equal(done.code, 0, done.stderr);
}

async function isServed(folder: TempFolder, kubeconfig: string): Promise<boolean> {
  await using connected = await connectWith(folder.join(kubeconfig));
  try {
    await connected.api.requestJson({ method: "GET", path: "/version" }, quiet);
    return true;
  } catch (error) {
    if (isAppError(error, "unauthorized")) return false;
    throw error;
  }
}

async function verifies(folder: TempFolder, ca: string, file: string): Promise<boolean> {
  return (await runProgram("openssl", ["verify", "-CAfile", folder.join(ca), folder.join(file)])).code === 0;
}

test("each CA of a split instance is replaced alone: kubelets', administrators' and the server's", async () => {
  await using folder = await createTempFolder();
  assert.equal((await runTlsboot(["ca", "init", "--split", "--data-dir", "data"], { cwd: folder.path })).code, 0);
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  let newest = "n1";
  await bootstrap(folder, newest);
  for (const name of ["kubelet-client-ca", "client-ca", "ca"]) {
    const { oldCa, newCa } = await withAdmin(folder, (api) => beginRotation(api, folder.join("data"), name));
    await withAdmin(folder, (api) => waitUntilAdopted(api, 1, name));
    await withAdmin(folder, async (api) => {
      await changeRotation(api, { step: "Switch" }, name);
      await waitUntilAdopted(api, 1, name);
    });
    assert.equal(await readFile(folder.join(`data/pki/${name}.crt`), "utf8"), newCa);
    assert.equal(await readFile(folder.join(`data/pki/old-${name}.crt`), "utf8"), oldCa);
    assert.ok(await isServed(folder, `${newest}/kubeconfig`));
    if (name === "kubelet-client-ca") {
      newest = "n2";
      await bootstrap(folder, newest);
      assert.ok(await verifies(folder, `data/pki/${name}.crt`, `${newest}/pki/kubelet-client-current.pem`));
      assert.ok(await isServed(folder, `${newest}/kubeconfig`));
    }
    await finishRotation(folder.join("data/admin.kubeconfig"), 1, name);
    if (name === "kubelet-client-ca") assert.equal(await isServed(folder, "n1/kubeconfig"), false);
    // The kubeconfig of the node trusts the old CA of the server only.
    if (name !== "ca") assert.ok(await isServed(folder, `${newest}/kubeconfig`));
  }
  assert.ok(await verifies(folder, "data/pki/ca.crt", "data/pki/apiserver.crt"));
  const crls = (await readdir(folder.join("data/pki"))).filter((name) => name.endsWith(".crl")).sort();
  assert.deepEqual(crls, [
    "ca.crl",
    "client-ca.crl",
    "kubelet-client-ca.crl",
    "kubelet-serving-ca.crl",
  ]);
});

test("a leaked key: the old CA is refused at once, and the administrator of the machine has a new certificate", async () => {
  await using folder = await createTempFolder();
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  await bootstrap(folder, "n1");
  const { newCa } = await withAdmin(folder, (api) => beginRotation(api, folder.join("data"), "ca", true));
  await waitUntilFinished(folder.join("data/admin.kubeconfig"));
  assert.equal(await readFile(folder.join("data/pki/ca.crt"), "utf8"), newCa);
  await assert.rejects(isServed(folder, "n1/kubeconfig").then((served) => assert.ok(served, "401")));
  await bootstrap(folder, "n2");
  assert.ok(await isServed(folder, "n2/kubeconfig"));
});

test("a server without the new key reports why, serves both kinds of clients, and adopts the step when it can", async () => {
  await using folder = await createTempFolder();
  await using _instance = await startInstance(folder, ["--auto-approve"]);
  const key = folder.join("data/pki/sa.key");
  const [kept, other] = [await readFile(key, "utf8"), folder.join("other")];
  assert.equal((await runTlsboot(["ca", "init", "--data-dir", other], { cwd: folder.path })).code, 0);
  await withAdmin(folder, async (api) => {
    await beginRotation(api, folder.join("data"));
    await waitUntilAdopted(api);
    for (const file of ["next-ca.key", "next-ca.crt"]) await rm(folder.join("data/pki", file));
    await writeFile(key, await readFile(folder.join("other/pki/ca.key"), "utf8"));
    await changeRotation(api, { step: "Switch" });
    const message = await eventually("the server reports a fault", async () => {
      return (await getRotation(api)).status.servers?.[0]?.message;
    });
    assert.match(
      message,
      /^the new key cannot be opened with the key of service account tokens: it was encrypted with another key/,
    );
    await writeFile(key, kept);
    await waitUntilAdopted(api);
  });
});
