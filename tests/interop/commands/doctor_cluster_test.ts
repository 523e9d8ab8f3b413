/**
 * `tlsboot doctor --cluster`: each case breaks one thing in a running cluster, checks the finding, runs its fix
 * unchanged with stock kubectl, and checks that the finding is gone.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { createSystemClock, createSystemRandom } from "../../../cli/system.ts";
import type { Finding } from "../../../core/report/health/finding.ts";
import { type Instance, spawnInstance } from "../../support/instance_process.ts";
import { eventually } from "../../support/eventually.ts";
import { csrManifest } from "../../support/interop/openssl.ts";
import { createKubectl, type Kubectl } from "../../support/interop/kubectl.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { createShell, type Shell } from "../../support/interop/shell.ts";
import { runCaptured } from "../../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../../support/temp.ts";

const HOUR_MS = 3_600_000;
const RBAC = "rbac.authorization.k8s.io/v1";
const CERTIFICATES = "certificates.k8s.io";

let folder: TempFolder;
let instance: Instance;
let kubeconfig: string;
let kubectl: Kubectl;
let shell: Shell;

/** Examines a cluster as if it were `aheadMs` later. */
async function findAll(cwd: string, config: string, aheadMs = 0): Promise<readonly Finding[]> {
  const system = createSystemClock();
  const clock = { ...system, now: () => new Date(system.now().getTime() + aheadMs) };
  const io = { cwd, clock, random: createSystemRandom() };
  const { stdout, stderr } = await runCaptured(["doctor", "--cluster", "--kubeconfig", config, "-o", "json"], io);
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout).findings;
}

/** Returns the problems of the instance, except that its clock differs by `aheadMs`. */
async function findProblems(aheadMs = 0): Promise<readonly Finding[]> {
  const findings = await findAll(folder.join("work"), kubeconfig, aheadMs);
  return findings.filter(({ check, severity }) => severity !== "ok" && check !== "clock");
}

/** Creates a role and a binding of the same name. */
async function createGrant(
  name: string,
  rules: readonly (readonly [verbs: string, resource: string, names?: readonly string[]])[],
  groups: readonly string[],
  target = kubectl,
): Promise<void> {
  const apiGroup = "rbac.authorization.k8s.io";
  const role = {
    apiVersion: RBAC,
    kind: "ClusterRole",
    metadata: { name },
    rules: rules.map(([verbs, resource, resourceNames]) => ({
      verbs: verbs.split(" "),
      apiGroups: [CERTIFICATES],
      resources: [resource],
      ...(resourceNames === undefined ? {} : { resourceNames }),
    })),
  };
  const binding = {
    apiVersion: RBAC,
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup, kind: "ClusterRole", name },
    subjects: groups.map((group) => ({ apiGroup, kind: "Group", name: group })),
  };
  const stdin = JSON.stringify({ apiVersion: "v1", kind: "List", items: [role, binding] });
  await target.create(stdin);
}

/** Patches the kubeconfig in `cluster-info`, which the server may sign at the same time. */
async function publish(change: (config: string) => string): Promise<void> {
  const info = ["configmap", "cluster-info", "--namespace=kube-public"];
  const kubeconfig = change(await kubectl.run("get", ...info, "--output=jsonpath={.data.kubeconfig}"));
  await kubectl.run("patch", ...info, "--patch", JSON.stringify({ data: { kubeconfig } }));
}

const APPROVER = "certificatesigningrequests/approval";
const KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";

interface Case {
  readonly name: string;
  readonly breakIt: () => Promise<unknown>;
  readonly check: string;
  readonly severity?: Finding["severity"];
  readonly message: RegExp;
  /** The fix, or advice if there is no command for it. */
  readonly fix: RegExp;
  readonly aheadMs?: number;
  /** Follows the advice as an operator would. */
  readonly followAdvice?: () => Promise<unknown>;
}

