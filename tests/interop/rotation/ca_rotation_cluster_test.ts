/**
 * Replaces the CA of a kubeadm cluster in its files with the commands of docs/guides/new_ca.md. kube-apiserver
 * continues without a restart, a machine with `bootstrap --rotate-certificates` follows, and in the end nothing trusts
 * the old CA.
 */
import assert from "node:assert/strict";
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { peerPath } from "../../support/peers/go.ts";
import { type Child, runProgram, spawnTlsboot, succeedProgram } from "../../support/child.ts";
import { eventually } from "../../support/eventually.ts";
import { readGuide } from "../../support/guide.ts";
import { type ControlPlane, startControlPlane } from "../../support/interop/control_plane.ts";
import { controllerRbac } from "../../support/interop/controller_rbac.ts";
import { createKubectl } from "../../support/interop/kubectl.ts";
import { assertChain, openssl } from "../../support/interop/openssl.ts";
import { publishClusterInfo } from "../../support/interop/published_cluster.ts";
import { createShell, type Shell } from "../../support/interop/shell.ts";
import { openMachine } from "../../support/rotation/fleet.ts";
import type { TempFolder } from "../../support/temp.ts";

/** Certificates are backdated by five minutes, so a machine renews a certificate this short again and again. */
const SHORT_LIFE = "30s";
const CONTROLLERS = [
  "bootstrap-signer-controller",
  "root-ca-certificate-publisher-controller",
  "kube-apiserver-serving-clustertrustbundle-publisher-controller",
];

/** Creates `kubernetes/pki` and `kubernetes/admin.conf` with kubeadm, from the CA of the control plane. */
async function writeKubernetesFolder(folder: TempFolder, server: string): Promise<void> {
  const pki = folder.join("kubernetes/pki");
  await mkdir(pki, { recursive: true });
  for (const name of ["ca.crt", "ca.key"]) await cp(folder.join(name), `${pki}/${name}`);
  const phases = [
    ["certs", "apiserver", "--apiserver-cert-extra-sans", "127.0.0.1,localhost"],
    ["kubeconfig", "admin", "--kubeconfig-dir", folder.join("kubernetes")],
  ];
  for (const phase of phases) {
    await succeedProgram(peerPath("kubeadm"), [
      ...["init", "phase", ...phase, "--cert-dir", pki, "--apiserver-advertise-address", "10.1.2.3"],
      ...["--kubernetes-version", "v1.37.2"],
    ]);
  }
  const conf = folder.join("kubernetes/admin.conf");
  const text = await readFile(conf, "utf8");
  await writeFile(conf, text.replace(/server: \S+/, `server: ${server}`), { mode: 0o600 });
}

/** Returns the commands of the guide's last section, with the test's folder in their paths. */
async function readSteps(folder: TempFolder): Promise<readonly string[]> {
  const { blocks } = await readGuide("new_ca");
  const first = blocks.findIndex((block) => block.startsWith("ca="));
  return blocks.slice(first).map((block) =>
    block.replaceAll("/etc/kubernetes", folder.join("kubernetes"))
      // kubeadm has no flag for the folder of its kubeconfigs.
      .replace(/kubeadm certs renew apiserver/, `$& --cert-dir ${folder.join("kubernetes/pki")}`)
  );
}

