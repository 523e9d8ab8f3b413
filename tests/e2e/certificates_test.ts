/** Tests the register on the command line: get, describe and verify, after the requests are deleted. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import type { ApiClient } from "../../client/objects/api.ts";
import { createSystemClock } from "../../cli/system.ts";
import { getName } from "../../core/kube/meta.ts";
import { parseCsv } from "../../core/token/token_file.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import type { Finished } from "../support/child.ts";
import { buildCsr } from "../support/csr_builder.ts";
import { startFakeApi } from "../support/fake_api.ts";
import { connectWith, createWorkplace, describeInstance, startInstance } from "../support/instance_process.ts";
import { createRecords } from "../support/issued_records.ts";
import { grant } from "../support/node_requests.ts";
import type { TempFolder } from "../support/temp.ts";

const clock = createSystemClock();

/** Edits the database of a stopped instance, which it creates if necessary. */
async function editStorage(place: TempFolder, edit: (storage: Storage) => Promise<void>): Promise<void> {
  await mkdir(place.join("data"), { recursive: true, mode: 0o700 });
  await using storage = await openSqliteStorage({ path: place.join("data/tlsboot.db"), clock });
  await edit(storage);
}

async function verifyWhileRunning(
  place: TempFolder,
  flags: readonly string[] = [],
  serverFlags: readonly string[] = [],
): Promise<Finished> {
  await using running = await startInstance(place, serverFlags);
  const verified = await running.tlsboot("verify", "certificates", ...flags);
  assert.equal((await running.end("SIGTERM")).code, 0);
  return verified;
}

