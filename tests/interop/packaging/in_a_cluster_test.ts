/**
 * A real kube-apiserver accepts the manifests of packaging/kustomize, which the chart renders, and the roles work with
 * the flags, files, accounts and permissions of the pods. There is no kubelet: this test reads the objects from the API,
 * writes the volumes, and starts the programs of the containers.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { chmod, chown, copyFile, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../../core/kube/meta.ts";
import type { PolicyRule } from "../../../core/kube/kinds/rbac_v1.ts";
import { type Child, ROOT, spawnTlsboot, start, succeedProgram, succeedTlsboot } from "../../support/child.ts";
import { readGuide } from "../../support/guide.ts";
import { csrManifest, openssl } from "../../support/interop/openssl.ts";
import { type Kubectl, waitForCertificate } from "../../support/interop/kubectl.ts";
import { type SharedControlPlane, sharedControlPlane } from "../../support/interop/shared.ts";
import { createShell, type Shell } from "../../support/interop/shell.ts";
import { peerPath } from "../../support/peers/go.ts";
import { findServerPort } from "../../support/temp.ts";

const KUSTOMIZE = "packaging/kustomize";
const ROLES = ["signer", "approver", "pod-signer"] as const;
const NAMESPACE = "kube-system";
const ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
/** The id of the pods' user. */
const USER = 65532;
const BINARY = process.env["TLSBOOT_TEST_BINARY"];
const isConfined = process.getuid?.() === 0 && BINARY !== undefined;

/** The fields of a Deployment that this test reads. */
interface Deployment {
  readonly spec: {
    readonly replicas: number;
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly [{
          readonly args: readonly string[];
          readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
        }];
        readonly volumes: readonly {
          readonly name: string;
          readonly configMap?: { readonly name: string; readonly defaultMode: number };
          readonly secret?: { readonly secretName: string; readonly defaultMode: number };
        }[];
      };
    };
  };
}

let plane: SharedControlPlane;
let kubectl: Kubectl;
let shell: Shell;
const running: Child[] = [];

/** Returns what a service account may do in kube-system. */
async function findRules(account: string): Promise<readonly PolicyRule[]> {
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectRulesReview",
    spec: { namespace: NAMESPACE },
  };
  const asked = kubectl.given({ stdin: JSON.stringify(review) });
  const user = `system:serviceaccount:${NAMESPACE}:${account}`;
  const groups = ["system:serviceaccounts", `system:serviceaccounts:${NAMESPACE}`, "system:authenticated"];
  const as = [`--as=${user}`, ...groups.map((group) => `--as-group=${group}`)];
  return JSON.parse(await asked.run("create", "--validate=false", "-f", "-", "--output=json", ...as)).status
    .resourceRules;
}

function sortRules(rules: readonly PolicyRule[]): readonly string[] {
  return rules.map(({ apiGroups, resources, resourceNames, verbs }) =>
    JSON.stringify({ apiGroups, resources, resourceNames, verbs })
  ).sort();
}

async function printRbac(role: typeof ROLES[number]) {
  const profile = plane.folder.join("profile.yaml");
  const [command, ...flags] = {
    signer: ["signer"],
    approver: ["approver"],
    "pod-signer": ["signer", "--pod-certificates", `--profile=${profile}`],
  }[role];
  const map = JSON.parse(
    await kubectl.run("get", "configmap", "tlsboot-pod-signer-files", `--namespace=${NAMESPACE}`, "--output=json"),
  );
  await writeFile(profile, map.data["profile.yaml"]);
  const { stdout } = await succeedTlsboot([command ?? "", "--print-rbac", ...flags]);
  return parseAllDocuments(stdout).map((document) =>
    document.toJS() as KubeObject & { kind: string; rules?: readonly PolicyRule[] }
  );
}

