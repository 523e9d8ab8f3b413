/**
 * The signer of pod certificates with a real kube-apiserver and only the permissions that `--print-rbac` prints. The
 * requests come from kubelet's own code, with the credentials of a node.
 */
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import type { ClusterTrustBundle, PodCertificateRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseCpuSeconds } from "../../bench/processes.ts";
import { type Child, spawnTlsboot, succeedProgram, succeedTlsboot } from "../../support/child.ts";
import { type Kubectl, untilAllowed } from "../../support/interop/kubectl.ts";
import { CA_EXTENSIONS, makeCertificate, openssl } from "../../support/interop/openssl.ts";
import { type SharedControlPlane, sharedControlPlane, sharedInstance } from "../../support/interop/shared.ts";
import { createShell, type Shell } from "../../support/interop/shell.ts";
import { readGuide, toScript } from "../../support/guide.ts";
import { peerPath } from "../../support/peers/go.ts";
import type { TempFolder } from "../../support/temp.ts";

const SIGNER = "example.com/work";
const ACCOUNT = "tlsboot-pod-signer.example.com.work";
const DNS = "example.com/dns-names";
/** The number of projected certificates in the large pods; a measurement sets more. */
const MANY = Number(process.env["TLSBOOT_POD_REQUESTS"] ?? 20);
/** The largest number in one pod: a kubelet checks all projections of a pod whenever one of its requests changes. */
const PER_POD = 100;

const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: ${SIGNER}
names:
  uris: { exactly: ["spiffe://example.org/ns/{namespace}/sa/{serviceAccount}"] }
  dns: { allowed: ["*.{namespace}.svc.cluster.local", "*.example.net"], annotation: ${DNS} }