describeInstance("the register of issued certificates", {}, (instance) => {
  const { tlsboot } = instance;
  const succeed = async (...args: readonly string[]): Promise<string> => (await instance.succeed(...args)).stdout;

  // alice has one certificate, bob two, and all requests are deleted.
  before(async () => {
    await succeed("kubeconfig", "user", "alice", "--group", "dev,ops", "--duration", "1h");
    await succeed("kubeconfig", "user", "bob", "--duration", "100h");
    await succeed("kubeconfig", "user", "bob", "--duration", "200h", "--force");
    const names = await succeed("get", "csr", "-o", "name");
    await succeed("delete", "csr", ...names.trimEnd().split("\n"));
  });

  async function asAdmin<T>(act: (api: ApiClient) => Promise<T>): Promise<T> {
    await using admin = await connectWith(instance.folder.join("data/admin.kubeconfig"));
    return await act(admin.api);
  }

  /** Lists the register in the order of issuance. */
  async function listRecords(): Promise<readonly IssuedCertificate[]> {
    return JSON.parse(await succeed("get", "certificates", "-o", "json")).items;
  }

  test("tlsboot get certificates lists certificates whose requests are deleted", async () => {
    const all = (await succeed("get", "certs")).trimEnd().split("\n");
    assert.match(all[0] ?? "", /^SERIAL +SUBJECT +SIGNER +ISSUED +EXPIRES +STATUS +APPROVED-BY$/);
    const people = all.filter((line) => /CN=(alice|bob)/.test(line));
    assert.equal(people.length, 3);
    assert.match(
      people[0] ?? "",
      /^[0-9a-f]{12} .*CN=alice.* kubernetes\.io\/kube-apiserver-client .* valid +kubernetes-admin$/,
    );
    assert.match(people[1] ?? "", /CN=bob .* replaced +kubernetes-admin$/);
    assert.match(people[2] ?? "", /CN=bob .* valid +kubernetes-admin$/);
  });

  for (
    const { flags, want } of [
      { flags: ["--expires-within", "30d", "--subject", "bob"], want: ["CN=bob"] },
      { flags: ["--expires-within", "2h"], want: [/alice/] },
      { flags: ["--subject", "O=ops"], want: [/alice/] },
      {
        flags: ["--requester", "kubernetes-admin", "--approved-by", "kubernetes-admin"],
        want: [/alice/, "CN=bob", "CN=bob"],
      },
      { flags: ["--signer", "kubernetes.io/kube-apiserver-client"], want: [/alice/, "CN=bob", "CN=bob"] },
      { flags: ["--since", "365d", "--subject", "bob", "--sort-by", "expires"], want: ["CN=bob", "CN=bob"] },
      { flags: ["--signer", "example.com/none"], want: [] },
      { flags: ["--expired"], want: [] },
    ]
  ) {
    test(`tlsboot get certificates ${flags.join(" ")} prints the selected certificates`, async () => {
      const { items } = JSON.parse(await succeed("get", "certificates", ...flags, "-o", "json"));
      const subjects = (items as readonly IssuedCertificate[]).map(({ spec }) => spec.subject ?? "");
      assert.equal(subjects.length, want.length, subjects.join());
      want.forEach((subject, index) =>
        typeof subject === "string"
          ? assert.equal(subjects[index], subject)
          : assert.match(subjects[index] ?? "", subject)
      );
    });
  }

  test("tlsboot get certificates -o prints names, YAML, comma-separated values, and one certificate by its serial number", async () => {
    const names = await succeed("get", "certs", "-o", "name");
    assert.match(names, /^(issuedcertificate\.tlsboot\/\d{10}\n)+$/);
    const records = await listRecords();
    const alice = records.find(({ spec }) => spec.subject?.includes("alice"));
    const serial = alice?.spec.serialNumber ?? "";
    assert.match(
      await succeed("get", "certs", serial, "-o", "yaml"),
      new RegExp(`^apiVersion: tlsboot/v1alpha1\n[^]*\n  serialNumber: ["']?${serial}`),
    );
    const csv = parseCsv(await succeed("get", "certs", "-o", "csv"));
    assert.ok(csv.ok);
    assert.equal(csv.value.length, records.length + 1);
    const path = "jsonpath={.spec.serialNumber}";
    assert.equal(await succeed("get", "certs", serial.slice(0, 12), "-o", path), serial);
    const serials = "jsonpath={.items[*].spec.serialNumber}";
    assert.equal(
      await succeed("get", "certs", "-o", serials, "--sort-by", ".spec.serialNumber"),
      records.map(({ spec }) => spec.serialNumber).toSorted().join(" "),
    );
    assert.match(await succeed("get", "certs", serial, "--no-headers"), new RegExp(`^${serial.slice(0, 12)} `));
  });

  test("tlsboot get certificates reports an empty list, and ends with 1 for an unknown serial number", async () => {
    assert.deepEqual(await tlsboot("get", "certificates", "--subject", "carol"), {
      code: 0,
      stdout: "",
      stderr: "No certificates found\n",
    });
    assert.match(
      await instance.refuse(1, "get", "certificates", "dddddddd"),
      /^tlsboot: error: cannot find certificate "dddddddd": .*\ntlsboot: hint: list the certificates/,
    );
  });

  test("tlsboot describe certificate shows request, approval and the certificate that replaced it", async () => {
    const [first, second] = (await listRecords()).filter(({ spec }) => spec.subject === "CN=bob");
    const old = await succeed("describe", "certificate", first?.spec.serialNumber ?? "");
    assert.match(old, /^Serial number: +[0-9a-f]+\nSubject: +CN=bob\nStatus: +valid, but replaced by record \d{10}\n/);
    assert.match(old, /\nIssued: .*by a CertificateSigningRequest\n/);
    assert.match(old, /\n {2}Requester: +kubernetes-admin\n[^]*\n {2}Address: +127\.0\.0\.1\n/);
    assert.match(old, /\nApproval: [^]*\n {2}User: +kubernetes-admin\n[^]*\n {2}Reason: +TlsbootKubeconfigUser\n/);
    assert.match(old, new RegExp(`\nReplaced by: +${second?.spec.serialNumber?.slice(0, 12)}, issued `));
    const both = await tlsboot("describe", "certificate", second?.metadata.name ?? "", "ffffffff");
    assert.equal(both.code, 1);
    assert.match(both.stdout, /\nReplaces: +[0-9a-f]{12}, issued /);
    assert.match(both.stderr, /cannot find certificate "ffffffff"/);
  });

  test("tlsboot get csr -o wide and describe csr show the address of the client and the user who decided", async () => {
    assert.equal((await tlsboot("kubeconfig", "user", "dave", "--no-approve")).code, 0);
    const [name = ""] = (await succeed("get", "csr", "-o", "name")).trimEnd().split("\n");
    await succeed("approve", name);
    const wide = await succeed("get", "csr", "-o", "wide");
    assert.match(wide, /^NAME .* ADDRESS +DECIDED-BY\n[^]*dave\S* .* issued .* 127\.0\.0\.1 +kubernetes-admin\n/);
    const page = await succeed("describe", "csr", name);
    assert.match(page, /\n {2}Address: +127\.0\.0\.1\n {2}Program: +tlsboot\/\S+\n/);
    assert.match(page, /\n {2}Approved by kubernetes-admin from 127\.0\.0\.1 at \S+Z\n/);
  });

  test("a user who may read the register sees it, and others get the command that grants it", async () => {
    await asAdmin((api) => grant(api, "auditors", { kind: "Group", name: "dev" }, "tlsboot:certificate-viewer"));
    const seen = await succeed("get", "certificates", "--kubeconfig", "alice.kubeconfig", "-o", "name");
    assert.ok(seen.split("\n").length > 3);
    const stderr = await instance.refuse(1, "get", "certificates", "--kubeconfig", "bob.kubeconfig");
    assert.match(stderr, /User "bob" cannot list resource "issuedcertificates" in API group "tlsboot"/);
    assert.match(
      stderr,
      /hint: .* create clusterrolebinding NAME --user=USER --clusterrole=tlsboot:certificate-viewer/,
    );
  });

  test("tlsboot get certificates -w prints certificates as they are issued", async () => {
    await using watching = instance.start("get", "certificates", "-w", "-o", "name", "--subject", "erin");
    await succeed("kubeconfig", "user", "erin");
    await watching.waitFor(/issued/);
    watching.kill("SIGINT");
    const { code, stdout } = await watching.finished();
    assert.equal(code, 130);
    assert.match(stdout, /^issuedcertificate\.tlsboot\/\d{10}\n$/);
  });

  test("shells complete serial numbers, names and tokens from the API, and nothing without a server", async () => {
    const complete = async (...words: readonly string[]) =>
      (await succeed("complete", "--", ...words)).trimEnd().split("\n").map((line) => line.split("\t")[0]);
    assert.deepEqual(await complete("revoke", "user/a"), ["user/alice", ":4"]);
    assert.deepEqual(await complete("revoke", "group/d"), ["group/dev", ":4"]);
    assert.ok((await complete("revoke", "")).includes("node/"));
    const serial = (await listRecords()).at(-1)?.spec.serialNumber?.slice(0, 12) ?? "";
    assert.deepEqual(await complete("describe", "certificate", serial.slice(0, 8)), [serial, ":4"]);
    assert.equal((await complete("token", "delete", "")).length, 2);
    assert.deepEqual(await complete("get", "csr", "--data-dir", "nowhere", ""), [":4"]);
  });

  test("the log of tlsboot sign is listed, described and verified without a server, and an edited line is reported", async () => {
    await using place = await createWorkplace();
    await place.answer("ca", "init");
    const { spec } = await buildCsr({ commonName: "carol", organizations: [] });
    await writeFile(place.join("carol.csr"), Buffer.from(spec.request ?? "", "base64"));
    const sign = ["sign", "carol.csr", "--signer", "kubernetes.io/kube-apiserver-client", "--issued-log", "log"];
    for (const out of ["1.crt", "2.crt"]) await place.answer(...sign, "--usage", "client auth", "--out", out);
    const log = ["--issued-log", "log"];
    assert.match(
      await place.answer("get", "certs", ...log),
      /\n[0-9a-f]{12} +CN=carol .* replaced .*\n[0-9a-f]{12} +CN=carol .* valid /,
    );
    assert.match(await place.answer("describe", "certificate", "2", ...log), /\nReplaces: +[0-9a-f]{12}, /);
    const verify = ["verify", "certificates", "log", "--ca-file", "data/pki/ca.crt"];
    assert.match(await place.answer(...verify), /^2 records are intact, sealed up to 0000000002 at /);
    const text = await readFile(place.join("log"), "utf8");
    await writeFile(place.join("log"), text.replace("carol", "mallory"));
    assert.match(
      await place.refuse(1, ...verify),
      /not intact at record 0000000001 \(serial number [0-9a-f]+, CN=mallory\): the record does not match its seal/,
    );
  });

  test("for another API server, the message explains that only tlsboot serves the register", async () => {
    await using place = await createWorkplace();
    await using api = await startFakeApi();
    // kube-apiserver gives this answer for a path that it does not have.
    api.intercept = () => ({ status: 404, body: "404 page not found\n" });
    await writeFile(place.join("other.kubeconfig"), api.kubeconfig);
    assert.equal(
      await place.refuse(1, "get", "certificates", "--kubeconfig", "other.kubeconfig"),
      "tlsboot: error: cannot read the register: the server does not serve tlsboot/v1alpha1\n" +
        "tlsboot: hint: only a server of tlsboot has a register. For another API server, such as kube-apiserver, start " +
        "the signer with --issued-log, and read that file with: tlsboot get certificates --issued-log FILE\n",
    );
  });

  test("verify certificates reads several pages, and finds the record that was edited by hand", async () => {
    await using place = await createWorkplace();
    const keyOf = (record: IssuedCertificate) => `/registry/tlsboot/issuedcertificates/${getName(record)}`;
    await editStorage(place, async (storage) => {
      const records = createRecords(Array.from({ length: 603 }, () => ({})));
      const typed = { apiVersion: "tlsboot/v1alpha1", kind: "IssuedCertificate" };
      for (const record of records) await storage.create(keyOf(record), { ...typed, ...record });
    });
    const unsealed = await verifyWhileRunning(place);
    assert.equal(unsealed.code, 1);
    assert.match(
      unsealed.stderr,
      /^tlsboot: error: records may be missing at the end of the register: it has no seal of the CA, .*\n.*hint: 6\d\d records are intact, up to 000000\d{4}; a server that has just started seals within a minute/,
    );
    const sealed = await verifyWhileRunning(place);
    assert.match(
      sealed.stdout,
      /^6\d\d records are intact, sealed up to \d{10} at \S+Z by the CA [0-9A-F:]+\n/,
      sealed.stderr,
    );
    await editStorage(place, async (storage) => {
      const [record] = createRecords(Array.from({ length: 550 }, () => ({}))).slice(-1);
      assert.ok(record !== undefined);
      const stored = await storage.get(keyOf(record));
      assert.ok(stored !== undefined);
      const object = stored.object as IssuedCertificate;
      const edited = { ...object, spec: { ...object.spec, subject: "CN=innocent" } };
      await storage.update(keyOf(record), edited, stored.revision);
    });
    const wrong = await verifyWhileRunning(place);
    assert.equal(wrong.code, 1);
    assert.equal(wrong.stdout, "");
    assert.match(
      wrong.stderr,
      /^tlsboot: error: the register is not intact at record 0000000550 \(serial number [0-9a-f]+, CN=innocent\): the record was changed/,
    );
  });

  test("each seal is in the audit log, and verify certificates detects that sealed records are missing at the end", async () => {
    await using place = await createWorkplace();
    const audit = ["--audit-log-path", place.join("audit.log")];
    assert.equal((await verifyWhileRunning(place, [], audit)).code, 0);
    const events = (await readFile(place.join("audit.log"), "utf8")).trimEnd().split("\n").map((line) =>
      JSON.parse(line)
    );
    const seals = events.filter(({ annotations = {} }) => "register.tlsboot/seal" in annotations);
    const { verb, user, objectRef, annotations: { "register.tlsboot/seal": expected } } = seals.at(-1);
    const [sequence, hash] = expected.split(":");
    assert.deepEqual([verb, user.username], ["patch", "system:apiserver"]);
    assert.deepEqual([objectRef.resource, objectRef.name, objectRef.subresource], [
      ...["issuedcertificates", sequence.padStart(10, "0"), "status"],
    ]);
    const whole = await verifyWhileRunning(place, ["--expect", expected]);
    assert.equal(whole.code, 0, whole.stderr);
    const other = await verifyWhileRunning(place, ["--expect", `${sequence}:${"0".repeat(64)}`]);
    assert.match(other.stderr, new RegExp(`the record has the hash ${hash}, but 0{64} is expected`));
    await editStorage(place, async (storage) => {
      const { items } = await storage.list("/registry/tlsboot/issuedcertificates/");
      for (const { key, revision, object } of items) {
        const { status, spec } = object as IssuedCertificate;
        // A certificate of the server itself would be recorded again.
        if (spec.source !== "ca" && status.seal !== undefined) await storage.delete(key, revision);
      }
    });
    const cut = await verifyWhileRunning(place, ["--expect", expected]);
    assert.equal(cut.code, 1, cut.stdout);
    assert.match(cut.stderr, new RegExp(`the register is not intact at record ${objectRef.name}`));
    await place.refuse(2, "verify", "certificates", "--expect", "7");
  });
});
