/**
 * One etcd under a real kube-apiserver and under ours: what either writes the other serves, byte by byte, through get,
 * list and watch, for every kind that we serve.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTempFolder } from "../support/temp.ts";
import { startControlPlane } from "./support/control_plane.ts";
import { startEtcd } from "./support/etcd.ts";
import { COLLECTIONS, everything, steady, writeSamples } from "./support/everything.ts";
import { createKubectl, type Kubectl } from "./support/kubectl.ts";
import { startSite } from "./support/site.ts";

test("kube-apiserver and tlsboot serve each other's objects from one etcd, byte by byte", async () => {
  await using etcd = await startEtcd();
  await using plane = await startControlPlane({ controllers: false, etcd });
  await using site = await startSite({ args: ["--etcd-servers", etcd.urls.join(",")] });
  const ours = site.kubectl;
  const theirs = site.kubectl.as(plane.adminKubeconfig);

  await using watchedByUs = ours.start("get", "configmaps", "-A", "--watch", "--output=name");
  await using watchedByThem = theirs.start("get", "configmaps", "-A", "--watch", "--output=name");
  await Promise.all([
    watchedByUs.waitFor(/kube-root-ca|cluster-info/),
    watchedByThem.waitFor(/kube-root-ca|cluster-info/),
  ]);
  await writeSamples(theirs, "theirs");
  await writeSamples(ours, "ours");
  await watchedByUs.waitFor(/sample-configmap-theirs\n/);
  await watchedByThem.waitFor(/sample-configmap-ours\n/);

  const seenByUs = steady(await everything(ours));
  const seenByThem = steady(await everything(theirs));
  assert.deepEqual(seenByUs, seenByThem);
  for (const suffix of ["ours", "theirs"]) {
    for (const collection of COLLECTIONS) {
      const mine = Object.keys(seenByUs).filter((key) => key.startsWith(`${collection} `) && key.includes(suffix));
      assert.notEqual(mine.length, 0, `no object of ${collection} by ${suffix}`);
    }
  }

  // Of services we show what the API's own needs, and nothing else than they do.
  const service = async (kubectl: Kubectl) =>
    JSON.parse(await kubectl.run("get", "--raw", "/api/v1/namespaces/default/services/kubernetes"));
  const [mine, whole] = [await service(ours), await service(theirs)];
  assert.deepEqual(mine, { ...whole, spec: { ...whole.spec, ports: mine.spec.ports } });
  assert.equal(mine.spec.ports[0].port, whole.spec.ports[0].port);

  // What one changes the other can change again, and delete.
  await ours.run("label", "node", "sample-theirs", "changed-by=tlsboot");
  await theirs.run("label", "node", "sample-theirs", "and-by=kube-apiserver");
  const node = JSON.parse(await ours.run("get", "node", "sample-theirs", "--output=json"));
  assert.equal(node.metadata.labels["changed-by"], "tlsboot");
  assert.equal(node.metadata.labels["and-by"], "kube-apiserver");
  await theirs.run("delete", "clusterrole", "sample-ours");
  const gone = await ours.try("get", "clusterrole", "sample-ours");
  assert.match(gone.stderr, /NotFound/);
});

test("a kube-apiserver takes the place of ours on the same etcd, and ours takes it back", async () => {
  await using etcd = await startEtcd();
  await using ours = await createTempFolder();
  // Its CA is in there, and the site's CA stays one and the same.
  const options = { args: ["--etcd-servers", etcd.urls.join(",")], dataDir: ours.join("data") };
  let before: Record<string, string>;
  {
    await using site = await startSite(options);
    await writeSamples(site.kubectl, "ours");
    before = steady(await everything(site.kubectl));
  }
  {
    await using plane = await startControlPlane({ controllers: true, etcd });
    await using folder = await createTempFolder();
    const theirs = createKubectl(folder, plane.adminKubeconfig);
    const after = steady(await everything(theirs));
    for (const key of Object.keys(before).filter((name) => name.includes("sample"))) {
      assert.equal(after[key], before[key], key);
    }
    await writeSamples(theirs, "theirs");
    before = steady(await everything(theirs));
  }
  await using site = await startSite(options);
  const after = steady(await everything(site.kubectl));
  for (const key of Object.keys(before).filter((name) => name.includes("sample"))) {
    assert.equal(after[key], before[key], key);
  }
});
