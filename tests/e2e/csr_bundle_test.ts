/** Tests bundles of requests: exported from a server without a signer, signed offline by a CA, and imported. */
import assert from "node:assert/strict";
import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { withApproval } from "../../core/approval/conditions.ts";
import { findLeafCertificate } from "../../core/request/issued_certificate.ts";
import { findCondition } from "../../core/request/phase.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { type Finished, runTlsboot } from "../support/child.ts";
import { readBarcodesFromSvgPages } from "../support/qr_scanner.ts";
import { buildCsr, type CsrOptions } from "../support/csr_builder.ts";
import { connectWith, describeInstance } from "../support/instance_process.ts";
import type { TempFolder } from "../support/temp.ts";
import { formatInventory } from "../support/test_profiles.ts";

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const CLIENT = "kubernetes.io/kube-apiserver-client";

/** Creates the signing CA and an unrelated one. */
async function createCas(folder: TempFolder): Promise<void> {
  for (const ca of ["ca", "another"]) {
    const { code, stderr } = await runTlsboot(["ca", "init", "--data-dir", ca, "--common-name", `${ca}-ca`], {
      cwd: folder.path,
    });
    assert.equal(code, 0, stderr);
  }
}

describeInstance("bundles of requests", {
  args: ["--client-ca-file", "ca/pki/ca.crt"],
  command: "serve",
  prepare: createCas,
}, (instance) => {
  const { tlsboot, succeed } = instance;

  /** The pin of the key that signs the exports. */
  let exporter: string;

  before(async () => {
    await request("first");
    const { stderr } = await succeed("offline", "export", "--data-dir", "data");
    [exporter = ""] = /sha256:[0-9a-f]{64}/.exec(stderr) ?? [];
  });

  /** Creates and approves a request through the API: the command would wait a second for a signer each time. */
  async function request(name: string, edit: CsrOptions = {}): Promise<void> {
    const body = await buildCsr({
      name,
      signerName: CLIENT,
      usages: ["client auth"],
      organizations: [],
      commonName: name,
      ...edit,
    });
    await using server = await connectWith(`${instance.data}/admin.kubeconfig`);
    const created: CertificateSigningRequest = await server.api.requestObject(
      { method: "POST", path: CSRS, body },
      signal,
    );
    const approved = withApproval(created, { reason: "Known", message: "by the test" });
    assert.ok(approved.ok);
    const path = `${CSRS}/${name}/approval`;
    await server.api.requestJson({ method: "PUT", path, body: approved.value }, signal);
  }

  async function get(name: string): Promise<CertificateSigningRequest> {
    await using server = await connectWith(`${instance.data}/admin.kubeconfig`);
    return await server.api.requestObject({ method: "GET", path: `${CSRS}/${name}` }, signal);
  }

  async function exportTo(file: string, ...args: readonly string[]): Promise<string> {
    const { stdout } = await succeed("offline", "export", "--data-dir", "data", ...args);
    await writeFile(instance.folder.join(file), stdout);
    return stdout;
  }

  /** Signs a file with the CA, into another file. */
  async function sign(file: string, to: string, ...args: readonly string[]): Promise<Finished> {
    const done = await tlsboot("sign", file, "--data-dir", "ca", "--trust-exporter", exporter, ...args);
    await writeFile(instance.folder.join(to), done.stdout);
    return done;
  }

  const importFrom = (file: string, ...args: readonly string[]) =>
    tlsboot("offline", "import", file, "--data-dir", "data", ...args);

  test("an exporter's key stays trusted after --trust-exporter, and no other key is", async () => {
    await exportTo("first.tlsb", "first");
    const unknown = await tlsboot("sign", "first.tlsb", "--data-dir", "ca");
    assert.equal(unknown.code, 3);
    assert.ok(unknown.stderr.includes(`--trust-exporter ${exporter}`), unknown.stderr);
    const other = `sha256:${"0".repeat(64)}`;
    const wrong = await tlsboot("sign", "first.tlsb", "--data-dir", "ca", "--trust-exporter", other);
    assert.equal(wrong.code, 3);
    assert.match(wrong.stderr, /is not the one that --trust-exporter names/);
    assert.equal(unknown.stdout + wrong.stdout, "");
    assert.equal((await sign("first.tlsb", "first.signed")).code, 0);
    assert.equal((await tlsboot("sign", "first.tlsb", "--data-dir", "ca")).code, 0);
    assert.equal((await importFrom("first.signed")).code, 0);
  });

  test("requests survive e-mail, come back signed or refused, and are answered once", async () => {
    await request("alice");
    await request("wrong", { usages: ["server auth"] });
    await request("web", { signerName: "example.com/web", usages: ["server auth"] });
    const text = await exportTo("requests.tlsb", "alice", "wrong", "web");
    const mail = `Hello,\r\n\r\n${text.replace(/^/gm, "> ").replaceAll("\n", " \r\n")}\r\nRegards\r\n`;
    await writeFile(instance.folder.join("mail.txt"), mail);

    const signed = await sign("mail.txt", "signed.tlsb");
    assert.equal(signed.code, 3, signed.stderr);
    assert.match(
      signed.stderr,
      /^alice: .*\n {2}Signer: +kubernetes\.io\/kube-apiserver-client\n {2}Subject: +CN=alice/m,
    );
    assert.match(signed.stderr, /Approved: +Known: by the test\n {2}Verdict: +the signer's rules allow it/);
    assert.match(signed.stderr, /^wrong: [^]*Verdict: +refused: invalid usage for client certificate/m);
    assert.match(
      signed.stderr,
      /^web: [^]*Verdict: +not signed: the CA has no rules for the signer "example.com\/web"/m,
    );

    const left = await importFrom("signed.tlsb", "--leave-refused");
    assert.equal(left.code, 0, left.stderr);
    assert.equal(left.stdout, "certificatesigningrequest.certificates.k8s.io/alice issued\n");
    assert.equal(findCondition(await get("wrong"), "Failed"), undefined);
    const imported = await importFrom("signed.tlsb");
    assert.equal(imported.code, 0, imported.stderr);
    assert.equal(imported.stdout, "certificatesigningrequest.certificates.k8s.io/wrong failed\n");
    assert.match(imported.stderr, /web stays as it is: the CA has no rules/);
    assert.match(findCondition(await get("wrong"), "Failed")?.message ?? "", /invalid usage/);
    assert.equal((await get("web")).status.certificate, undefined);
    const leaf = findLeafCertificate((await get("alice")).status.certificate ?? "");
    assert.equal(leaf?.subject.commonName, "alice");

    const again = await importFrom("signed.tlsb");
    assert.equal(again.code, 3);
    assert.match(again.stderr, /nothing to import: every answer in signed\.tlsb was already imported/);
    const repeated = await sign("requests.tlsb", "repeated.tlsb");
    assert.equal(repeated.code, 0);
    assert.match(repeated.stderr, /was answered before: this is the same answer again/);
    assert.equal(repeated.stdout, signed.stdout);
    const register = await readFile(instance.folder.join("ca/issued.jsonl"), "utf8");
    const records = register.trimEnd().split("\n").map((line) => JSON.parse(line).spec);
    const record = records.find(({ request }) => request.name === "alice");
    assert.equal(record.serialNumber, leaf?.serialNumber);
    assert.equal(record.request.uid, (await get("alice")).metadata.uid);
    assert.equal(record.approval.reason, "Known");
    assert.equal(records.filter(({ request }) => request.name === "alice").length, 1);
  });

  test("a signed request is not signed again for another export", async () => {
    await request("twice");
    await request("machine", {
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      usages: ["digital signature", "client auth"],
      organizations: ["system:nodes"],
      commonName: "system:node:twice",
    });
    await exportTo("one.tlsb", "twice", "machine");
    await exportTo("two.tlsb", "twice");
    const first = await sign("one.tlsb", "one.signed");
    assert.equal(first.code, 0, first.stderr);
    assert.doesNotMatch(first.stdout, /# CA 2 that answers/, "one CA for two signers");
    const second = await sign("two.tlsb", "two.signed");
    assert.equal(second.code, 3);
    assert.match(second.stderr, /Verdict: +not signed: it was signed at .*, serial number .*, for an earlier export/);
    assert.equal((await importFrom("two.signed")).code, 3);
    assert.equal((await importFrom("one.signed")).code, 0);
  });

  test("a bundle without a signed request is answered again by the rules of the next run", async () => {
    const profile = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/db
names: { dns: { allowed: ["*.db.example.com"] } }
usages: { allowed: [server auth] }
lifetime: { max: 24h }
`;
    await writeFile(instance.folder.join("db.yaml"), profile);
    await request("db", {
      signerName: "example.com/db",
      usages: ["server auth"],
      commonName: "",
      dnsNames: ["a.db.example.com"],
    });
    await exportTo("db.tlsb", "db");
    const first = await sign("db.tlsb", "db.first");
    assert.equal(first.code, 3);
    assert.match(first.stderr, /cannot answer: the CA has no rules for any signer of these requests/);
    const second = await sign("db.tlsb", "db.second", "--profile", "db.yaml");
    assert.equal(second.code, 0, second.stderr);
    // A signed request is not refused, because its server would mark it as failed.
    await exportTo("db.other", "db");
    await writeFile(instance.folder.join("db.yaml"), profile.replace("*.db.", "*.web."));
    const other = await sign("db.other", "db.third", "--profile", "db.yaml");
    assert.match(other.stderr, /Verdict: +not signed: it was signed at /);
    assert.equal((await importFrom("db.second")).code, 0);
  });

  test("an inventory at the CA can refuse approved requests", async () => {
    const kubelet = { signerName: "kubernetes.io/kube-apiserver-client-kubelet", organizations: ["system:nodes"] };
    const usages = ["digital signature", "client auth"];
    await request("known", { ...kubelet, usages, commonName: "system:node:n1" });
    await request("unknown", { ...kubelet, usages, commonName: "system:node:n9" });
    await writeFile(instance.folder.join("inventory.yaml"), formatInventory("- {name: n1, dns: [n1]}"));
    await exportTo("machines.tlsb", "known", "unknown");
    const signed = await sign("machines.tlsb", "machines.signed", "--inventory", "inventory.yaml");
    assert.equal(signed.code, 3, signed.stderr);
    assert.match(signed.stderr, /^known: [^]*Verdict: +the signer's rules allow it\nunknown: /m);
    assert.match(signed.stderr, /^unknown: [^]*Verdict: +not signed: no policy of the CA approves it: .*inventory/m);
    const imported = await importFrom("machines.signed");
    assert.equal(imported.stdout, "certificatesigningrequest.certificates.k8s.io/known issued\n");
  });

  test("two concurrent runs at the CA give the same answer", async () => {
    await request("both");
    await exportTo("both.tlsb", "both");
    const [one, other] = await Promise.all([sign("both.tlsb", "both.one"), sign("both.tlsb", "both.other")]);
    assert.equal(one.code, 0, one.stderr);
    assert.equal(other.code, 0, other.stderr);
    assert.equal(one.stdout, other.stdout);
    const register = await readFile(instance.folder.join("ca/issued.jsonl"), "utf8");
    assert.equal(register.match(/"name":"both"/g)?.length, 1);
  });

  test("a run that is killed before it records its answer is completed by the next one", async () => {
    await request("killed");
    await exportTo("killed.tlsb", "killed");
    const log = instance.folder.join("ca/issued.jsonl");
    const before = await readFile(log);
    const answers = instance.folder.join("ca/issued.answers");
    const earlier = new Set(await readdir(answers));
    const first = await sign("killed.tlsb", "killed.signed");
    assert.equal(first.code, 0);
    const [kept = ""] = (await readdir(answers)).filter((name) => !earlier.has(name));
    await rename(`${answers}/${kept}`, `${answers}/${kept.replace(/\.pem$/, ".unrecorded")}`);
    const recorded = await readFile(log);
    await writeFile(log, before);
    const second = await sign("killed.tlsb", "killed.again");
    assert.equal(second.stdout, first.stdout);
    const lines = (await readFile(log, "utf8")).trimEnd().split("\n");
    assert.equal(lines.length, recorded.toString().trimEnd().split("\n").length);
    assert.equal(JSON.parse(lines.at(-1)!).spec.request.name, "killed");
    assert.equal((await succeed("verify", "certificates", "ca/issued.jsonl", "--ca-file", "ca/pki/ca.crt")).code, 0);
  });

  test("answers for another installation and from an unknown CA are refused with the reason", async () => {
    await request("bob");
    await exportTo("bob.tlsb", "bob");
    assert.equal((await sign("bob.tlsb", "bob.signed")).code, 0);
    await succeed("offline", "export", "bob", "--data-dir", "data", "--bundle-key", "other.key");
    const foreign = await importFrom("bob.signed", "--bundle-key", "other.key");
    assert.equal(foreign.code, 3);
    assert.match(foreign.stderr, /it answers an export of another installation, of https:\/\/127\.0\.0\.1:\d+ on 20/);
    const without = await importFrom("bob.signed", "--bundle-key", "no.key");
    assert.equal(without.code, 1);
    assert.match(without.stderr, /there is no key/);

    const signed = await instance.succeed("sign", "bob.tlsb", "--data-dir", "another", "--trust-exporter", exporter);
    await writeFile(instance.folder.join("another.signed"), signed.stdout);
    const refused = await importFrom("another.signed");
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /it is signed by the CA "CN=another-ca", which this installation does not trust/);
    const [flag = "", pin = ""] = /--trust-signer (sha256:[0-9a-f]{64})/.exec(refused.stderr) ?? [];
    assert.ok((await succeed("ca", "show", "--data-dir", "another")).stdout.includes(pin), flag);
    assert.equal((await importFrom("another.signed", "--trust-signer", pin)).code, 0);
    const late = await importFrom("bob.signed");
    assert.equal(late.code, 1);
    assert.match(late.stderr, /cannot import the answer to "bob": the request already has another certificate/);
  });

  test("a truncated, altered or wrong file is refused with the names of its requests", async () => {
    await request("cut-1");
    await request("cut-2");
    const text = await exportTo("cut.tlsb", "cut-1", "cut-2");
    for (
      const [name, content, want] of [
        ["cut", text.slice(0, -300), /cannot read requests from "cut": part 3 of 3 is cut off: "cut-2"/],
        [
          "altered",
          text.replace("Subject: CN=cut-1", "Subject: CN=cut-7"),
          /part 2 of 3 is altered: its checksum does not match: "cut-1"/,
        ],
      ] as const
    ) {
      await writeFile(instance.folder.join(name), content);
      const done = await sign(name, "nothing");
      assert.equal(done.code, 1);
      assert.match(done.stderr, want);
      assert.equal(done.stdout, "");
    }
    const exchanged = await importFrom("cut.tlsb");
    assert.equal(exchanged.code, 1);
    assert.match(
      exchanged.stderr,
      /cannot read answers from "cut\.tlsb": it contains requests, as tlsboot offline export writes/,
    );
  });

  test("on a terminal, sign asks for confirmation, and signs nothing without it", async () => {
    await request("asked");
    await exportTo("asked.tlsb", "asked");
    const args = ["sign", "asked.tlsb", "--data-dir", "ca", "--out", "asked.signed"];
    const no = await instance.typeAt("n\n", ...args);
    assert.equal(no.code, 3);
    assert.match(no.stderr, /Sign it\? \[y\/N\] nothing is signed: declined; the next run asks again\n$/);
    assert.equal((await instance.typeAt("y\n", ...args)).code, 0);
    assert.equal((await importFrom("asked.signed")).code, 0);
  });

  test("requests and answers travel on paper, scanned in any order", async () => {
    for (const name of ["paper-1", "paper-2", "paper-3"]) await request(name);
    await exportTo("paper.tlsb", "paper-1", "paper-2", "paper-3", "--qr", "pages");
    const [requests = ""] = await readdir(instance.folder.join("pages"));
    const codes = await readBarcodesFromSvgPages(await readFile(instance.folder.join(`pages/${requests}`), "utf8"));
    assert.ok(codes.length > 1);
    await writeFile(instance.folder.join("scan.txt"), codes.slice(1).join("\n"));
    const missing = await sign("scan.txt", "nothing");
    assert.equal(missing.code, 1);
    assert.match(
      missing.stderr,
      new RegExp(`cannot read requests from "scan.txt": code 1 of ${codes.length} is missing`),
    );
    await writeFile(instance.folder.join("scan.txt"), [...codes].reverse().join("\n"));
    assert.equal((await sign("scan.txt", "paper.signed", "--qr", "answers")).code, 0);
    const [answers = ""] = await readdir(instance.folder.join("answers"));
    const back = await readBarcodesFromSvgPages(await readFile(instance.folder.join(`answers/${answers}`), "utf8"));
    await writeFile(instance.folder.join("back.txt"), [...back].reverse().join("\r\n"));
    assert.equal((await importFrom("back.txt")).code, 0);
    assert.notEqual((await get("paper-2")).status.certificate, undefined);
  });

  test("wrong usage is reported with the fix", async () => {
    const csr = "plain.csr";
    await writeFile(instance.folder.join(csr), "noise");
    await request("done");
    await exportTo("done.tlsb", "done");
    await sign("done.tlsb", "done.signed");
    assert.equal((await importFrom("done.signed")).code, 0);
    for (
      const [args, code, want] of [
        [
          ["offline", "export", "--data-dir", "data", "no-such"],
          1,
          /cannot export "no-such": no matching request has this name/,
        ],
        [["offline", "export", "--data-dir", "data", "done"], 1, /cannot export "done": it has its certificate/],
        [["offline", "export", "--data-dir", "data", "-l", "a=b"], 3, /nothing to export/],
        [["offline", "import", "--data-dir", "data"], 2, /give FILE or --print-rbac/],
        [["offline", "import", "no-such", "--data-dir", "data"], 1, /cannot read "no-such": no such file/],
        [["offline", "import", "done.signed", "--signer", "a.b\/c"], 2, /--signer needs --print-rbac/],
        [["sign", "done.tlsb", "--data-dir", "ca", "--usage", "client auth"], 2, /--usage: not for a bundle/],
        [["sign", csr, "--data-dir", "ca", "--trust-exporter", exporter], 2, /only for a folder or a bundle/],
      ] as const
    ) {
      const done = await tlsboot(...args);
      assert.match(done.stderr, want);
      assert.equal(done.code, code, done.stderr);
    }
  });
});
