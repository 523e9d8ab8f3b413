/**
 * One etcd under a real kube-apiserver and under ours: what either writes the other serves, byte by byte, through get,
 * list and watch, for every kind that we serve.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { csrManifest } from "./support/csr_manifest.ts";
import { createTempFolder } from "../support/temp.ts";
import { startControlPlane } from "./support/control_plane.ts";
import { startEtcd } from "./support/etcd.ts";
import { createKubectl, type Kubectl } from "./support/kubectl.ts";
import { SAMPLE_OBJECTS } from "./support/sample_objects.ts";
import { startSite } from "./support/site.ts";

/** Where every served kind is listed. */
const COLLECTIONS = [
  "/api/v1/configmaps",
  "/api/v1/events",
  "/api/v1/namespaces",
  "/api/v1/nodes",
  "/api/v1/secrets",
  "/api/v1/serviceaccounts",
  "/apis/certificates.k8s.io/v1/certificatesigningrequests",
  "/apis/coordination.k8s.io/v1/leases",
  "/apis/events.k8s.io/v1/events",
  "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
  "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  "/apis/rbac.authorization.k8s.io/v1/rolebindings",
  "/apis/rbac.authorization.k8s.io/v1/roles",
  "/apis/storage.k8s.io/v1/csinodes",
];

interface Item {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly resourceVersion: string };
}

/** Every object of every kind, as JSON text by collection and name. */
async function everything(kubectl: Kubectl): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const collection of COLLECTIONS) {
    const { items } = JSON.parse(await kubectl.run("get", "--raw", collection)) as { readonly items: readonly Item[] };
    for (const item of items) {
      found.set(`${collection} ${item.metadata.namespace ?? ""}/${item.metadata.name}`, JSON.stringify(item));
    }
  }
  return found;
}

/** What changes by itself meanwhile: leases that are renewed. */
function steady(all: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(
    [...all].filter(([key]) => !/leases .*\/(apiserver-|tlsboot-controllers)/.test(key)).sort(),
  );
}

async function writeSamples(kubectl: Kubectl, suffix: string): Promise<void> {
  const objects = SAMPLE_OBJECTS.replaceAll("SUFFIX", suffix);
  await kubectl.given({ stdin: objects }).run("create", "-f", "-");
  await kubectl.given({ stdin: await csrManifest(`sample-${suffix}`) }).run("create", "-f", "-");
  await kubectl.run("certificate", "approve", `sample-${suffix}`);
  await kubectl.run("annotate", "configmap", "-n", `sample-${suffix}`, "sample", "note=änderung");
  await kubectl.run("delete", "secret", "-n", `sample-${suffix}`, "gone");
}

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