const CASES: readonly Case[] = [
  {
    name: "a group that may approve nodes",
    breakIt: () =>
      createGrant("node-approvers", [["approve", "signers", [KUBELET_SIGNER]], ["update", APPROVER]], ["helpers"]),
    check: "csr-approve",
    message:
      /^Group "helpers" can approve requests for \S+-kubelet, and so become any node, through ClusterRoleBinding /,
    fix: /^kubectl --kubeconfig \S+ delete clusterrolebinding node-approvers$/,
  },
  {
    name: "a group other than the administrators that may sign for every signer",
    breakIt: () =>
      createGrant("all-signers", [["sign", "signers"], ["patch", "certificatesigningrequests/status"]], [
        "system:masters",
        "helpers",
      ]),
    check: "csr-sign",
    message: /^Group "helpers" can sign for every signer, and so choose the certificate that an administrator gets/,
    fix: /^kubectl --kubeconfig \S+ patch clusterrolebinding all-signers --type=json /,
  },
  {
    name: "all users as approved bootstrappers",
    breakIt: () =>
      kubectl.run(
        ...["create", "clusterrolebinding", "everyone", "--group=system:authenticated"],
        "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient",
      ),
    check: "node-approval",
    severity: "error",
    message: /^Group "system:authenticated" can get certificates of any node .* and so become any node/,
    fix: /delete clusterrolebinding everyone$/,
  },
  {
    name: "requests without a credential",
    breakIt: () =>
      kubectl.run(
        ...["create", "clusterrolebinding", "open-door", "--group=system:unauthenticated"],
        "--clusterrole=system:node-bootstrapper",
      ),
    check: "csr-create",
    severity: "error",
    message: /^Group "system:unauthenticated" can request certificates, and so fill the server/,
    fix: /delete clusterrolebinding open-door$/,
  },
  {
    name: "a user who may create bootstrap tokens",
    breakIt: () =>
      kubectl.run("create", "rolebinding", "editor", "--clusterrole=edit", "--user=eve", "--namespace=kube-system"),
    check: "token-create",
    message: /^User "eve" can create Secrets in kube-system, and so become any node with a bootstrap token/,
    fix: /delete --namespace kube-system rolebinding editor$/,
  },
  {
    name: "all users as administrators",
    breakIt: () =>
      kubectl.run("create", "clusterrolebinding", "all", "--clusterrole=cluster-admin", "--group=system:authenticated"),
    check: "csr-approve",
    severity: "error",
    message: /^Group "system:authenticated" can do everything, and so become an administrator/,
    fix: /delete clusterrolebinding all$/,
  },
  {
    name: "a request that has waited for more than a day",
    breakIt: async () => {
      const stdin = await csrManifest("waiting");
      await kubectl.create(stdin);
    },
    // The bootstrap token of `up` is valid for a day.
    aheadMs: 25 * HOUR_MS,
    check: "pending-requests",
    message: /^request "waiting" has waited for an approver for more than a day, and no controller has deleted it$/,
    fix: /^tlsboot delete csr waiting --kubeconfig \S+$/,
  },
  {
    name: "a request for a signer that does not run",
    breakIt: async () => {
      const stdin = await csrManifest("odd", { spec: { signerName: "example.com/odd" } });
      await kubectl.create(stdin);
    },
    check: "signers",
    message: /^request "odd" is for a signer that does not run in the server: /,
    fix: /^tlsboot delete csr odd --kubeconfig \S+$/,
  },
  {
    name: "a bootstrap token that never expires",
    breakIt: () => shell.succeed("tlsboot token create --ttl 0 --data-dir ../data"),
    check: "tokens",
    message: /^the bootstrap token [a-z0-9]{6} never expires: /,
    fix: /^tlsboot token delete [a-z0-9]{6} --kubeconfig \S+$/,
  },
  {
    name: "cluster-info with an address that does not answer",
    breakIt: () => publish((config) => config.replaceAll(instance.url, "https://127.0.0.1:1")),
    check: "cluster-info",
    message: /^the server https:\/\/127\.0\.0\.1:1, which cluster-info publishes, cannot be used: /,
    fix: /^kubectl --kubeconfig \S+ --namespace kube-public patch configmap cluster-info /,
  },
  {
    name: "cluster-info with the CA of another server",
    breakIt: async () => {
      await shell.succeed("tlsboot ca init --data-dir foreign");
      const ca = (await readFile(folder.join("work/foreign/pki/ca.crt"))).toString("base64");
      await publish((config) => config.replace(/certificate-authority-data: \S+/, `certificate-authority-data: ${ca}`));
    },
    check: "cluster-info",
    message: /^cluster-info has another CA than the kubeconfig, so machines cannot join with a bootstrap token alone$/,
    fix: /^kubectl --kubeconfig \S+ --namespace kube-public patch configmap cluster-info /,
  },
  {
    name: "a CA that is being replaced",
    breakIt: () => shell.succeed("tlsboot ca rotate begin --data-dir ../data"),
    check: "ca-replacement",
    message: /^the replacement of CA "ca" began at \S+, and the step is Trust$/,
    fix: /^finish the replacement: tlsboot ca rotate status ca --kubeconfig \S+$/,
    followAdvice: () => shell.succeed("tlsboot ca rotate abort --data-dir ../data"),
  },
];

