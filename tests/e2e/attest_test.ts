/** Tests `tlsboot attest` and `tlsboot bootstrap --attest`: machines prove their identity by their SSH host keys. */
import assert from "node:assert/strict";
import { access, readFile, rm, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { listAll } from "../../client/objects/api.ts";
import { type Finished, runTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import {
  connectWith,
  createWorkplace,
  describeInstance,
  type Instance,
  machineFlags,
  startInstance,
  whoIs,
  type Workplace,
} from "../support/instance_process.ts";
import { readCa } from "../support/signing_ca.ts";
import { findServerPort, type TempFolder } from "../support/temp.ts";
import { formatInventory } from "../support/test_profiles.ts";

const formatPolicy = (maxAge: string) =>
  `apiVersion: tlsboot/v1alpha1
kind: ApprovalPolicy
name: proven
rules:
- name: by-host-key
  match: { signerNames: [kubernetes.io/kube-apiserver-client-kubelet] }
  require: { attested: { kind: ssh, maxAge: ${maxAge} } }
  then: next
`;

interface Site extends AsyncDisposable {
  readonly folder: Workplace;
  readonly instance: Instance;
  /** Returns the flags for a proof by a machine's host key. */
  prove(machine: string): readonly string[];
  /** The flags that locate the server. */
  readonly server: readonly string[];
}

/** Runs tlsboot attest without TLSBOOT_DATA_DIR, which it refuses. */
async function attestIn(folder: TempFolder, ...args: readonly string[]): Promise<Finished> {
  return await runTlsboot(["attest", ...args], { cwd: folder.path });
}

/** Creates host keys for n1, n2 and n3, and an inventory of the lines that n1 and n2 print. */
async function prepareMachines(folder: TempFolder): Promise<void> {
  const lines: string[] = [];
  for (const node of ["n1", "n2", "n3"]) {
    await writeFile(folder.join(`${node}.hostkey`), (await generatePrivateKey("ed25519")).toPem(), { mode: 0o600 });
    const show = ["--show", "--proof", "ssh", "--proof-from", `${node}.hostkey`, "--hostname-override", node];
    lines.push((await attestIn(folder, ...show)).stdout);
  }
  assert.match(lines[0] ?? "", /^- \{ name: "n1", ssh: "SHA256:[A-Za-z0-9+/]{43}" \}\n$/);
  await writeFile(folder.join("machines.yaml"), formatInventory(...lines.slice(0, 2)));
}

/** Returns the flags that locate a server. */
async function toServerFlags({ url, data }: Pick<Instance, "url" | "data">): Promise<readonly string[]> {
  return ["--server", url, "--ca-cert-hash", publicKeyPin(await readCa(`${data}/pki/ca.crt`))];
}

/** Gets a node's bootstrap kubeconfig with a proof by a machine's host key. */
async function prepareKubelet(
  folder: TempFolder,
  { node, machine = node }: { readonly node: string; readonly machine?: string },
  server: readonly string[],
): Promise<Finished> {
  const proof = ["--proof", "ssh", "--proof-from", `${machine}.hostkey`, "--hostname-override", node, ...server];
  return await attestIn(folder, ...proof, "--cert-dir", `${node}/pki`, "--out", `${node}/bootstrap.conf`);
}

async function startSite(args: readonly string[] = []): Promise<Site> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await createWorkplace());
  await prepareMachines(folder);
  await writeFile(folder.join("proven.yaml"), formatPolicy("5m"));
  const instance = stack.use(await startInstance(folder, ["--inventory", "machines.yaml", ...args]));
  const server = await toServerFlags(instance);
  const moved = stack.move();
  return {
    folder,
    instance,
    server,
    prove: (machine) => ["--attest", "ssh", "--proof-from", `${machine}.hostkey`, ...server],
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

describeInstance("proofs of machines", {
  args: ["--inventory", "machines.yaml"],
  prepare: prepareMachines,
}, (instance) => {
  test("up creates no shared token if the inventory lists proofs", async () => {
    await assert.rejects(access(`${instance.data}/bootstrap.kubeconfig`));
    const greeting = instance.running.stdout();
    const reason =
      "the machines in machines\\.yaml prove their identity; when that file lists no proofs, the next start creates a shared token";
    assert.match(greeting, new RegExp(`^no shared token: ${reason}$`, "m"));
    assert.match(greeting, /^The requests of machines with a proof are approved automatically/m);
    assert.match(
      greeting,
      /^ {2}sudo tlsboot bootstrap --attest ssh --server \S+ --ca-cert-hash sha256:\S+ --rotate-certificates$/m,
    );
    assert.doesNotMatch(greeting, /--attest tpm/);
  });

  test("tlsboot attest prepares a stock kubelet: it writes a key, and a token for this key only", async () => {
    const { folder } = instance;
    const server = await toServerFlags(instance);
    const prepare = () => prepareKubelet(folder, { node: "n2" }, server);
    const prepared = await prepare();
    assert.equal(prepared.code, 0, prepared.stderr);
    assert.match(
      prepared.stdout,
      /^key of the next request: n2\/pki\/kubelet-client\.key\.tmp\nbootstrap kubeconfig: n2\//,
    );
    assert.equal((await stat(folder.join("n2/bootstrap.conf"))).mode & 0o777, 0o600);
    const key = await readFile(folder.join("n2/pki/kubelet-client.key.tmp"), "utf8");
    // The token is refused for another key, and for another node with the same key.
    const stolen = ["bootstrap", "--bootstrap-kubeconfig", "n2/bootstrap.conf", "--hostname-override"];
    assert.match(
      await instance.refuse(1, ...stolen, "n2", "--kubeconfig", "x/kubeconfig", "--cert-dir", "x/pki"),
      /the token is only for the key sha256:/,
    );
    assert.match(
      await instance.refuse(1, ...stolen, "n3", "--kubeconfig", "x/kubeconfig", "--cert-dir", "n2/pki"),
      /the token is only for the client certificate of node "n2",/,
    );
    // The client bootstraps as a kubelet does.
    const own = ["--kubeconfig", "n2/kubeconfig", "--cert-dir", "n2/pki"];
    await instance.succeed(...stolen, "n2", ...own);
    assert.equal(await whoIs(folder.join("n2/kubeconfig")), "system:node:n2");
    const current = await readFile(folder.join("n2/pki/kubelet-client-current.pem"), "utf8");
    assert.ok(current.includes(key.trim()));
    await assert.rejects(access(folder.join("n2/pki/kubelet-client.key.tmp")));
    // The next time, the request uses the key of the current pair.
    assert.match((await prepare()).stdout, /^key of the next request: n2\/pki\/kubelet-client-current\.pem\n/);
    await writeFile(folder.join("n2/bootstrap.conf"), "kind: Config\n");
    const taken = await prepare();
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /it exists, and tlsboot attest has not written it/);
  });

  test("an unlisted machine gets no reason for its refusal; the server's log and an Event have it", async () => {
    const refused = await prepareKubelet(instance.folder, { node: "n9", machine: "n3" }, await toServerFlags(instance));
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /that this machine is "n9": the proof was not accepted: /);
    assert.doesNotMatch(refused.stderr, /lists no proof/);
    const reason = /the inventory lists no proof of this node/;
    await instance.running.waitFor(new RegExp(`node attestation refused.*${reason.source}`));
    const tokens = JSON.parse(await instance.answer("token", "list", "-o", "json"));
    assert.equal(tokens.filter(({ node }: { readonly node?: string }) => node === "n9").length, 0);
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    const event = await eventually("the Event", async () => {
      const path = "/apis/events.k8s.io/v1/namespaces/default/events";
      const { items } = await listAll<EventV1>(admin.api, path, {}, new AbortController().signal);
      return items.find(({ reason, regarding }) => reason === "NodeAttestationRefused" && regarding.name === "n9");
    });
    assert.match(event.note ?? "", reason);
  });

  test("proofs are accepted only while the inventory lists some", async () => {
    const path = instance.folder.join("machines.yaml");
    const listed = await readFile(path, "utf8");
    const server = await toServerFlags(instance);
    // The proof of another machine is refused, so that no tokens are used up.
    const answers = async (why: RegExp) => {
      const { code, stderr } = await prepareKubelet(instance.folder, { node: "n1", machine: "n3" }, server);
      assert.equal(code, 1);
      return why.test(stderr) || undefined;
    };
    await writeFile(path, formatInventory("- { name: n1 }"));
    await eventually("proofs are no longer expected", () => answers(/the server expects no proofs/));
    await writeFile(path, listed);
    await eventually("proofs are expected again", () => answers(/the proof was not accepted/));
  });
});

