/** kubectl commands that keep a stream open: get --watch and the three kinds of wait. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { csrManifest } from "../support/interop/csr_manifest.ts";
import { startInstance } from "../support/interop/instance.ts";

const KIND = "certificatesigningrequest.certificates.k8s.io";

test("kubectl get csr NAME --watch prints each change once", async () => {
  await using instance = await startInstance();
  await instance.kubectl.given({ stdin: await csrManifest("w1") }).run("create", "-f", "-");
  await using watch = instance.kubectl.start("get", "csr", "w1", "--watch", "--no-headers");
  await watch.waitFor(/Pending\n/);
  await instance.kubectl.run("label", "csr", "w1", "a=b");
  await instance.kubectl.run("certificate", "approve", "w1");
  await watch.waitFor(/Approved,Issued\n/);
  const conditions = watch.stdout().trim().split("\n").map((line) => line.split(/ +/).at(-1));
  assert.deepEqual(conditions, ["Pending", "Pending", "Approved", "Approved,Issued"]);
});

test("kubectl get csr --watch --output-watch-events streams whole objects, the deleted one too", async () => {
  await using instance = await startInstance();
  await using watch = instance.kubectl.start(
    ...["get", "csr", "--watch", "--output-watch-events"],
    '--output=jsonpath={.type} {.object.metadata.name}{"\\n"}',
  );
  await instance.kubectl.given({ stdin: await csrManifest("w2") }).run("create", "-f", "-");
  await watch.waitFor(/^ADDED w2$/m);
  await instance.kubectl.run("delete", "csr", "w2");
  await watch.waitFor(/^DELETED w2$/m);
});

test("kubectl wait returns at creation, at approval and at deletion", async () => {
  await using instance = await startInstance();
  await using created = instance.kubectl.start("wait", "csr/w3", "--for=create", "--timeout=30s");
  await instance.kubectl.given({ stdin: await csrManifest("w3") }).run("create", "-f", "-");
  assert.deepEqual(await created.finished(), { code: 0, stdout: `${KIND}/w3 condition met\n`, stderr: "" });

  await using approved = instance.kubectl.start("wait", "csr/w3", "--for=condition=Approved", "--timeout=30s");
  await using deleted = instance.kubectl.start("wait", "csr/w3", "--for=delete", "--timeout=30s");
  await instance.kubectl.run("certificate", "approve", "w3");
  assert.deepEqual(await approved.finished(), { code: 0, stdout: `${KIND}/w3 condition met\n`, stderr: "" });
  await instance.kubectl.run("delete", "csr", "w3");
  assert.equal((await deleted.finished()).code, 0);
});

test("kubectl delete --cascade=orphan returns although nothing collects garbage", async () => {
  await using instance = await startInstance();
  await instance.kubectl.given({ stdin: await csrManifest("w4") }).run("create", "-f", "-");
  assert.equal(await instance.kubectl.run("delete", "csr", "w4", "--cascade=orphan"), `${KIND} "w4" deleted\n`);
});
