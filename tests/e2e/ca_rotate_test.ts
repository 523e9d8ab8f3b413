/** Tests `tlsboot ca rotate …` against a running instance: a whole rotation, aborts and refusals. */
import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseJoinTarget } from "../../core/token/join_material.ts";
import { isAppError } from "../../core/errors.ts";
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { isRecord } from "../../core/lib/record.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import {
  bootstrapLine,
  connectWith,
  createWorkplace,
  machineFlags,
  startInstance,
  type Workplace,
} from "../support/instance_process.ts";
import { writeKeyProgram } from "../support/key_program.ts";
import { createIntermediateCa, createSigningCa, writeCa } from "../support/signing_ca.ts";
import { formatInventory } from "../support/test_profiles.ts";

const signal = new AbortController().signal;
const FETCH = [
  ...["trust", "fetch", "--signer", "kubernetes.io/kube-apiserver-serving"],
  ...["--kubeconfig", "n1/kubeconfig", "--out", "n1/ca.crt"],
];
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/** Waits for the next second: a kubeconfig from the second in which a rotation begins counts as new. */
async function untilNextSecond(): Promise<void> {
  const second = () => Math.floor(Date.now() / 1000);
  const start = second();
  await eventually("the next second", () => Promise.resolve(second() > start || undefined));
}

/** Reads the state of each machine and user, by name. */
async function readStates(folder: Workplace): Promise<Readonly<Record<string, unknown>>> {
  const { stdout } = await folder.tlsboot("ca", "rotate", "status", "ca", "-o", "json");
  const facts: unknown = JSON.parse(stdout);
  assert.ok(isRecord(facts) && Array.isArray(facts["machines"]));
  return Object.fromEntries(facts["machines"].map(({ name, state }: Record<string, unknown>) => [name, state]));
}

/** Runs the commands that status prints for machines and users, unchanged. */
async function runPrintedCommands(folder: Workplace, names: readonly string[]): Promise<void> {
  const { stdout } = await folder.tlsboot("ca", "rotate", "status", "ca", "-o", "json");
  const { machines } = JSON.parse(stdout) as { machines: readonly { name: string; command?: string }[] };
  for (const name of names) {
    const { command = "" } = machines.find((one) => one.name === name) ?? {};
    assert.match(command, /^tlsboot /, name);
    await folder.succeed(...command.split(" ").slice(1));
  }
}

/** Fetches the trust bundle as the node until it has both CAs, which the node then reports. */
async function waitForTrust(folder: Workplace): Promise<void> {
  await eventually("n1 trusts both CAs", async () => {
    await folder.succeed(...FETCH);
    return (await readStates(folder))["n1"] === "ready" ? true : undefined;
  });
}

async function readCaNames(kubeconfig: string): Promise<readonly string[]> {
  const config = parseKubeconfig(await readFile(kubeconfig, "utf8"), kubeconfig);
  assert.ok(config.ok);
  const bundle = parseCaBundle(config.value.clusters[0]?.cluster.certificateAuthorityData ?? "");
  assert.ok(bundle.ok);
  return bundle.value.map(({ subject }) => subject.commonName).sort();
}

/** Waits until the administrator's kubeconfig trusts only the old CA. */
async function waitForOldCa(data: string): Promise<void> {
  await eventually("only the old CA in admin.kubeconfig", async () => {
    const names = await readCaNames(`${data}/admin.kubeconfig`);
    return names.join() === "tlsboot-ca" ? true : undefined;
  });
}

async function isAccepted(kubeconfig: string): Promise<boolean> {
  await using connected = await connectWith(kubeconfig);
  try {
    await connected.api.requestJson({ method: "GET", path: "/version" }, signal);
    return true;
  } catch (error) {
    if (isAppError(error, "unauthorized")) return false;
    throw error;
  }
}

/** Copies a kubeconfig without the server's CA, so that only the credential matters. */
async function copyWithoutCa(from: string, to: string): Promise<string> {
  const text = await readFile(from, "utf8");
  await writeFile(to, text.replace(/certificate-authority-data: .*/, "insecure-skip-tls-verify: true"));
  return to;
}