/** Examines the instance with a changed copy of the administrator's kubeconfig. */
async function findWith(change: (text: string) => string): Promise<readonly Finding[]> {
  const text = await readFile(kubeconfig, "utf8");
  assert.notEqual(change(text), text);
  await writeFile(folder.join("work/other.kubeconfig"), change(text), { mode: 0o600 });
  const findings = await findAll(folder.join("work"), folder.join("work/other.kubeconfig"));
  return findings.filter(({ severity }) => severity !== "ok");
}

/** Creates the bindings of kubeadm (`cmd/kubeadm/app/phases/bootstraptoken/node`, `phases/kubeconfig`). */
async function bindAsKubeadm(target: Kubectl): Promise<void> {
  const group = "system:bootstrappers:kubeadm:default-node-token";
  const prefix = "system:certificates.k8s.io:certificatesigningrequests:";
  for (
    const [name, role, subject] of [
      ["kubeadm:cluster-admins", "cluster-admin", "kubeadm:cluster-admins"],
      ["kubeadm:kubelet-bootstrap", "system:node-bootstrapper", group],
      ["kubeadm:node-autoapprove-bootstrap", `${prefix}nodeclient`, group],
      ["kubeadm:node-autoapprove-certificate-rotation", `${prefix}selfnodeclient`, "system:nodes"],
    ] as const
  ) {
    await target.run("create", "clusterrolebinding", name, `--clusterrole=${role}`, `--group=${subject}`);
  }
}

