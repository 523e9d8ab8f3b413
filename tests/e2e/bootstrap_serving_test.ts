/** Tests `tlsboot bootstrap --serving`, `tlsboot doctor` of its files, and the recovery after an expiry. */
import assert from "node:assert/strict";
import { mkdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { test } from "node:test";
import { parseCredentialPair } from "../../core/machine/credential_pair.ts";
import { encodeNodeKubeconfig } from "../../client/node_kubeconfig.ts";
import type { Finished, Running } from "../support/child.ts";
import { createIssuingCa, issueServing } from "../support/issuing_ca.ts";
import {
  bootstrapLine,
  type Commands,
  createWorkplace,
  describeInstance,
  machineFlags,
  startInstance,
} from "../support/instance_process.ts";
import type { TempFolder } from "../support/temp.ts";

async function approveServing(folder: Pick<Commands, "succeed">, running: Running, index = 0): Promise<void> {
  await running.waitFor(new RegExp(`(?:[\\s\\S]*serving request \\S+ made){${index + 1}}`));
  const name = [...running.stderr().matchAll(/serving request (\S+) made/g)][index]?.[1] ?? "";
  await folder.succeed("approve", name, "--data-dir", "data");
}

async function readServing(
  folder: TempFolder,
): Promise<{ readonly names: readonly string[]; readonly serial: string }> {
  const text = await readFile(folder.join("n1/pki/kubelet-server-current.pem"), "utf8");
  const pair = parseCredentialPair(text, text);
  assert.ok(pair.ok);
  const { dnsNames, ipAddresses, serialNumber } = pair.value.leaf;
  return { names: [...dnsNames, ...ipAddresses], serial: serialNumber };
}

test("tlsboot bootstrap --serving --rotate-certificates renews both certificates, in real time", async () => {
  await using folder = await createWorkplace();
  await using _instance = await startInstance(folder, ["--auto-approve", "--cluster-signing-duration", "20s"]);
  const args = bootstrapLine("n1", "--serving", "--serving-ip", "192.0.2.1", "--rotate-certificates");
  await using running = folder.start(...args);
  await approveServing(folder, running);
  await running.waitFor(/serving certificate of \S+, \S+ issued, valid until /);
  const first = await readServing(folder);
  await approveServing(folder, running, 1);
  await running.waitFor(/serving certificate renewed, valid until /);
  assert.notEqual((await readServing(folder)).serial, first.serial);
  await running.waitFor(/^certificate renewed, valid until /m);
});

describeInstance("tlsboot bootstrap of a node", { args: ["--auto-approve"] }, (instance) => {
  const { tlsboot } = instance;
  const examine = (node: string) => tlsboot("doctor", node);

  /** Bootstraps a node that already has a certificate for another key, and approves its request. */
  async function bootstrapAndApprove(node: string): Promise<Finished> {
    await using running = instance.start(...bootstrapLine(node));
    const [, name = ""] = await running.waitFor(/request (\S+) made/);
    await instance.succeed("approve", name, "--yes");
    return await running.finished();
  }

  test("tlsboot bootstrap --serving gets both certificates, and doctor shows them", async () => {
    const { folder } = instance;
    const names = ["--serving-dns", "n1.example,n1", "--serving-ip", "192.0.2.1"];
    await using running = instance.start(...bootstrapLine("n1", "--serving", "--duration", "10m", ...names));
    await approveServing(instance, running);
    const { code, stdout, stderr } = await running.finished();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /\nserving certificate of n1, n1\.example, 192\.0\.2\.1 issued, valid until [\dT:-]+Z\n/);
    assert.match(stdout, /\nserving certificate and key: n1\/pki\/kubelet-server-current\.pem\n$/);
    const target = await readlink(folder.join("n1/pki/kubelet-server-current.pem"));
    assert.match(target, /\/n1\/pki\/kubelet-server-\d{4}(-\d\d){5}\.pem$/);

    const after = await examine("n1");
    assert.equal(after.code, 0, after.stdout);
    assert.match(
      after.stdout,
      / the serving certificate of n1, n1\.example, 192\.0\.2\.1 is valid until \S+Z; its renewal is due between \S+Z and \S+Z\n/,
    );

    const again = await instance.succeed(...bootstrapLine("n1", "--serving", ...names));
    assert.match(
      again.stdout,
      /^nothing to do: n1\/kubeconfig .*\nnothing to do: n1\/pki\/kubelet-server-current\.pem /,
    );
    assert.equal(instance.running.stderr().includes("ERROR"), false);
  });

  test("tlsboot bootstrap --serving waits for approval and continues with its own request", async () => {
    const args = bootstrapLine("n2", "--serving", "--serving-ip", "192.0.2.3");
    await using first = instance.start(...args);
    const [, name = ""] = await first.waitFor(/serving request (\S+) made/);
    first.kill("SIGINT");
    assert.equal((await first.finished()).code, 130);
    assert.match(
      (await examine("n2")).stdout,
      /the serving certificate \S+ is missing: its request is waiting\n +fix: tlsboot bootstrap .* --serving /,
    );
    await instance.succeed("approve", name);
    const { stderr } = await instance.succeed(...args);
    assert.match(stderr, new RegExp(`serving request ${name} taken up again`));
  });

  test("tlsboot bootstrap recovers after its certificate expired, or explains how to", async () => {
    const { folder } = instance;
    const now = new Date().getTime();
    const past = { notBefore: new Date(now - 7_200_000), notAfter: new Date(now - 3_600_000) };
    const subject = { commonName: "system:node:n3", organizations: ["system:nodes"] };
    const old = await issueServing(await createIssuingCa(new Date()), { subject, ...past });
    const combined = folder.join("n3/pki/kubelet-client-current.pem");
    await mkdir(dirname(combined), { recursive: true });
    const dated = folder.join("n3/pki/kubelet-client-2026-01-01-00-00-00.pem");
    await writeFile(dated, old.certificatePem + old.keyPem, { mode: 0o600 });
    await symlink(dated, combined);
    const cluster = {
      server: instance.url,
      insecureSkipTlsVerify: false,
      ca: { kind: "file", path: `${instance.data}/pki/ca.crt` },
    };
    await writeFile(folder.join("n3/kubeconfig"), encodeNodeKubeconfig(cluster as never, combined), { mode: 0o600 });

    const expired = await examine("n3");
    assert.equal(expired.code, 1);
    assert.match(
      expired.stdout,
      /the client certificate \S+ is expired\n +next: make a token with: tlsboot token create --node n3, and /,
    );
    const alone = await instance.refuse(1, "bootstrap", ...machineFlags("n3"), "--rotate-certificates");
    assert.match(alone, /error: cannot request a certificate: ".*kubeconfig" has no valid one/);
    assert.match(
      alone,
      /hint: on the server, .* run here what it prints: tlsboot token create --node n3 -o command$/m,
    );

    const back = await instance.succeed(...bootstrapLine("n3"));
    assert.match(
      back.stderr,
      /the kubeconfig cannot be used: the client certificate of kubeconfig ".*" expired at /,
    );
    assert.equal((await examine("n3")).code, 0);
    assert.equal(await readFile(dated, "utf8"), old.certificatePem + old.keyPem, "the old file stays");
  });

  test("tlsboot bootstrap replaces broken files, and refuses those of another node", async () => {
    const { folder } = instance;
    await instance.succeed(...bootstrapLine("n4"));
    const link = folder.join("n4/pki/kubelet-client-current.pem");
    await rm(await readlink(link));
    const dangling = await examine("n4");
    assert.equal(dangling.code, 1);
    assert.match(dangling.stdout, /the client certificate \S+ is missing\n/);
    const second = await bootstrapAndApprove("n4");
    assert.equal(second.code, 0, second.stderr);

    const foreign = await issueServing(await createIssuingCa(new Date()));
    const good = await readFile(link, "utf8");
    await writeFile(await readlink(link), good.replace(/-----BEGIN EC[\s\S]*/, foreign.keyPem));
    const mismatched = await examine("n4");
    assert.match(
      mismatched.stdout,
      / is broken: could not convert data from ".*" into cert\/key pair: private key does not match public key\n/,
    );
    const third = await bootstrapAndApprove("n4");
    assert.equal(third.code, 0, third.stderr);
    assert.equal((await examine("n4")).code, 0);

    assert.match(
      await instance.refuse(1, ...bootstrapLine("n4"), "--hostname-override", "other"),
      /error: cannot use ".*kubeconfig" for "system:node:other": its certificate is for "system:node:n4"\n/,
    );
  });
});