/** Starts the replicas of a Deployment, and waits until all are ready and one of them leads. */
async function startPods(role: string): Promise<readonly Child[]> {
  const read = await kubectl.run("get", "deployment", `tlsboot-${role}`, `--namespace=${NAMESPACE}`, "--output=json");
  const deployment = JSON.parse(read) as Deployment;
  assert.equal(deployment.spec.replicas, 2);
  const pods: Child[] = [];
  for (let index = 0; index < deployment.spec.replicas; index++) {
    pods.push(await startPod(deployment, `${role}-${index}`));
  }
  await Promise.any(pods.map((pod) => pod.waitFor(/"message":"leading/)));
  return pods;
}

/**
 * Starts the program of a pod. All pods are on one machine, so each has a folder as its root and its own port instead
 * of 9443, and the API is not at its Service. If possible, the program runs as the user of the pods.
 */
async function startPod({ spec: { template } }: Deployment, name: string): Promise<Child> {
  const { serviceAccountName, containers: [container], volumes } = template.spec;
  const root = plane.folder.join(name);
  const put = async (path: string, data: Uint8Array | string, mode: number) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), data);
    // The kubelet gives files to root and the group of the pod. Without root, the current user owns them.
    if (isConfined) await chown(join(root, path), 0, USER);
    await chmod(join(root, path), isConfined ? mode : mode & 0o700);
  };
  const inNamespace = ["--namespace", NAMESPACE];
  for (const { name, mountPath } of container.volumeMounts) {
    const { configMap, secret } = volumes.find((volume) => volume.name === name) ?? {};
    const source = configMap === undefined ? ["secret", secret?.secretName ?? ""] : ["configmap", configMap.name];
    const { data } = JSON.parse(await kubectl.run("get", ...source, ...inNamespace, "--output=json"));
    for (const [file, value] of Object.entries(data as Record<string, string>)) {
      const bytes = configMap === undefined
        ? Buffer.from(value, "base64")
        : value.replaceAll(ACCOUNT_FOLDER, join(root, ACCOUNT_FOLDER)).replace(/server: .*/, `server: ${plane.server}`);
      await put(join(mountPath, file), bytes, (configMap ?? secret)?.defaultMode ?? 0);
    }
  }
  const token = await kubectl.run("create", "token", serviceAccountName, ...inNamespace);
  await put(join(ACCOUNT_FOLDER, "token"), token.trim(), 0o640);
  await put(join(ACCOUNT_FOLDER, "ca.crt"), await readFile(plane.caPath), 0o644);

  const port = await findServerPort();
  const args = container.args.map((arg) =>
    arg.replace("=/etc/", `=${root}/etc/`).replace(/=:9443$/, `=127.0.0.1:${port}`)
  );
  const pod = isConfined ? startConfined(args) : spawnTlsboot(args);
  running.push(pod);
  await pod.waitFor(/"message":"(?:leading|working for an API server)/);
  assert.equal(await getHealth(port), 200);
  return pod;
}

/** Starts a copy of the released file as the user of the pods, who can read neither the checkout nor other files. */
function startConfined(args: readonly string[]): Child {
  const user = ["--reuid", String(USER), "--regid", String(USER), "--clear-groups", "--no-new-privs"];
  return start("setpriv", [...user, "--bounding-set=-all", plane.folder.join("released-file"), ...args], { cwd: "/" });
}

function getHealth(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path: "/healthz" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).once("error", reject);
  });
}

/** Requests a pod's certificate with the kubelet's own code and the node's new certificate. */
async function requestPodCertificate(key: string, certificate: string): Promise<string> {
  const podCertificate = { signerName: "example.com/pods", keyType: "ED25519", credentialBundlePath: "tls.pem" };
  const items = [
    { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "shop", namespace: "default" } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "shop", namespace: "default" },
      spec: {
        serviceAccountName: "shop",
        automountServiceAccountToken: false,
        nodeName: "n1",
        containers: [{ name: "shop", image: "none", volumeMounts: [{ name: "tls", mountPath: "/run/tls" }] }],
        volumes: [{ name: "tls", projected: { sources: [{ podCertificate }] } }],
      },
    },
  ];
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await kubectl.create(list);
  const kubeconfig = plane.folder.join("n1.kubeconfig");
  const config = JSON.parse(await readFile(plane.adminKubeconfig, "utf8"));
  config.users[0].user = { "client-certificate": certificate, "client-key": key };
  await writeFile(kubeconfig, JSON.stringify(config));
  const flags = [`-kubeconfig=${kubeconfig}`, "-node=n1", "-pods=1"];
  const { stdout } = await succeedProgram(peerPath("podcertificates"), flags);
  return stdout;
}