test("ca rotate begin, status, switch and finish replace the CA of a node and an administrator", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder, ["--auto-approve"]);
  await folder.succeed(...bootstrapLine("n1"));
  const oldAdmin = await copyWithoutCa(`${instance.data}/admin.kubeconfig`, folder.join("old.kubeconfig"));
  await folder.succeed("kubeconfig", "user", "alice", "--group", "dev");
  await untilNextSecond();

  const begun = await folder.succeed("ca", "rotate", "begin");
  assert.match(begun.stdout, /^Servers: +1 of 1 have adopted Trust$/m);
  assert.match(
    begun.stderr,
    /^next: .* status --data-dir data --wait 1h, and then: tlsboot ca rotate switch --data-dir data$/m,
  );
  assert.deepEqual(await readCaNames(`${instance.data}/admin.kubeconfig`), ["tlsboot-ca", "tlsboot-ca-2"]);
  assert.deepEqual(await readStates(folder), {
    ...{ n1: "notSeen", alice: "notSeen" },
    "kubernetes-admin": "ready",
  });
  await runPrintedCommands(folder, ["alice"]);
  assert.match(
    await folder.fail(3, "ca", "rotate", "status"),
    /^n1 +node +not seen since .+ tlsboot bootstrap --kubeconfig/m,
  );
  assert.match(await folder.fail(1, "ca", "rotate", "finish"), /the new CA does not sign yet/);
  assert.match(
    (await folder.succeed("ca", "show")).stdout,
    /^Next CA: +CN=tlsboot-ca-2, until .*, trusted too; see: /m,
  );
  assert.match(
    await folder.fail(3, "ca", "rotate", "status", "--data-dir", instance.data),
    new RegExp(
      `^next: .* --data-dir ${instance.data} --wait 1h, and then: tlsboot ca rotate switch --data-dir ${instance.data}$`,
      "m",
    ),
  );
  const again = await folder.succeed("ca", "rotate", "begin", "--key-algorithm", "ecdsa-p256");
  assert.match(again.stderr, /^nothing to do: the rotation of ca began at .*/);

  // The node learns to trust the new CA, and reports it.
  await waitForTrust(folder);
  assert.equal((await folder.succeed("ca", "rotate", "status", "--wait", "1m")).code, 0);

  const switched = await folder.succeed("ca", "rotate", "switch", "--over", "10m");
  assert.match(switched.stdout, /^Servers: +1 of 1 have adopted Switch$/m);
  assert.match((await folder.succeed("ca", "rotate", "switch")).stderr, /^nothing to do: .*the new CA signs/m);
  assert.equal((await readStates(folder))["n1"], "renewalDue");
  // A client that trusts only the old CA still reaches the server.
  assert.ok(await isAccepted(folder.join("n1/kubeconfig")));

  const refused = await folder.fail(3, "ca", "rotate", "finish");
  assert.match(refused, /nothing is changed: 2 of the machines and users would lose access/);
  assert.match(refused, /^n1 +node +trusts both, renewal due +tlsboot bootstrap --kubeconfig /m);
  const unknown = await folder.fail(1, "ca", "rotate", "finish", "--leave-behind", "n11");
  assert.match(unknown, /there is no machine, user or server "n11"[^]*did you mean "n1"\?/);

  // This is the command that status prints for a node, with its files.
  const renewed = await folder.succeed("bootstrap", ...machineFlags("n1"));
  assert.match(renewed.stdout, /^n1\/kubeconfig: 2 CAs are trusted now/m);
  await runPrintedCommands(folder, ["alice"]);
  assert.deepEqual(await readStates(folder), {
    alice: "ready",
    n1: "ready",
    "kubernetes-admin": "ready",
  });

  assert.ok(await isAccepted(oldAdmin));
  const finished = await folder.succeed("ca", "rotate", "finish");
  assert.match(
    finished.stderr,
    /^next: destroy the old key on every server, in its data directory: shred -u pki\/retired-ca-\*\.key$/m,
  );
  assert.equal(await isAccepted(oldAdmin), false);
  assert.ok(await isAccepted(folder.join("n1/kubeconfig")));
  assert.deepEqual(await readCaNames(`${instance.data}/admin.kubeconfig`), ["tlsboot-ca-2"]);
  assert.match((await folder.succeed("ca", "rotate", "finish")).stderr, /^nothing to do: /m);
  assert.match((await folder.succeed("ca", "rotate", "status")).stderr, /no rotation is in progress/);
  assert.match(await folder.fail(1, "ca", "rotate", "abort"), /cannot abort the rotation of ca: it is finished/);
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const secret = "/api/v1/namespaces/kube-system/secrets/tlsboot-ca-rotation-ca";
  await assert.rejects(admin.api.requestJson({ method: "GET", path: secret }, signal), { code: "not_found" });
});