usages: { allowed: [digital signature, client auth, server auth] }
lifetime: { max: 12h, refreshBefore: 4h }
keys: [{ type: ECDSA }, { type: Ed25519 }]
pods: { namespace: { allowed: [work] } }
`;

/** An output line of the program `podcertificates`. */
interface Line {
  readonly pod: string;
  readonly state: "issued" | "refreshed" | "denied" | "failed";
  readonly detail?: string;
  readonly serial?: string;
  readonly chain?: string;
}

let plane: SharedControlPlane;
let shell: Shell;
let kubectl: Kubectl;

describe("with a kube-apiserver", () => {
  before(async () => {
    plane = await sharedControlPlane();
    shell = await createShell(plane.folder);
    kubectl = plane.kubectl;
  });
  after(() => plane[Symbol.asyncDispose]());

  test("docs/guides/pod_certificates.md works unchanged, with a node for its pod", async () => {
    const { files, blocks } = await readGuide("pod_certificates");
    const work = plane.folder.join("work");
    await cp(plane.caPath, `${work}/ca.crt`);
    for (const [file, text] of files) {
      // There is no scheduler, and no container is started.
      await writeFile(`${work}/${file}`, text.replace("  containers:", "  nodeName: guide-node\n  containers:"));
    }
    const kubeconfig = await createNode("guide-node");
    const kubelet = `'${peerPath("podcertificates")}' -kubeconfig='${kubeconfig}' -node=guide-node -timeout=4m`;
    const script = toScript([`export KUBECONFIG='${plane.adminKubeconfig}'`, ...blocks], 0)
      .replaceAll("https://10.0.0.1:6443", plane.server)
      .replace("kubectl apply -f shop.yaml", `kubectl apply -f shop.yaml; ${kubelet}`);
    const stdout = await shell.succeed(script);
    assert.match(stdout, /"pod":"web\/shop","state":"issued"/);
    assert.match(stdout, /^example\.com:pods:[0-9a-f]{24} +example\.com\/pods/m);
    assert.match(stdout, /^[0-9a-f]+ .*example\.com\/pods/m);
  });

  test("pods get certificates with kubelet's code, or denials and failures with reasons, from one of two signers", async () => {
    const { folder } = plane;
    const kubeconfig = await grantRights();
    await createPodCa(folder);
    const node = await createNode("node-1");
    const kubelet = (args: readonly string[]) => runKubelet([`-kubeconfig=${node}`, "-node=node-1", ...args]);
    for (const namespace of ["work", "other"]) {
      await kubectl.run("create", "namespace", namespace);
      await kubectl.run("create", "serviceaccount", "shop", "--namespace", namespace);
    }

    const start = () =>
      spawnTlsboot([
        ...["signer", "--pod-certificates", "--kubeconfig", kubeconfig, "--profile", folder.join("pods.yaml")],
        ...["--cluster-signing-cert-file", folder.join("pods-ca.crt")],
        ...["--cluster-signing-key-file", folder.join("pods-ca.key"), "--issued-log", folder.join("issued.log")],
      ]);
    await using first = start();
    await first.waitFor(/"message":"leading/);
    await using second = start();
    await second.waitFor(/"message":"working for an API server/);

    await createPods([
      podManifest("work", "shop", [{}]),
      podManifest("work", "named", [{ userAnnotations: { [DNS]: "shop.work.svc.cluster.local" } }]),
      podManifest("other", "foreign", [{}]),
      podManifest("work", "old", [{ keyType: "RSA3072" }]),
      podManifest("work", "nosy", [{ userAnnotations: { "example.com/admin": "true" } }]),
      podManifest("work", "wrong", [{ userAnnotations: { [DNS]: "shop.other.svc.cluster.local" } }]),
      podManifest("work", "outside", [{ userAnnotations: { [DNS]: "shop.example.net" } }]),
    ]);
    const lines = await kubelet(["-pods=7", "-forward=9h"]);
    assert.deepEqual(lines.map(({ pod, state, detail = "" }) => [pod, state, detail.replace(/.*reason=/, "")]).sort(), [
      ["other/foreign", "denied", '"NotAllowedByProfile" message="namespace is not allowed: other"'],
      ["work/named", "issued", ""],
      ["work/named", "refreshed", ""],
      [
        ...["work/nosy", "denied"],
        `"InvalidUnverifiedUserAnnotations" message="annotation is not allowed: example.com/admin; this signer allows ${DNS}"`,
      ],
      [
        ...["work/old", "denied"],
        '"UnsupportedKeyType" message="key is not allowed: RSA of 3072 bits; keyType may be ECDSAP256 or ECDSAP384 or ' +
        'ECDSAP521 or ED25519"',
      ],
      [
        ...["work/outside", "failed"],
        `"SignerValidationFailure" message="the CA's name constraints forbid it: DNS name \\"shop.example.net\\" is not ` +
        'permitted by any constraint"',
      ],
      ["work/shop", "issued", ""],
      ["work/shop", "refreshed", ""],
      [
        ...["work/wrong", "denied"],
        '"InvalidUnverifiedUserAnnotations" message="DNS subjectAltName is not allowed: shop.other.svc.cluster.local"',
      ],
    ]);
    await assertChains(lines);
    await assertStatus();
    assert.doesNotMatch(first.stderr(), /forbidden|(?<!lease )cannot|rights are missing/i);
    // Only the leader signs, unless it stalled for so long that it lost the lease.
    if (/pod certificate/.test(second.stderr())) await first.waitFor(/no longer leading/);

    // The second signer takes over.
    first.kill("SIGTERM");
    await first.finished();
    await second.waitFor(/"message":"leading/);
    for (const namespace of ["work", "other"]) {
      await kubectl.run("delete", "pods", "--all", `--namespace=${namespace}`, "--force", "--grace-period=0");
    }
    const pods = Math.ceil(MANY / PER_POD);
    await createPods(
      Array.from({ length: pods }, (_, index) => {
        const count = Math.min(PER_POD, MANY - index * PER_POD);
        return podManifest("work", `large-${index}`, Array.from({ length: count }, () => ({})));
      }),
    );
    const before = await readCpuMs(second);
    const many = await kubelet([`-pods=${pods}`]);
    assert.equal(many.filter(({ state }) => state === "issued").length, MANY);
    if (MANY > PER_POD) process.stderr.write(`CPU of the signer for ${MANY}: ${await readCpuMs(second) - before} ms\n`);

    const records = (await readFile(folder.join("issued.log"), "utf8")).trim().split("\n")
      .map((line) => JSON.parse(line) as IssuedCertificate);
    assert.deepEqual(
      new Set(records.map(({ spec }) => `${spec.source} ${spec.signerName}`)),
      new Set([`PodCertificateRequest ${SIGNER}`]),
    );
    const serials = [...lines, ...many].flatMap(({ serial }) => serial ?? []);
    assert.deepEqual(new Set(records.map(({ spec }) => spec.serialNumber?.replace(/^0+/, ""))), new Set(serials));
    assert.equal(records.length, serials.length, "a request is recorded twice");
  });
});