describe("the pods of packaging/kustomize", () => {
  before(async () => {
    plane = await sharedControlPlane();
    shell = await createShell(plane.folder);
    kubectl = plane.kubectl;
    if (isConfined) {
      await copyFile(BINARY!, plane.folder.join("released-file"));
      await chmod(plane.folder.path, 0o711);
    }
  });
  after(async () => {
    for (const pod of running) await pod[Symbol.asyncDispose]();
    await plane[Symbol.asyncDispose]();
  });

  test("kube-apiserver accepts the manifests unchanged, without an unknown or duplicate field", async () => {
    const { blocks: [ca = "", podCa = "", ...rest] } = await readGuide("in_a_cluster");
    assert.deepEqual(rest, []);
    const files = `cp '${plane.caPath}' '${plane.caKeyPath}' .`;
    await shell.succeed(`set -e; export KUBECONFIG='${plane.adminKubeconfig}'; ${files}\n${ca}${podCa}`);
    for (const role of ROLES) {
      const folder = join(ROOT, KUSTOMIZE, role);
      const strict = ["apply", "--kustomize", folder, "--validate=strict"];
      await kubectl.run(...strict, "--server-side", "--dry-run=server");
      assert.doesNotMatch(await kubectl.run(...strict), /warning/i);
    }
    // The overlay of the guide changes the image.
    const overlay = plane.folder.join("overlay");
    await mkdir(overlay);
    await cp(join(ROOT, KUSTOMIZE), plane.folder.join("tlsboot", KUSTOMIZE), { recursive: true });
    const [first = ""] =
      /^resources:\n[^`]*/m.exec(await readFile(join(ROOT, "docs/guides/in_a_cluster.md"), "utf8")) ??
        [];
    await writeFile(join(overlay, "kustomization.yaml"), first);
    const rendered = await kubectl.run("kustomize", overlay);
    assert.equal(rendered.match(/image: registry\.example\.com\/tlsboot:0\.1\.0$/gm)?.length, 2);
  });

  test("each account may do what --print-rbac prints, and no more", async () => {
    const bystander = await findRules("default");
    const isExtra = (rule: PolicyRule) => !bystander.some((other) => JSON.stringify(other) === JSON.stringify(rule));
    for (const role of ROLES) {
      const printed = await printRbac(role);
      const granted = printed.filter(({ kind, metadata: { namespace = NAMESPACE } }) =>
        /Role$/.test(kind) && namespace === NAMESPACE
      ).flatMap(({ rules = [] }) => rules);
      const account = printed.find(({ kind }) => kind === "ServiceAccount")?.metadata.name ?? "";
      const allowed = (await findRules(account)).filter(isExtra);
      assert.deepEqual(sortRules(allowed), sortRules(granted));
    }
  });

  test("the pods' programs approve and sign requests of a node and of a pod, with only the permissions of their accounts", async () => {
    // The bindings that kubeadm creates.
    for (const role of ["node-bootstrapper", "certificates.k8s.io:certificatesigningrequests:nodeclient"]) {
      await kubectl.run(
        ...["create", "clusterrolebinding", role, `--clusterrole=system:${role}`],
        "--group=system:bootstrappers",
      );
    }
    const logs = new Map<string, readonly Child[]>();
    for (const role of ROLES) logs.set(role, await startPods(role));

    const machine = kubectl.as(await plane.kubeconfigWithToken("bootstrap", "bootstrap-token"));
    const [key, certificate] = [plane.folder.join("n1.key"), plane.folder.join("n1.crt")];
    await openssl(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]);
    const pem = await openssl(["req", "-new", "-key", key, "-subj", "/O=system:nodes/CN=system:node:n1"]);
    const manifest = await csrManifest("n1", {
      spec: {
        request: Buffer.from(pem).toString("base64"),
        signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      },
    });
    await machine.create(manifest);
    await writeFile(certificate, await waitForCertificate(kubectl, "n1"));
    await openssl(["verify", "-CAfile", plane.caPath, "-purpose", "sslclient", certificate]);

    assert.match(await requestPodCertificate(key, certificate), /"pod":"default\/shop","state":"issued"/);

    for (const [role, pods] of logs) {
      assert.equal(pods.filter((pod) => /"message":"leading/.test(pod.stderr())).length, 1, `${role}: one leads`);
      for (const pod of pods) {
        assert.doesNotMatch(pod.stderr(), /forbidden|rights are missing|"level":"(?:error|fatal)"/i);
      }
    }
    const leases = await kubectl.run("get", "leases", `--namespace=${NAMESPACE}`, "--output=name");
    assert.match(leases, /tlsboot-approver\n[^]*tlsboot-pod-signer\.example\.com\.pods\n[^]*tlsboot-signer\n/);
  });
});