test("ca rotate abort takes one step before the switch and two after it", async () => {
  await using folder = await createWorkplace();
  await folder.succeed("ca", "init");
  await folder.succeed("kubeconfig", "admin", "--user", "ops", "--out", "ops.kubeconfig");
  await untilNextSecond();
  await using instance = await startInstance(folder, ["--auto-approve"]);
  const before = await readFile(`${instance.data}/pki/ca.crt`, "utf8");
  await folder.succeed("ca", "rotate", "begin");
  await runPrintedCommands(folder, ["ops"]);
  assert.deepEqual(await readCaNames(folder.join("ops.kubeconfig")), ["tlsboot-ca", "tlsboot-ca-2"]);
  const ended = await folder.succeed("ca", "rotate", "abort");
  assert.match(
    ended.stdout,
    /^the rotation of ca is deleted: the old CA signs, and the new one is no longer trusted$/m,
  );
  assert.deepEqual(await readPublishedNames(instance.data), ["tlsboot-ca"]);
  assert.match((await folder.succeed("ca", "rotate", "abort")).stderr, /^nothing to do/);
  await waitForOldCa(instance.data);

  await createStaleSecret(instance.data);
  await folder.succeed("ca", "init", "--data-dir", "other", "--common-name", "another", "--duration", "11y");
  const another = ["--new-ca-cert", "other/pki/ca.crt", "--new-ca-key", "other/pki/ca.key"];
  await folder.succeed("ca", "rotate", "begin", ...another);
  await folder.succeed("ca", "rotate", "switch");
  await folder.succeed(...bootstrapLine("n1"));
  const back = await folder.succeed("ca", "rotate", "abort", "--over", "10m");
  assert.match(back.stdout, /^Rotation: +ca, is being aborted/m);
  assert.equal(await readFile(`${instance.data}/pki/ca.crt`, "utf8"), before);
  assert.match(await folder.fail(1, "ca", "rotate", "begin"), /and is being aborted$/m);
  const sooner = await folder.succeed("ca", "rotate", "abort", "--over", "5m");
  assert.notEqual(findRenewal(sooner.stdout), findRenewal(back.stdout));
  const held = await folder.fail(3, "ca", "rotate", "abort");
  assert.match(held, /^n1 +node +trusts both, renewal due/m);
  assert.match(
    await folder.fail(1, "ca", "rotate", "now"),
    /^the rotation of ca is being aborted.*\nits new CA is kept: CN=another, [^]*--yes is missing/m,
  );
  assert.match((await folder.succeed("ca", "rotate", "abort", "--leave-behind", "n1")).stdout, /is deleted/);
  await waitForOldCa(instance.data);
  assert.ok(await isAccepted(`${instance.data}/admin.kubeconfig`));
});

/** Finds the time until which nodes renew in the text of a rotation. */
function findRenewal(text: string): string {
  const [, until] = /^Renewal: +nodes renew until (.+)$/m.exec(text) ?? [];
  assert.ok(until !== undefined, text);
  return until;
}

/** Reads the names of the CAs in cluster-info. */
async function readPublishedNames(data: string): Promise<readonly string[]> {
  await using admin = await connectWith(`${data}/admin.kubeconfig`);
  const path = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
  const target = parseJoinTarget(await admin.api.requestObject<ConfigMap>({ method: "GET", path }, signal));
  assert.ok(target.ok);
  const bundle = parseCaBundle(target.value.caPem);
  assert.ok(bundle.ok);
  return bundle.value.map(({ subject }) => subject.commonName);
}

/** Creates the Secret that remains if a command is killed before it creates the rotation. */
async function createStaleSecret(data: string): Promise<void> {
  await using admin = await connectWith(`${data}/admin.kubeconfig`);
  const metadata = { name: "tlsboot-ca-rotation-ca", namespace: "kube-system" };
  const body = { apiVersion: "v1", kind: "Secret", metadata, type: "tlsboot/ca-rotation" };
  await admin.api.requestJson({ method: "POST", path: "/api/v1/namespaces/kube-system/secrets", body }, signal);
}

