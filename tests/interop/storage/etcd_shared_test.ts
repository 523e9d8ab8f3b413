/**
 * A real kube-apiserver and tlsboot share an etcd: each serves what the other writes, byte for byte, through get, list
 * and watch, for every kind that tlsboot serves.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { ClusterTrustBundle } from "../../../core/kube/kinds/certificates_v1.ts";
import { KUBE_APISERVER_SERVING_SIGNER } from "../../../core/kube/kinds/constants.ts";
import { formatTrustBundleName } from "../../../core/signing/cluster_trust_bundle.ts";
import { eventually } from "../../support/eventually.ts";
import { buildStubRequest } from "../../support/pod_request_builder.ts";
import { createTempFolder } from "../../support/temp.ts";
import { type ControlPlane, startControlPlane } from "../../support/interop/control_plane.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { type Etcd, startEtcd } from "../../support/interop/etcd.ts";
import {
  COLLECTIONS,
  readAllObjects,
  waitForNamespace,
  withoutRenewedLeases,
  writeSamples,
} from "../../support/interop/all_objects.ts";
import { type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { type RunningInstance, startInstance } from "../../support/interop/instance.ts";
import { parseCertificates, readRegister } from "../../support/interop/register.ts";

const SERVING_BUNDLES = `--field-selector=spec.signerName=${KUBE_APISERVER_SERVING_SIGNER}`;

/** Reviews a token at a server and returns its user, or an empty text if the token is invalid. */
async function findTokenUser(kubectl: Kubectl, token: string): Promise<string> {
  const review = JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } });
  return await kubectl.create(review, "--output=jsonpath={.status.user.username}");
}

/** Lists objects for a namespace: kinds that both servers have, and kinds that only kube-apiserver has. */
function createManifests(namespace: string): string {
  const metadata = { name: "sample", namespace };
  const labels = { app: "sample" };
  const spec = { containers: [{ name: "c", image: "example.com/none" }] };
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: "b" } },
    { apiVersion: "v1", kind: "Secret", metadata, stringData: { a: "b" } },
    { apiVersion: "v1", kind: "ResourceQuota", metadata, spec: { hard: { pods: "10" } } },
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels, ports: [{ port: 80 }] } },
    { apiVersion: "v1", kind: "Pod", metadata, spec },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec },
      },
    },
  ].map((object) => JSON.stringify(object)).join("\n---\n");
}

/** Lists the keys of all objects in a namespace. */
async function listKeys(etcd: Etcd, namespace: string): Promise<readonly string[]> {
  const keys = [...(await etcd.members[0]!.read("/registry/")).keys()];
  return keys.filter((key) => key.split("/").includes(namespace));
}

type Found = Readonly<Record<string, string>>;