test("docs/guides/new_ca.md: the CA of a kubeadm cluster is replaced under a running kube-apiserver", async () => {
  let steps: readonly string[] = [];
  let shell: Shell | undefined;
  const environment: string[] = [];
  const run = async (line: string): Promise<string> => {
    assert.ok(shell !== undefined);
    const { code, stdout, stderr } = await shell.run(`set -eo pipefail\n${environment.join("\n")}\n${line}`);
    assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
    return stdout;
  };
  // The operator restarts kube-apiserver with other flags here; this test starts it for the first time.
  await using plane = await startControlPlane({
    controllers: false,
    apiserverFlags: async (folder, server) => {
      await writeKubernetesFolder(folder, server);
      shell = await createShell(folder);
      steps = await readSteps(folder);
      assert.equal(steps.length, 4);
      await run(steps[0] ?? "");
      environment.push(...(steps[0] ?? "").match(/^ca="[^"]*"$/m) ?? []);
      const pki = folder.join("kubernetes/pki");
      return [
        `--client-ca-file=${pki}/ca-bundle.crt`,
        ...[`--tls-cert-file=${pki}/apiserver.crt`, `--tls-private-key-file=${pki}/apiserver.key`],
      ];
    },
  });
  const [, trust = "", change = "", finish = ""] = steps;
  const { folder } = plane;
  const [pki, conf] = [folder.join("kubernetes/pki"), folder.join("kubernetes/admin.conf")];
  await writeFile(folder.join("bin/kubeadm"), `#!/bin/sh\nexec '${peerPath("kubeadm")}' "$@"\n`, { mode: 0o755 });
  await mkdir(folder.join("home"), { recursive: true });
  const kubectl = createKubectl(folder, conf);
  const admin = createKubectl(folder, plane.adminKubeconfig);
  for (const namespace of ["kube-system", "kube-public"]) {
    await admin.run("wait", `namespace/${namespace}`, "--for=create");
  }
  await publishClusterInfo(plane, admin);
  // kubeadm init creates the same binding for the administrator in admin.conf.
  const group = "kubeadm:cluster-admins";
  await admin.run("create", "clusterrolebinding", group, "--clusterrole=cluster-admin", `--group=${group}`);
  await admin.create(controllerRbac());
  let controllers = startControllers(plane);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => controllers[Symbol.asyncDispose]());
  const restartControllers = async (): Promise<void> => {
    await controllers[Symbol.asyncDispose]();
    controllers = startControllers(plane);
  };
  /** Creates a role's kubeconfig, whose CA file is read again when it changes. */
  const createRole = async (name: string, caPath: string): Promise<string> => {
    const path = await plane.kubeconfigWithToken(name, `${name}-token`);
    await writeFile(path, (await readFile(path, "utf8")).replace(plane.caPath, caPath));
    return path;
  };
  await cp(`${pki}/ca.crt`, folder.join("n1-ca.crt"));
  const ca = ["--cluster-signing-cert-file", `${pki}/ca.crt`, "--cluster-signing-key-file", `${pki}/ca.key`];
  const log = folder.join("issued.log");
  stack.use(spawnTlsboot([
    ...["signer", "--kubeconfig", await createRole("signer", `${pki}/ca-bundle.crt`), ...ca],
    ...["--issued-log", log, "--cluster-signing-duration", SHORT_LIFE],
  ]));
  stack.use(spawnTlsboot([
    "approver",
    "--kubeconfig",
    await createRole("approver", `${pki}/ca-bundle.crt`),
  ]));
  const client = stack.use(spawnTlsboot([
    ...["bootstrap", "--rotate-certificates", "--hostname-override", "n1"],
    ...["--bootstrap-kubeconfig", await createRole("bootstrap", folder.join("n1-ca.crt"))],
    ...["--kubeconfig", folder.join("n1/kubeconfig"), "--cert-dir", folder.join("n1/pki")],
  ]));
  const machine = openMachine(folder.path, "n1");
  const trusts = (count: number) =>
    eventually(`n1 to trust ${count} CAs`, async () => {
      assert.equal(client.hasEnded(), false, client.stderr());
      return (await machine.readTrusted()).length === count ? true : undefined;
    });

  await trusts(2);
  await run(trust.replace(/^tlsboot ca rotate status .*$/m, "$& || [ $? = 3 ]"));
  environment.push(...trust.split("\n").filter((line) => /^(?:export|cd) /.test(line)));
  await run(change);
  const [newCa] = await machine.readTrusted();
  assert.ok(newCa !== undefined);
  await eventually("n1 to have a certificate of the new CA", async () => {
    const pair = folder.join("n1/pki/kubelet-client-current.pem");
    const { code } = await runProgram("openssl", ["verify", "-CAfile", `${pki}/ca.crt`, pair]);
    return code === 0 ? true : undefined;
  });
  assert.ok(shell !== undefined);
  const refused = await shell.run(`${environment.join("\n")}\ntlsboot ca rotate finish $ca --issued-log ${log}`);
  assert.equal(refused.code, 3, refused.stdout);
  assert.match(refused.stdout, /admin\.conf \(certificate\) +place +old certificate until/);
  await cp(conf, folder.join("old.conf"));
  await run(
    `kubeadm init phase kubeconfig admin --cert-dir ${pki} --kubeconfig-dir ${folder.join("renewed")} ` +
      `--apiserver-advertise-address 10.1.2.3 --kubernetes-version v1.37.2`,
  );
  await writeFile(
    conf,
    (await readFile(folder.join("renewed/admin.conf"), "utf8")).replace(/server: \S+/, `server: ${plane.server}`),
  );
  const finished = await run(finish.replace("tlsboot ca rotate finish", `$& --issued-log ${log}`));
  assert.match(finished, /^Rotation: +ca, finished at /m);
  let lastStatus = "";
  await restartControllers();
  await trusts(1);
  await eventually("nothing to trust the old CA", async () => {
    const { code, stdout } = await shell!.run(
      `${environment.join("\n")}\ntlsboot ca rotate status $ca --issued-log ${log} 2>&1`,
    );
    lastStatus = stdout;
    return code === 0 && stdout.includes("next: destroy the old key with: shred -u ") ? true : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${lastStatus}`);
  });

  const names = await readdir(pki);
  assert.ok(!names.some((name) => /^(?:next|old)-/.test(name)), names.join(" "));
  assert.ok(names.some((name) => /^retired-ca-[0-9a-f]{8}\.key$/.test(name)), names.join(" "));
  await assertChain(`${pki}/ca.crt`, `${pki}/apiserver.crt`, "sslserver");
  assert.equal(await readFile(`${pki}/ca-bundle.crt`, "utf8"), await readFile(`${pki}/ca.crt`, "utf8"));
  await eventually("kube-apiserver to send only its own certificate", async () => {
    const shown = await openssl(["s_client", "-connect", new URL(plane.server).host, "-showcerts"]);
    return shown.match(/BEGIN CERTIFICATE/g)?.length === 1 ? true : undefined;
  });
  assert.match(await kubectl.run("auth", "whoami"), /kubernetes-admin/);
  // The old certificate is refused; the new CA in this kubeconfig only verifies the server.
  const old = createKubectl(folder, folder.join("old.conf"));
  await old.run("config", "set-cluster", "kubernetes", `--certificate-authority=${pki}/ca.crt`, "--embed-certs");
  assert.match((await old.try("auth", "whoami")).stderr, /Unauthorized/);
});

/** Starts kube-controller-manager with the bundle, which it reads only at startup. */
function startControllers(plane: ControlPlane): Child {
  const pki = plane.folder.join("kubernetes/pki");
  const flags = [`--root-ca-file=${pki}/ca-bundle.crt`, `--kubeconfig=${plane.folder.join("kubernetes/admin.conf")}`];
  return plane.startControllers(CONTROLLERS, flags);
}