test("ca rotate begin refuses a CA that cannot replace the present one, and changes nothing", async () => {
  await using folder = await createWorkplace();
  await using instance = await startInstance(folder, ["--auto-approve"]);
  const begin = ["ca", "rotate", "begin"];
  await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
  const serving = {
    name: "n2-serving",
    signerName: "kubernetes.io/kubelet-serving",
    commonName: "system:node:n2",
    dnsNames: ["n2.internal"],
    usages: ["digital signature", "server auth"],
  };
  await admin.api.requestJson({ method: "POST", path: CSRS, body: await buildCsr(serving) }, signal);
  await folder.succeed("approve", "csr/n2-serving", "--yes");
  const take = (certificate: string, key: string) => [...begin, "--new-ca-cert", certificate, "--new-ca-key", key];
  const takeLimited = async (name: string, ...limits: readonly string[]) => {
    await folder.succeed("ca", "init", "--data-dir", name, "--duration", "11y", ...limits);
    return take(`${name}/pki/ca.crt`, `${name}/pki/ca.key`);
  };
  const permitted = "--permit-dns localhost --permit-dns example.org --permit-ip 127.0.0.1 --permit-ip ::1".split(" ");
  await eventually("the certificate of n2", async () => {
    const { stdout } = await folder.succeed("get", "certificates", "--name", "n2.internal", "-o", "name");
    return stdout === "" ? undefined : true;
  });
  const excluded = await folder.fail(1, ...await takeLimited("names", ...permitted));
  assert.match(excluded, /name constraints exclude names that are in use/);
  assert.match(excluded, /system:node:n2.*: DNS name "n2\.internal" is not permitted by any constraint/);
  assert.match(excluded, /or revoke the certificates that are no longer needed/);
  const ownAddress = await folder.fail(1, ...await takeLimited("addresses", "--permit-ip", "10.0.0.0/8"));
  assert.match(ownAddress, /the server: IP address "127\.0\.0\.1"/);
  assert.doesNotMatch(ownAddress, /revoke/);
  assert.match(await folder.fail(1, ...begin, "--duration", "48h"), /it ends at .* before the present CA, which ends/);
  assert.match(await folder.fail(2, ...begin, "client-ca"), /there is no CA "client-ca"/);
  assert.match(await folder.fail(2, ...begin, "--new-ca-key", "x.key"), /--new-ca-key needs --new-ca-cert/);

  const [root, other] = [await createSigningCa({ commonName: "root" }), await createSigningCa()];
  await writeCa(folder.join("short"), await createIntermediateCa(root));
  await writeFile(folder.join("other.key"), other.keyPem, { mode: 0o600 });
  assert.match(await folder.fail(1, ...take("short.crt", "other.key")), /private key does not match public key/);
  assert.match(await folder.fail(1, ...take("short.crt", "short.key")), /it ends at .* before the present CA/);
  assert.match(await folder.fail(1, ...take("data/pki/ca.crt", "data/pki/ca.key")), /it is the present CA/);
  assert.match(await folder.fail(1, ...take("data/pki/apiserver.crt", "data/pki/apiserver.key")), /is not a CA/);
  assert.match((await folder.succeed("ca", "rotate", "status")).stderr, /no rotation is in progress/);
  assert.deepEqual((await readdir(`${instance.data}/pki`)).filter((name) => /next|old|retired/.test(name)), []);

  await folder.succeed(...begin);
  assert.match(await folder.fail(1, ...take("short.crt", "short.key")), /is in progress since .*, with another CA/);
});

test("after ca rotate now, certificates of the leaked key are refused, and machines rejoin with their files", async () => {
  await using folder = await createWorkplace();
  await writeFile(folder.join("inventory.yaml"), formatInventory("- name: n1", "- name: n2"));
  await using instance = await startInstance(folder, ["--auto-approve", "--inventory", "inventory.yaml"]);
  await folder.succeed(...bootstrapLine("n1"));
  const oldNode = await copyNode(folder);
  const oldAdmin = await copyWithoutCa(`${instance.data}/admin.kubeconfig`, folder.join("old.kubeconfig"));
  assert.ok(await isAccepted(oldNode));
  const now = ["ca", "rotate", "now", "--inventory", "inventory.yaml", "--out", "joins"];
  assert.match(await folder.fail(1, ...now), /are refused from now on, and --yes is missing/);
  assert.match(await folder.fail(2, ...now.slice(0, 5), "--yes"), /--inventory and --out go together/);
  const declined = await folder.typeAt("n\n", ...now);
  assert.equal(declined.code, 3, declined.stderr);
  assert.match(
    declined.stderr,
    /those of 2 machines and users[^]*2 machines of the inventory get a join file in joins/,
  );
  assert.match(declined.stderr, /nothing is changed/);
  assert.ok(await isAccepted(oldAdmin));
  // The old key is not needed.
  await rm(`${instance.data}/pki/ca.key`);
  const done = await folder.succeed(...now, "--yes");
  assert.match(done.stdout, /^joins\/n1\.kubeconfig\njoins\/n2\.kubeconfig\n/m);
  assert.equal(await isAccepted(oldNode), false);
  assert.equal(await isAccepted(oldAdmin), false);
  assert.ok(await isAccepted(`${instance.data}/admin.kubeconfig`));
  for (const kubeconfig of ["data/admin.kubeconfig", "joins/n1.kubeconfig"]) {
    assert.deepEqual(await readCaNames(folder.join(kubeconfig)), ["tlsboot-ca-2"]);
  }
  const again = await folder.succeed(...now, "--yes");
  assert.match(again.stderr, /^nothing to do: the rotation of ca finished at [^]*n1: kept the join file/);

  const join = ["bootstrap", "--bootstrap-kubeconfig", "joins/n1.kubeconfig", ...machineFlags("n1")];
  assert.match(
    await folder.fail(3, ...join, "--timeout", "5s"),
    /hint: mv n1\/kubeconfig n1\/kubeconfig\.old && mv .* && tlsboot bootstrap/,
  );
  await rm(folder.join("n1"), { recursive: true });
  await folder.succeed(...join);
  assert.ok(await isAccepted(folder.join("n1/kubeconfig")));
});

