/** Tests subjects with more than a name and groups: they claim a node's name, and revocations cover them. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { parseCrl, parseCrlEntries } from "../../core/pki/authority/crl.ts";
import type { SubjectFields } from "../../core/pki/x509/names.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import { buildCsr, buildRequest, type CsrOptions } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { describeInstance } from "../support/instance_process.ts";
import { submitAs, untilHeld, untilIssued } from "../support/node_requests.ts";

const signal = new AbortController().signal;

describeInstance("subjects with more than a name and groups", { args: ["--auto-approve"] }, (instance) => {
  const { tlsboot, succeed } = instance;

  /** Sends a request with a subject, as the holder of a token does by default. */
  async function submit(name: string, subject: SubjectFields, edit: CsrOptions = {}): Promise<void> {
    const names = { dnsNames: [], ipAddresses: [], emailAddresses: [], uris: [] };
    const request = await buildRequest({ subject, ...names }, edit.keyAlgorithm);
    const groups = ["system:bootstrappers:tlsboot"];
    await submitAs(`${instance.data}/admin.kubeconfig`, await buildCsr({ name, request, groups, ...edit }), signal);
  }

  async function listRecords(): Promise<readonly IssuedCertificate[]> {
    const { stdout } = await succeed("get", "certificates", "-o", "json");
    return (JSON.parse(stdout) as { readonly items: readonly IssuedCertificate[] }).items;
  }

  async function findRecord(request: string): Promise<IssuedCertificate> {
    const record = (await listRecords()).find(({ spec }) => spec.request?.name === request);
    assert.ok(record);
    return record;
  }

  async function readCrlSerials(): Promise<readonly string[]> {
    const crl = parseCrl(findPemBlock(await readFile(`${instance.data}/pki/ca.crl`, "utf8"))!.block.bytes);
    const entries = crl.ok ? parseCrlEntries(crl.value) : crl;
    assert.ok(entries.ok);
    return entries.value.map(({ serialNumber }) => serialNumber);
  }

  const node = (name: string): SubjectFields => ({
    commonName: `system:node:${name}`,
    organizations: ["system:nodes"],
  });

  for (
    const { name, edit, shown } of [
      { name: "u1", edit: { organizationalUnits: ["ok"] }, shown: "OU=ok" },
      { name: "u2", edit: { organizationalUnits: [""] }, shown: "OU=" },
      { name: "u3", edit: { countries: ["DE"] }, shown: "C=DE" },
      { name: "u4", edit: { serialNumber: "5" }, shown: "SERIALNUMBER=5" },
    ]
  ) {
    test(`a node's request with ${shown} is left to a person, and its certificate claims the node's name`, async () => {
      await submit(`first-${name}`, { ...node(name), ...edit });
      const page = await untilHeld(instance, `first-${name}`, "UnusualSubject");
      const why = `the subject has "${shown}" beyond common name and organization, which no kubelet requests`;
      assert.ok(page.includes(`Left pending: ${why}. Find out which program made it;`), page);
      const explained = await tlsboot("policy", "explain", `first-${name}`);
      assert.equal(explained.code, 3);
      assert.ok(explained.stdout.includes(`left pending: ${why}`), explained.stdout);
      await succeed("approve", `first-${name}`, "--yes");
      await untilIssued(instance, `first-${name}`);
      const { status } = await findRecord(`first-${name}`);
      assert.deepEqual(status.identifies, { username: `system:node:${name}`, groups: ["system:nodes"] });
      // Another machine with the plain subject does not get the name.
      await submit(`second-${name}`, node(name), { keyAlgorithm: "ecdsa-p384" });
      assert.match(
        await untilHeld(instance, `second-${name}`, "NameClaimed"),
        /another machine may be claiming its name/,
      );
    });
  }

  test("a token with --approve does not approve a subject that no kubelet requests", async () => {
    await succeed("token", "create", "ghijkl.0123456789abcdef", "--node", "t1", "--approve");
    const token = { username: "system:bootstrap:ghijkl", groups: ["system:bootstrappers:tlsboot"] };
    await submit("token-t1", { ...node("t1"), localities: ["x"] }, token);
    await untilHeld(instance, "token-t1", "UnusualSubject");
  });

  for (
    const { target, subject, signerName } of [
      { target: "user/al", subject: { commonName: "al", organizations: ["g1", ""] } },
      { target: "group/g2", subject: { commonName: "bo", organizations: ["", "g2"] } },
      { target: "user/cy", subject: { commonName: "cy", countries: [""] } },
      {
        target: "node/m1",
        subject: { ...node("m1"), countries: [""] },
        signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      },
    ] satisfies readonly { target: string; subject: SubjectFields; signerName?: string }[]
  ) {
    test(`revoke ${target} covers a certificate whose subject has an empty value`, async () => {
      const name = target.replace("/", "-");
      await submit(name, subject, { signerName: signerName ?? "kubernetes.io/kube-apiserver-client" });
      await succeed("approve", name, "--yes");
      await untilIssued(instance, name);
      const done = await succeed("revoke", target);
      assert.equal(done.stdout, `${target} revoked: 1 certificate affected\n`);
      const marked = await eventually("the record is marked", async () => {
        const record = await findRecord(name);
        return record.status.revocation === undefined ? undefined : record;
      });
      assert.equal(marked.status.revocation?.name, target.replace("/", ":"));
      const serial = marked.spec.serialNumber ?? "";
      await eventually("the CRL lists it", async () => (await readCrlSerials()).includes(serial) || undefined);
    });
  }

  test("the register is intact, and every record has the identity of its certificate", async () => {
    assert.equal((await tlsboot("verify", "certificates")).code, 0);
    for (const { spec, status } of await listRecords()) assert.ok(status.identifies !== undefined, spec.subject);
  });
});