describe("one etcd under tlsboot and kube-apiserver", () => {
  const stack = new AsyncDisposableStack();
  let etcd: Etcd;
  let plane: ControlPlane;
  let instance: RunningInstance;
  let ours: Kubectl;
  let theirs: Kubectl;
  /**
   * All objects at each handover: as tlsboot leaves them, as kube-apiserver finds and leaves them, and as tlsboot finds
   * them.
   */
  const handovers: Found[] = [];

  before(async () => {
    etcd = stack.use(await startEtcd());
    // The CA in the data directory stays the same.
    const dataDir = stack.use(await createTempFolder()).join("data");
    const args = ["--etcd-servers", etcd.urls.join(",")];
    {
      await using first = await startInstance({ args, dataDir });
      await writeSamples(first.kubectl, "early");
      handovers.push(withoutRenewedLeases(await readAllObjects(first.kubectl)));
      // The server releases its Lease, so the next server need not wait.
      first.running.kill("SIGTERM");
      await first.running.finished();
    }
    plane = stack.use(await startControlPlane({ controllers: false, etcd }));
    {
      await using _controllers = plane.startCertificateControllers();
      handovers.push(withoutRenewedLeases(await readAllObjects(plane.kubectl)));
      await writeSamples(plane.kubectl, "late");
      handovers.push(withoutRenewedLeases(await readAllObjects(plane.kubectl)));
    }
    const keys = ["--service-account-signing-key-file", plane.folder.join("sa.key")];
    instance = stack.use(await startInstance({ args: [...args, ...keys], dataDir }));
    ours = instance.kubectl;
    theirs = ours.as(plane.adminKubeconfig);
    handovers.push(withoutRenewedLeases(await readAllObjects(ours)));
    await waitForNamespace(ours, "sample-late");
  });
  after(() => stack.disposeAsync());

  test("a kube-apiserver replaces tlsboot on the same etcd, and tlsboot replaces it", () => {
    const [first, taken, written, back] = handovers as [Found, Found, Found, Found];
    for (const [before, after] of [[first, taken], [written, back]] as const) {
      const samples = Object.keys(before).filter((key) => key.includes("sample"));
      assert.notEqual(samples.length, 0);
      for (const key of samples) assert.equal(after[key], before[key], key);
    }
  });

  test("kube-apiserver and tlsboot serve each other's objects from one etcd, byte for byte", async () => {
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
    await waitForNamespace(ours, "sample-theirs");
    await waitForNamespace(ours, "sample-ours");

    const [seenByUs, seenByThem] = await eventually("no object changes while both are read", async () => {
      const [own, other] = [
        withoutRenewedLeases(await readAllObjects(ours)),
        withoutRenewedLeases(await readAllObjects(theirs)),
      ];
      return isDeepStrictEqual(own, withoutRenewedLeases(await readAllObjects(ours)))
        ? [own, other] as const
        : undefined;
    });
    assert.deepEqual(seenByUs, seenByThem);
    for (const suffix of ["ours", "theirs"]) {
      for (const collection of COLLECTIONS) {
        const own = Object.keys(seenByUs).filter((key) => key.startsWith(`${collection} `) && key.includes(suffix));
        assert.notEqual(own.length, 0, `no object of ${collection} by ${suffix}`);
      }
    }

    // Services are read-only in tlsboot, but served with all fields.
    const service = async (kubectl: Kubectl) =>
      JSON.parse(await kubectl.run("get", "--raw", "/api/v1/namespaces/default/services/kubernetes"));
    const [own, other] = [await service(ours), await service(theirs)];
    assert.deepEqual(own, other);

    // With the same key, each accepts the tokens of the other, including tokens bound to a pod until the pod is
    // deleted.
    await theirs.run("run", "bound", "--image=example.com/none", "--namespace=default");
    const toPod = ["--bound-object-kind=Pod", "--bound-object-name=bound"];
    const bound: string[] = [];
    for (const [issuer, verifier] of [[ours, theirs], [theirs, ours]] as const) {
      for (const flags of [[], toPod]) {
        const token = (await issuer.run("create", "token", "default", ...flags)).trim();
        assert.equal(await findTokenUser(verifier, token), "system:serviceaccount:default:default");
        if (flags === toPod) bound.push(token);
      }
    }
    await theirs.run("delete", "pod", "bound", "--namespace=default", "--grace-period=0", "--force");
    for (const token of bound) assert.equal(await findTokenUser(ours, token), "");

    // Each server can change and delete the objects of the other.
    await ours.run("label", "node", "sample-theirs", "changed-by=tlsboot");
    await theirs.run("label", "node", "sample-theirs", "and-by=kube-apiserver");
    const node = JSON.parse(await ours.run("get", "node", "sample-theirs", "--output=json"));
    assert.equal(node.metadata.labels["changed-by"], "tlsboot");
    assert.equal(node.metadata.labels["and-by"], "kube-apiserver");
    await theirs.run("delete", "clusterrole", "sample-ours");
    const gone = await ours.try("get", "clusterrole", "sample-ours");
    assert.match(gone.stderr, /NotFound/);
  });

  test("a node gets certificates for pods that kube-apiserver has stored, by the same rules", async () => {
    await ours.run("wait", "--for=create", "serviceaccount/default");
    const projected = {
      sources: [{
        podCertificate: { signerName: "example.com/pods", keyType: "ED25519", credentialBundlePath: "bundle.pem" },
      }],
    };
    const createPod = (name: string) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name },
      spec: {
        nodeName: "n1",
        containers: [{ name: "c", image: "example.com/none" }],
        volumes: [{ name: "certificate", projected }],
      },
    });
    const nodes = ["n1", "n2"].map((name) => ({ apiVersion: "v1", kind: "Node", metadata: { name } }));
    const objects = [...nodes, createPod("web-1")].map((object) => JSON.stringify(object)).join("\n---\n");
    await theirs.create(objects);
    const getUid = (kubectl: Kubectl, name: string) => kubectl.run("get", name, "--output=jsonpath={.metadata.uid}");
    const spec = {
      signerName: "example.com/pods",
      podName: "web-1",
      podUID: await getUid(theirs, "pod/web-1"),
      serviceAccountName: "default",
      serviceAccountUID: await getUid(ours, "serviceaccount/default"),
      nodeName: "n1",
      nodeUID: await getUid(ours, "node/n1"),
      stubPKCS10Request: await buildStubRequest("ed25519"),
    };
    const request = async (kubectl: Kubectl, edit: object, ...args: string[]) => {
      const object = { metadata: { name: "web-1" }, spec: { ...spec, ...edit } };
      const body = { apiVersion: "certificates.k8s.io/v1", kind: "PodCertificateRequest", ...object };
      const asNode = [`--as=system:node:${object.spec.nodeName}`, "--as-group=system:nodes"];
      const { stdout, stderr } = await kubectl.given({ stdin: JSON.stringify(body) })
        .try("create", "-f", "-", "--output=name", ...asNode, ...args);
      return stdout + stderr;
    };
    const n2 = { nodeName: "n2", nodeUID: await getUid(ours, "node/n2") };
    await eventually("the caches of kube-apiserver's admission have the pod and the nodes", async () => {
      const answers = await Promise.all([{}, n2].map((edit) => request(theirs, edit, "--dry-run=server")));
      return answers.some((answer) => answer.includes("not found")) ? undefined : true;
    });
    for (
      const { edit, want } of [
        { edit: {}, want: /podcertificaterequest.certificates.k8s.io\/web-1/ },
        { edit: { signerName: "example.com/other" }, want: /does not mount a podCertificate projected volume/ },
        { edit: { podName: "web-2" }, want: /pod "web-2" not found/ },
        { edit: { podUID: "u" }, want: /differs from running pod/ },
        { edit: { serviceAccountName: "other" }, want: /differs from running pod \("default"\)/ },
        { edit: { serviceAccountUID: "u" }, want: /differs from the running service account/ },
        { edit: { nodeUID: "u" }, want: /inconsistent with the running node/ },
        { edit: n2, want: /pod "default\/web-1" is not running on node "n2"/ },
      ]
    ) {
      const answer = await request(ours, edit, "--dry-run=server");
      assert.match(answer, want);
      assert.equal(answer, await request(theirs, edit, "--dry-run=server"));
    }
    await request(ours, {});
    assert.equal(
      await theirs.run("get", "podcertificaterequest", "web-1", "--output=json"),
      await ours.run("get", "podcertificaterequest", "web-1", "--output=json"),
    );
    await theirs.run("delete", "pod", "web-1", "--grace-period=0", "--force");
  });

  test("certificates stored by kube-apiserver are soon in the register, which kube-apiserver does not serve", async () => {
    await theirs.create(await csrManifest("foreign"));
    await theirs.run("certificate", "approve", "foreign");
    const { sha256Fingerprint } = parseCertificates(await waitForCertificate(theirs, "foreign"))[0]!;
    const record = await eventually("the certificate is recorded", async () => {
      const { items } = await readRegister(ours, instance.caPath);
      return items.find(({ spec }) => spec.fingerprint === sha256Fingerprint);
    });
    assert.equal(record.spec.subject, "CN=foreign");
    assert.equal(record.spec.request?.name, "foreign");
    assert.match((await theirs.try("get", "issuedcertificates")).stderr, /doesn't have a resource type/);
    await theirs.run("delete", "csr", "foreign");
    assert.equal((await theirs.run("get", "--raw", "/readyz")).trim(), "ok");
  });

  test("all objects of a deleted namespace are deleted, for every client and every set of controllers", async () => {
    const fillNamespace = async (namespace: string) => {
      await theirs.run("create", "namespace", namespace);
      // kube-apiserver accepts a pod only once its service account exists.
      await waitForNamespace(ours, namespace);
      await theirs.create(createManifests(namespace));
    };
    const assertNothingLeft = async (namespaces: readonly string[]) => {
      await ours.run("wait", "--for=delete", ...namespaces.map((name) => `namespace/${name}`));
      assert.deepEqual((await Promise.all(namespaces.map((name) => listKeys(etcd, name)))).flat(), []);
    };

    // Without kube-controller-manager, kinds that tlsboot does not serve stay, and so do the namespace and what they
    // use.
    await ours.run("create", "namespace", "plain");
    assert.deepEqual(JSON.parse(await ours.run("get", "--raw", "/api/v1/pods")).items, []);
    await fillNamespace("kept");
    // An empty list of pods would be wrong from now on.
    const pods = await ours.try("get", "--raw", "/api/v1/namespaces/default/pods");
    assert.match(pods.stderr, /NotFound.*the server could not find the requested resource/);
    const before = await listKeys(etcd, "kept");
    await ours.run("delete", "namespace", "kept", "plain", "--wait=false");
    await ours.run("wait", "--for=condition=NamespaceContentRemaining", "namespace/kept");
    const { status } = JSON.parse(await theirs.run("get", "namespace", "kept", "--output=json"));
    const remaining = status.conditions.find(({ type }: { type: string }) => type === "NamespaceContentRemaining");
    assert.equal(
      remaining.message,
      "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 1 resource instances, " +
        "resourcequotas. has 1 resource instances, services. has 1 resource instances",
    );
    assert.deepEqual((await listKeys(etcd, "kept")).filter((key) => before.includes(key)), before);
    await assertNothingLeft(["plain"]);

    for (const flags of [["--leader-elect=true"], []]) {
      const isElected = flags.length > 0;
      await using _manager = plane.startControllers(["*"], [...flags, `--root-ca-file=${plane.caPath}`]);
      if (isElected) await assertNothingLeft(["kept"]);
      const namespaces = Array.from({ length: 6 }, (_, index) => `going-${isElected ? "elected" : "alone"}-${index}`);
      await Promise.all(namespaces.map(fillNamespace));
      // By then the controllers have created Pods and EndpointSlices.
      await Promise.all(
        namespaces.map((namespace) =>
          theirs.run("wait", "-n", namespace, "--for=jsonpath={.status.replicas}=2", "deployment/sample")
        ),
      );
      const [first, ...rest] = namespaces;
      await ours.run("delete", "namespace", ...rest.slice(0, 3), "--wait=false");
      await theirs.run("delete", "namespace", first!, ...rest.slice(3), "--wait=false");
      await assertNothingLeft(namespaces);
      if (!isElected) continue;
      // Two publishers of two CAs do not overwrite each other, and two aggregators agree.
      const roles = () => ours.run("get", "clusterroles", "--output=jsonpath={.items[*].metadata.resourceVersion}");
      const aggregated = await roles();
      const bundle = async () => JSON.parse(await ours.run("get", "configmap", "kube-root-ca.crt", "--output=json"));
      const published = await bundle();
      const caPem = await readFile(plane.caPath, "utf8");
      assert.equal(published.data["ca.crt"].trim(), caPem.trim());
      // The bundle has the name that tlsboot would give it for this CA.
      const bundles = await ours.run("get", "clustertrustbundles", SERVING_BUNDLES, "--output=json");
      assert.deepEqual(
        JSON.parse(bundles).items.map(({ metadata, spec }: ClusterTrustBundle) => [metadata.name, spec.trustBundle]),
        [[formatTrustBundleName(KUBE_APISERVER_SERVING_SIGNER, caPem), caPem]],
      );
      await ours.run("create", "namespace", "later");
      await ours.run("wait", "--for=create", "-n", "later", "configmap/kube-root-ca.crt");
      assert.deepEqual(await bundle(), published);
      assert.equal(await roles(), aggregated);
    }
  });
});