describe("tlsboot doctor --cluster", () => {
  before(async () => {
    folder = await createTempFolder();
    instance = await spawnInstance(folder);
    kubeconfig = folder.join("data/admin.kubeconfig");
    shell = await createShell(folder);
    kubectl = createKubectl(folder, kubeconfig);
  });
  after(async () => {
    await instance[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test("tlsboot doctor --cluster finds nothing wrong with a new instance", async () => {
    assert.deepEqual(await findProblems(), []);
  });

  for (const { name, breakIt, check, message, fix, severity = "warning", aheadMs, followAdvice } of CASES) {
    test(`tlsboot doctor --cluster finds ${name}, and its fix works unchanged`, async () => {
      await breakIt();
      const problems = await findProblems(aheadMs);
      assert.deepEqual(problems.map((one) => `${one.severity} ${one.check}`), [`${severity} ${check}`]);
      assert.match(problems[0]?.message ?? "", message);
      assert.match(problems[0]?.fix ?? problems[0]?.advice ?? "", fix);
      if (followAdvice === undefined) await shell.succeed(problems[0]?.fix ?? "");
      else await followAdvice();
      assert.deepEqual(await findProblems(aheadMs), []);
    });
  }

  test("tlsboot doctor --cluster finds a wrong server name, a wrong CA, and an expired certificate", async () => {
    const [names] = await findWith((text) => text.replace(/^( +)server: .*$/m, "$&\n$1tls-server-name: other.example"));
    assert.equal(names?.check, "server-access");
    assert.match(names?.message ?? "", /other\.example/);

    await shell.succeed("tlsboot ca init --data-dir other");
    const ca = (await readFile(folder.join("work/other/pki/ca.crt"))).toString("base64");
    const [untrusted] = await findWith((text) =>
      text.replace(/certificate-authority-data: \S+/, `certificate-authority-data: ${ca}`)
    );
    assert.deepEqual([untrusted?.check, untrusted?.severity], ["server-access", "error"]);

    const later = await findProblems(400 * 24 * HOUR_MS);
    const serving = later.find(({ check }) => check === "serving-certificate");
    assert.match(serving?.message ?? "", /^certificate "\S+" in "https:\S+" expired at /);
    assert.match(serving?.advice ?? "", /tlsboot doctor DIR$/);
  });

  test("tlsboot doctor --cluster finds a revoked user", async () => {
    await shell.succeed("tlsboot kubeconfig user mallory --duration 8h --data-dir ../data --out mallory.kubeconfig");
    await shell.succeed("tlsboot revoke user/mallory --data-dir ../data --yes");
    const findings = await findAll(folder.join("work"), folder.join("work/mallory.kubeconfig"));
    const [access] = findings.filter(({ severity }) => severity === "error");
    assert.equal(access?.check, "server-access");
    assert.match(access?.message ?? "", /^the server does not accept the user of "mallory\.kubeconfig": /);
  });

  test("tlsboot doctor --cluster lists the permissions that a user lacks", async () => {
    await shell.succeed("tlsboot kubeconfig user eve --duration 8h --data-dir ../data --out eve.kubeconfig");
    const findings = await findAll(folder.join("work"), folder.join("work/eve.kubeconfig"));
    const skipped = findings.filter(({ severity }) => severity === "skipped").map(({ message }) => message).join("\n");
    assert.match(skipped, /the user lacks the right to list clusterroles\.rbac\.authorization\.k8s\.io, and to list /);
    assert.match(skipped, /the user lacks the right to list secrets in kube-system/);
    assert.deepEqual(findings.filter(({ severity }) => severity === "warning" || severity === "error"), []);
  });

  test("tlsboot doctor --cluster finds no excessive permission in a new kubeadm cluster, until one is added", async () => {
    await using plane = await sharedControlPlane();
    await using _controllers = plane.startCertificateControllers();
    const admin = plane.kubectl;
    await bindAsKubeadm(admin);
    const find = async (): Promise<readonly Finding[]> => {
      const findings = await findAll(plane.folder.path, plane.adminKubeconfig);
      assert.ok(findings.some(({ check }) => check === "csr-approve"));
      // The CA of this cluster is valid for a month.
      return findings.filter(({ check, severity }) => ["warning", "error"].includes(severity) && check !== "ca-expiry");
    };
    assert.deepEqual(await find(), []);
    await createGrant(
      "helpers",
      [["approve", "signers", ["kubernetes.io/*"]], ["update", APPROVER]],
      ["helpers"],
      admin,
    );
    // kube-apiserver decides with a cached copy of the roles.
    const [found, ...more] = await eventually("the binding is found", async () => {
      const findings = await find();
      return findings.length === 0 ? undefined : findings;
    });
    assert.deepEqual(more, []);
    assert.match(
      found?.message ?? "",
      /^Group "helpers" can approve requests for kubernetes\.io\/\*, and so become an adm/,
    );
    await shell.succeed(`cd ${plane.folder.path} && ${found?.fix}`);
    assert.deepEqual(await find(), []);

    // kube-apiserver does not publish which signers run; an approved request without a certificate shows it.
    const stdin = await csrManifest("odd", { spec: { signerName: "example.com/odd" } });
    await admin.create(stdin);
    await admin.run("certificate", "approve", "odd");
    const later = await findAll(plane.folder.path, plane.adminKubeconfig, 60_000);
    const signer = later.find(({ check, severity }) => check === "signers" && severity === "warning");
    assert.match(
      signer?.message ?? "",
      /^request "odd" is approved, and no signer has issued it: make sure that a signer /,
    );
  });
});