test("tlsboot up with the same signer: a certificate that an administrator requests is issued, recorded and published", async () => {
  await using instance = await sharedInstance();
  const { folder, kubectl } = instance;
  await createPodCa(folder);
  const profile = folder.join("pods.yaml");
  await writeFile(profile, PROFILE);
  const manifest = await instance.tlsboot("signer", "--pod-certificates", "--print-rbac", "--profile", profile);
  await kubectl.given({ stdin: manifest.stdout }).run("apply", "-f", "-");
  const token = await kubectl.run("create", "token", ACCOUNT, "--namespace=kube-system");
  const kubeconfig = folder.join("signer.kubeconfig");
  await cp(instance.adminKubeconfig, kubeconfig);
  const configure = kubectl.as(kubeconfig);
  await configure.run("config", "set-credentials", "signer", `--token=${token.trim()}`);
  await configure.run("config", "set-context", "--current", "--user=signer");
  await using signer = spawnTlsboot([
    ...["signer", "--pod-certificates", "--kubeconfig", kubeconfig, "--profile", profile],
    ...["--cluster-signing-cert-file", folder.join("pods-ca.crt")],
    ...["--cluster-signing-key-file", folder.join("pods-ca.key")],
  ]);
  await kubectl.run("create", "namespace", "work");
  for (const namespace of ["work", "default"]) {
    await kubectl.create(await requestManifest(namespace));
  }
  const request = ["podcertificaterequests/by-hand"];
  await kubectl.run("wait", ...request, "--for=condition=Issued", "--namespace=work");
  await kubectl.run("wait", ...request, "--for=condition=Denied", "--namespace=default");
  const found = await instance.tlsboot("get", "certificates", "--kubeconfig", instance.adminKubeconfig, "-o", "json");
  const records = (JSON.parse(found.stdout).items as readonly IssuedCertificate[])
    .filter(({ spec }) => spec.source === "PodCertificateRequest");
  assert.deepEqual(records.map(({ spec: { signerName, request, uris } }) => [signerName, request?.name, uris]), [
    [SIGNER, "work/by-hand", ["spiffe://example.org/ns/work/sa/shop"]],
  ]);
  assert.match(await kubectl.run("get", "clustertrustbundles"), /^example\.com:work:[0-9a-f]{24} /m);
  assert.doesNotMatch(signer.stderr(), /forbidden|cannot sign|rights are missing/i);
});

/** Builds a request that an administrator writes for a pod that does not exist. */
async function requestManifest(namespace: string): Promise<string> {
  const key = await openssl(["genpkey", "-algorithm", "ED25519"]);
  const pem = await openssl(["req", "-new", "-key", "/dev/stdin", "-subj", "/"], key);
  return JSON.stringify({
    apiVersion: "certificates.k8s.io/v1",
    kind: "PodCertificateRequest",
    metadata: { name: "by-hand", namespace },
    spec: {
      signerName: SIGNER,
      ...{ podName: "shop-1", podUID: "1-a", serviceAccountName: "shop", serviceAccountUID: "1-b" },
      ...{ nodeName: "node-1", nodeUID: "1-c" },
      stubPKCS10Request: pem.replace(/-----.*-----|\n/g, ""),
    },
  });
}

/** Writes the profile, grants the permissions printed for it, and returns a kubeconfig with them. */
async function grantRights(): Promise<string> {
  const profile = plane.folder.join("pods.yaml");
  await writeFile(profile, PROFILE);
  const manifest = await succeedTlsboot(["signer", "--pod-certificates", "--print-rbac", "--profile", profile]);
  await kubectl.given({ stdin: manifest.stdout }).run("apply", "-f", "-");
  const token = await kubectl.run("create", "token", ACCOUNT, "--namespace=kube-system");
  const kubeconfig = await plane.kubeconfigWithToken("pod-signer", token.trim());
  // These permissions are in the last cluster role and the last role.
  await untilAllowed(kubectl.as(kubeconfig), "list", "podcertificaterequests");
  await untilAllowed(kubectl.as(kubeconfig), "update", `leases/${ACCOUNT}`, "--namespace=kube-system");
  return kubeconfig;
}

/** Creates an intermediate CA that may sign only DNS names of the cluster; its file also has the root. */
async function createPodCa(folder: TempFolder): Promise<void> {
  await makeCertificate(folder, { name: "pods-root", extensions: CA_EXTENSIONS });
  await makeCertificate(folder, {
    name: "pods-ca",
    issuer: "pods-root",
    extensions: [...CA_EXTENSIONS, "nameConstraints=critical,permitted;DNS:cluster.local"],
  });
  const chain = await Promise.all(["pods-ca", "pods-root"].map((name) => readFile(folder.join(`${name}.crt`), "utf8")));
  await writeFile(folder.join("pods-ca.crt"), chain.join(""));
}

/** Creates a node, and returns a kubeconfig with its credentials. */
async function createNode(name: string): Promise<string> {
  const { folder } = plane;
  const node = { apiVersion: "v1", kind: "Node", metadata: { name } };
  await kubectl.create(JSON.stringify(node));
  const at = (suffix: string) => folder.join(`${name}.${suffix}`);
  await openssl(["genpkey", "-algorithm", "ED25519", "-out", at("key")]);
  const subject = `/O=system:nodes/CN=system:node:${name}`;
  await openssl(["req", "-new", "-key", at("key"), "-subj", subject, "-out", at("csr")]);
  await openssl([
    ...["x509", "-req", "-in", at("csr"), "-CA", plane.caPath, "-CAkey", plane.caKeyPath, "-set_serial", "77"],
    ...["-extfile", folder.join("client.ext"), "-out", at("crt")],
  ]);
  const config = JSON.parse(await readFile(plane.adminKubeconfig, "utf8"));
  config.users[0].user = { "client-certificate": at("crt"), "client-key": at("key") };
  await writeFile(at("kubeconfig"), JSON.stringify(config));
  return at("kubeconfig");
}