test("a machine proves its identity by its host key, and every view shows the proof", async () => {
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

  // Each run needs a new proof, so another machine's key gets nothing, even next to a valid certificate.
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

test("if a policy requires fresh proofs, each renewal needs one, and nothing else gets a certificate", async () => {
  await using site = await startSite([
    "--auto-approve",
    "--policy",
    "proven.yaml",
    "--cluster-signing-duration",
    // Certificates are backdated by five minutes, so a renewal is due at once.
    "30s",
  ]);
  const { folder, instance, prove, server } = site;
  // This proof is too old by the end of the test.
  assert.equal((await prepareKubelet(folder, { node: "n2" }, server)).code, 0);
  await using running = folder.start("bootstrap", ...prove("n1"), ...machineFlags("n1"), "--rotate-certificates");
  await running.waitFor(/certificate of n1 issued/);
  await running.waitFor(/(?:certificate renewed, valid until [^]*){3}/);
  assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");
  const records = JSON.parse(await folder.answer("get", "certificates", "-o", "json", "--data-dir", "data"));
  const proofs =
    (records.items as readonly { readonly spec: { readonly requester?: { readonly attested?: string } } }[])
      .flatMap(({ spec: { requester } }) => requester?.attested ?? []);
  assert.ok(proofs.length >= 4, proofs.join("\n"));

  // A copy of the disk lacks the host key.
  await rm(folder.join("n1.hostkey"));
  const failed = (tries: number) =>
    running.waitFor(
      new RegExp(
        `cannot renew the certificate.*cannot read the SSH host key .*n1\\.hostkey.*: file does not exist.*"tries":${tries}`,
      ),
    );
  await failed(1);

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
  const explain = (name: string) => folder.fail(3, "policy", "explain", name, "--data-dir", "data");
  assert.match(await explain("by-certificate"), /the requester has not proven its identity by ssh/);

  // Two seconds later the machine has tried again.
  await failed(2);
  await writeFile(folder.join("proven.yaml"), formatPolicy("1s"));
  await instance.running.waitFor(/policy or inventory reloaded/);
  const late = ["bootstrap", "--bootstrap-kubeconfig", "n2/bootstrap.conf", ...machineFlags("n2")];
  const { stderr } = await folder.timeOut((one) => one.waitFor(/waiting for approval/), ...late);
  const [, name = ""] = /waiting for approval: tlsboot approve (\S+)/.exec(stderr) ?? [];
  // The approver publishes the policy after it has read it.
  const reason = await eventually("the published policy explains why", async () => {
    const { code, stdout } = await folder.tlsboot("policy", "explain", name, "--data-dir", "data");
    return code === 3 ? stdout : undefined;
  });
  assert.match(reason, /the proof is \S+ old, and at most 1s is allowed/);
});

test("a machine that starts while the server is down keeps its valid certificate until the next renewal", async () => {
  // No other server gets this port while this one is down.
  await using site = await startSite(["--secure-port", String(await findServerPort())]);
  const { folder, instance, prove } = site;
  const bootstrap = ["bootstrap", ...prove("n1"), ...machineFlags("n1")];
  await folder.succeed(...bootstrap);
  await instance[Symbol.asyncDispose]();
  await using running = folder.start(...bootstrap, "--rotate-certificates", "--timeout", "1s");
  await running.waitFor(/the server does not answer, proving at the next renewal/);
  // A run that does not renew has nothing to wait for.
  assert.match(await folder.refuse(1, ...bootstrap, "--timeout", "1s"), /connection refused/);
});