/** Copies a node's kubeconfig and pair, without the server's CA. */
async function copyNode(folder: Workplace): Promise<string> {
  const text = await readFile(folder.join("n1/kubeconfig"), "utf8");
  const pair = folder.join("n1-old.pem");
  await writeFile(pair, await readFile(folder.join("n1/pki/kubelet-client-current.pem"), "utf8"), { mode: 0o600 });
  const copied = text
    .replace(/certificate-authority(-data)?: .*/, "insecure-skip-tls-verify: true")
    .replace(/client-certificate: .*/, `client-certificate: ${pair}`)
    .replace(/client-key: .*/, `client-key: ${pair}`);
  await writeFile(folder.join("n1-old.kubeconfig"), copied);
  return folder.join("n1-old.kubeconfig");
}

test("ca rotate encrypts the new key with the passphrase of the old one", async () => {
  await using folder = await createWorkplace();
  await writeFile(folder.join("passphrase"), "open sesame\n", { mode: 0o600 });
  const passphrase = ["--ca-passphrase-file", "passphrase"];
  await folder.succeed("ca", "init", ...passphrase);
  // The key for service account tokens, which encrypts the new key in transit, may be in another file.
  await folder.succeed("ca", "init", "--data-dir", "other");
  const tokenKey = ["--service-account-signing-key-file", "other/pki/ca.key"];
  await using instance = await startInstance(folder, ["--auto-approve", ...passphrase, ...tokenKey]);
  assert.match(await folder.fail(1, "ca", "rotate", "begin"), /there is no passphrase/);
  await folder.succeed("ca", "rotate", "begin", ...passphrase, ...tokenKey);
  assert.match(await readFile(`${instance.data}/pki/next-ca.key`, "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  await folder.succeed("ca", "rotate", "switch");
  await folder.succeed("ca", "rotate", "finish");
  assert.match(await readFile(`${instance.data}/pki/ca.key`, "utf8"), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  await folder.succeed(...bootstrapLine("n1"));
});

test("ca rotate uses a program's new key, which must differ from the current one", async () => {
  await using folder = await createWorkplace();
  const [held, next] = [await createSigningCa(), await createSigningCa()];
  const program = await writeKeyProgram(folder, held.keyPem, "none", next.keyPem);
  const command = ["--signing-key-command", program];
  await folder.succeed("ca", "init", ...command);
  await using instance = await startInstance(folder, ["--auto-approve", ...command]);
  await folder.succeed("ca", "rotate", "begin", ...command);
  await folder.succeed("ca", "rotate", "switch");
  await folder.succeed("ca", "rotate", "finish");
  assert.deepEqual((await readdir(`${instance.data}/pki`)).filter((name) => name.endsWith("ca.key")), []);
  await folder.succeed(...bootstrapLine("n1"));
  assert.match(await folder.fail(1, "ca", "rotate", "begin", ...command), /it has the key of the present CA/);
});

test("ca rotate replaces one CA of a split installation that nodes need not trust", async () => {
  await using folder = await createWorkplace();
  await folder.succeed("ca", "init", "--split");
  await using instance = await startInstance(folder, ["--auto-approve"]);
  await folder.succeed(...bootstrapLine("n1"));
  await folder.succeed("ca", "rotate", "begin", "client-ca");
  await folder.succeed("ca", "rotate", "switch", "client-ca");
  const { stdout } = await folder.succeed("ca", "rotate", "status", "client-ca", "-o", "wide");
  assert.match(stdout, /^Ready: +1 of 1 machines and users$/m);
  await folder.succeed("ca", "rotate", "finish", "client-ca");
  assert.ok(await isAccepted(`${instance.data}/admin.kubeconfig`));
  assert.ok(await isAccepted(folder.join("n1/kubeconfig")));
});