/** Runs kubelet's manager of pod certificates until every projection has a result. */
async function runKubelet(args: readonly string[]): Promise<readonly Line[]> {
  const { stdout, stderr } = await succeedProgram(peerPath("podcertificates"), ["-timeout=4m", ...args]);
  if (MANY > PER_POD) process.stderr.write(stderr.match(/settled .*\n/)?.[0] ?? "");
  return stdout.trim().split("\n").map((line) => JSON.parse(line) as Line);
}

async function createPods(items: readonly unknown[]): Promise<void> {
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await kubectl.create(list);
}

/** Builds a pod of service account `shop` with these projected certificates. */
function podManifest(namespace: string, name: string, certificates: readonly object[]) {
  const sources = certificates.map((certificate, index) => ({
    podCertificate: {
      signerName: SIGNER,
      keyType: "ED25519",
      credentialBundlePath: `${index}.pem`,
      maxExpirationSeconds: 43_200,
      ...certificate,
    },
  }));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: {
      serviceAccountName: "shop",
      automountServiceAccountToken: false,
      nodeName: "node-1",
      containers: [{
        name: "main",
        image: "none",
        volumeMounts: [{ name: "certificates", mountPath: "/certificates" }],
      }],
      volumes: [{ name: "certificates", projected: { sources } }],
    },
  };
}

/** Asserts that openssl verifies the chains with the published bundle, and that they have the names of the pods. */
async function assertChains(lines: readonly Line[]): Promise<void> {
  const { folder } = plane;
  const { items } = JSON.parse(await kubectl.run("get", "clustertrustbundles", "--output=json"));
  const bundles = (items as readonly ClusterTrustBundle[]).filter(({ spec }) => spec.signerName === SIGNER);
  assert.equal(bundles.length, 1);
  assert.match(bundles[0]?.metadata.name ?? "", /^example\.com:work:[0-9a-f]{24}$/);
  await writeFile(folder.join("bundle.pem"), bundles[0]?.spec.trustBundle ?? "");
  const read = (name: string) => readFile(folder.join(name), "utf8");
  const blocks = (pem: string) => pem.match(/-----BEGIN[^]*?-----END CERTIFICATE-----/g) ?? [];
  assert.deepEqual(blocks(await read("bundle.pem")), blocks(await read("pods-ca.crt")));
  for (const { pod, chain = "" } of lines.filter((line) => line.chain !== undefined)) {
    // The leaf and the intermediate CA; the root is in the bundle.
    assert.equal(blocks(chain).length, 2);
    await writeFile(folder.join("chain.pem"), chain);
    await openssl([
      ...["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", folder.join("pods-root.crt")],
      ...["-untrusted", folder.join("chain.pem"), folder.join("chain.pem")],
    ]);
    const text = await openssl(["x509", "-noout", "-ext", "subjectAltName,extendedKeyUsage"], chain);
    const dns = pod === "work/named" ? "DNS:shop.work.svc.cluster.local, " : "";
    assert.ok(text.includes(`${dns}URI:spiffe://example.org/ns/work/sa/shop`), text);
    assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication/);
  }
}

/** Asserts that the statuses have the times of the profile. */
async function assertStatus(): Promise<void> {
  const { items } = JSON.parse(await kubectl.run("get", "podcertificaterequests", "--namespace=work", "--output=json"));
  const issued = (items as readonly PodCertificateRequest[]).filter(({ status }) =>
    status.certificateChain !== undefined
  );
  assert.equal(issued.length, 4);
  for (const { status: { notBefore = "", beginRefreshAt = "", notAfter = "", conditions = [] } } of issued) {
    assert.equal(Date.parse(notAfter) - Date.parse(notBefore), 12 * 3_600_000);
    assert.equal(Date.parse(notAfter) - Date.parse(beginRefreshAt), 4 * 3_600_000);
    assert.deepEqual(conditions.map(({ type, status, reason }) => [type, status, reason]), [[
      "Issued",
      "True",
      "Issued",
    ]]);
  }
}

/** Reads the processor time of a running program from /proc. */
async function readCpuMs({ pid }: Child): Promise<number> {
  return 1_000 * parseCpuSeconds(await readFile(`/proc/${pid}/stat`, "utf8"));
}
