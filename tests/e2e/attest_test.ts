/** `tlsboot attest` and `tlsboot bootstrap --attest`: machines that prove by their SSH host keys which ones they are. */
import assert from "node:assert/strict";
import { access, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { publicKeyPin } from "../../core/pki/keys/public_key_pin.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { type Finished, runTlsboot } from "../support/child.ts";
import {
  createWorkplace,
  type Instance,
  machineFlags,
  startInstance,
  whoIs,
  type Workplace,
} from "../support/instance_process.ts";

const POLICY = `apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: proven
rules:
- name: by-host-key
  match: { signerNames: [kubernetes.io/kube-apiserver-client-kubelet] }
  require: { attested: { kind: ssh, maxAge: 5m } }
  then: next
`;

interface Site extends AsyncDisposable {
  readonly folder: Workplace;
  readonly instance: Instance;
  /** The flags of a proof by the host key of a machine. */
  prove(machine: string): readonly string[];
  /** The flags that name the server. */
  readonly server: readonly string[];
}

/** Runs tlsboot attest, which refuses the variable of the data directory that the operator's commands have. */
async function attestIn(folder: Workplace, ...args: readonly string[]): Promise<Finished> {
  return await runTlsboot(["attest", ...args], { cwd: folder.path });
}

/** Starts a server that expects proofs of n1 and n2 by the lines that they have printed; the host key of n3 is not listed. */
async function startSite(args: readonly string[] = []): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createWorkplace());
  const lines: string[] = [];
  for (const node of ["n1", "n2", "n3"]) {
    await writeFile(folder.join(`${node}.hostkey`), (await generatePrivateKey("ed25519")).toPem(), { mode: 0o600 });
    const show = ["--show", "--proof", "ssh", "--proof-from", `${node}.hostkey`, "--hostname-override", node];
    lines.push((await attestIn(folder, ...show)).stdout);
  }
  assert.match(lines[0] ?? "", /^- \{ name: "n1", ssh: "SHA256:[A-Za-z0-9+/]{43}" \}\n$/);
  const inventory = `apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n${lines[0]}${lines[1]}`;
  await writeFile(folder.join("machines.yaml"), inventory);
  await writeFile(folder.join("proven.yaml"), POLICY);
  const instance = stack.use(await startInstance(folder, ["--inventory", "machines.yaml", ...args]));
  const bundle = parseCaBundle(await readFile(`${instance.data}/pki/ca.crt`, "utf8"));
  assert.ok(bundle.ok && bundle.value[0] !== undefined);
  const server = ["--server", instance.url, "--ca-cert-hash", publicKeyPin(bundle.value[0])];
  const moved = stack.move();
  return {
    folder,
    instance,
    server,
    prove: (machine) => ["--attest", "ssh", "--proof-from", `${machine}.hostkey`, ...server],
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

test("a machine proves by its host key which one it is, and what it proved is shown everywhere", async () => {
  await using site = await startSite();
  const { folder, prove } = site;
  const bootstrap = ["bootstrap", ...prove("n1"), ...machineFlags("n1")];
  const joined = await folder.succeed(...bootstrap);
  assert.match(joined.stdout, /^certificate of n1 issued/);
  assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");
  const proof = /SSH host key SHA256:\S{43}, proven at \S+Z/;
  const wide = await folder.answer("get", "certificates", "-o", "wide", "--data-dir", "data");
  assert.match(wide, / PROOF /);
  const [, serial = ""] = /^(\w+) +\S*system:node:n1\S* .* ssh SHA256:/m.exec(wide) ?? [];
  assert.match(await folder.answer("describe", "certificate", serial, "--data-dir", "data"), proof);
  const requests = await folder.answer("get", "csr", "-o", "name", "--data-dir", "data");
  const [name = ""] = requests.trim().split("\n").map((line) => line.split("/")[1] ?? "");
  const described = await folder.answer("describe", "csr", name, "--data-dir", "data");
  assert.match(described, new RegExp(`Proof: +${proof.source}`));
  assert.match(described, /TokenApproved +Approved by bootstrap token "\w{6}", which node "n1" got for its proof: SSH/);

  const { findings } = JSON.parse((await folder.tlsboot("doctor", "data", "-o", "json")).stdout) as {
    readonly findings: readonly { readonly check: string; readonly message: string }[];
  };
  const [found] = findings.filter(({ check }) => check === "proofs");
  assert.match(
    found?.message ?? "",
    new RegExp(`^1 machine has given a proof; the last one was n1, by ${proof.source}`),
  );

  // Each run proves again, so the key of another machine gets nothing, whatever certificate there is.
  const before = await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8");
  for (const other of ["n2", "n3"]) {
    const refused = await folder.refuse(1, "bootstrap", ...prove(other), ...machineFlags("n1"));
    assert.match(refused, /cannot prove to "\S+" that this machine is "n1": the proof was not accepted: /);
    assert.match(refused, /hint: compare the inventory .*: tlsboot attest --show --hostname-override n1\n/);
  }
  assert.equal(await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8"), before);
  await folder.succeed(...bootstrap);
  assert.notEqual(await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8"), before);

  // A proof does not undo a revocation.
  await folder.succeed("revoke", "node/n1", "--yes", "--data-dir", "data");
  assert.match(await folder.fail(1, ...bootstrap, "--timeout", "20s"), /revoked/);
});

test("tlsboot attest prepares a stock kubelet: the key, and a token for it alone", async () => {
  await using site = await startSite();
  const { folder, server } = site;
  const proof = ["--proof", "ssh", "--proof-from", "n2.hostkey", ...server, "--hostname-override", "n2"];
  const prepare = () => attestIn(folder, ...proof, "--cert-dir", "n2/pki", "--out", "n2/bootstrap.conf");
  const prepared = await prepare();
  assert.equal(prepared.code, 0, prepared.stderr);
  assert.match(
    prepared.stdout,
    /^key of the next request: n2\/pki\/kubelet-client\.key\.tmp\nbootstrap kubeconfig: n2\//,
  );
  assert.equal((await stat(folder.join("n2/bootstrap.conf"))).mode & 0o777, 0o600);
  const key = await readFile(folder.join("n2/pki/kubelet-client.key.tmp"), "utf8");
  // Another machine, with another key.
  const stolen = ["bootstrap", "--bootstrap-kubeconfig", "n2/bootstrap.conf", "--hostname-override", "n2"];
  assert.match(
    await folder.refuse(1, ...stolen, "--kubeconfig", "x/kubeconfig", "--cert-dir", "x/pki"),
    /the token is for the key sha256:\S+ alone/,
  );
  // The client bootstraps as a kubelet does.
  const own = ["--kubeconfig", "n2/kubeconfig", "--cert-dir", "n2/pki"];
  await folder.succeed(...stolen, ...own);
  assert.equal(await whoIs(folder.join("n2/kubeconfig")), "system:node:n2");
  const current = await readFile(folder.join("n2/pki/kubelet-client-current.pem"), "utf8");
  assert.ok(current.includes(key.trim()));
  await assert.rejects(access(folder.join("n2/pki/kubelet-client.key.tmp")));
  // The next time it is the key of the pair.
  assert.match((await prepare()).stdout, /^key of the next request: n2\/pki\/kubelet-client-current\.pem\n/);
  await writeFile(folder.join("n2/other.conf"), "kind: Config\n");
  const taken = await attestIn(folder, ...proof, "--cert-dir", "n2/pki", "--out", "n2/other.conf");
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /it exists, and tlsboot attest has not written it/);
});

test("each renewal proves again where a policy requires it, and a renewal without a proof waits for a person", async () => {
  await using site = await startSite([
    "--auto-approve",
    "--policy",
    "proven.yaml",
    "--cluster-signing-duration",
    "20s",
  ]);
  const { folder, prove } = site;
  await using running = folder.start("bootstrap", ...prove("n1"), ...machineFlags("n1"), "--rotate-certificates");
  await running.waitFor(/certificate of n1 issued/);
  await running.waitFor(/certificate renewed, valid until [^]*certificate renewed, valid until /);
  assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");
  const records = JSON.parse(await folder.answer("get", "certificates", "-o", "json", "--data-dir", "data"));
  const proofs =
    (records.items as readonly { readonly spec: { readonly requester?: { readonly attested?: string } } }[])
      .flatMap(({ spec: { requester } }) => requester?.attested ?? []);
  assert.ok(proofs.length >= 3, proofs.join("\n"));

  // The same machine without --attest: its certificate alone renews nothing.
  const request = [
    "request",
    "--kubeconfig",
    "n1/kubeconfig",
    "--signer",
    "kubernetes.io/kube-apiserver-client-kubelet",
  ];
  const subject = ["--subject", "O=system:nodes,CN=system:node:n1", "--usage", "digital-signature,client-auth"];
  await folder.tlsboot(...request, ...subject, "--name", "by-certificate", "--out", "n1/renewed", "--no-wait");
  const explained = await folder.fail(3, "policy", "explain", "by-certificate", "--data-dir", "data");
  assert.match(explained, /the requester has not proven by ssh which machine it is/);
});

test("a machine that starts while the server is away keeps its valid certificate until the next renewal", async () => {
  await using site = await startSite();
  const { folder, instance, prove } = site;
  const bootstrap = ["bootstrap", ...prove("n1"), ...machineFlags("n1")];
  await folder.succeed(...bootstrap);
  await instance[Symbol.asyncDispose]();
  await using running = folder.start(...bootstrap, "--rotate-certificates", "--timeout", "1s");
  await running.waitFor(/the server does not answer, proving at the next renewal/);
  // A run that does not renew has nothing to wait for.
  assert.match(await folder.refuse(1, ...bootstrap, "--timeout", "1s"), /connection refused/);
});
