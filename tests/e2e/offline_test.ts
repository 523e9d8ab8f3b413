/** Tests `--offline` and `tlsboot sign FOLDER`, which exchange files through a folder on a USB stick. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createSystemRandom } from "../../cli/system.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import { encodeMachineRequest, readAnswers, readRequests } from "../../core/offline/bundle.ts";
import { encodeCertificates } from "../../core/pki/x509/ca_bundle.ts";
import type { Finished } from "../support/child.ts";
import { createFakeClock, type FakeClock } from "../support/fake_clock.ts";
import { getRecordedSerial } from "../support/issued_records.ts";
import { createRunner } from "../support/run_captured.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";
import { formatInventory } from "../support/test_profiles.ts";

const SERVER = "https://10.0.0.1:6443";
const INVENTORY = formatInventory("- { name: n1, dns: [n1], ips: [10.0.0.11] }");
const PROFILE = `apiVersion: tlsboot/v1alpha1
kind: SigningProfile
signerName: example.com/web
names: { dns: { allowed: ["*.home.arpa"] } }
usages: { allowed: [digital signature, server auth], default: [server auth] }
lifetime: { max: 720h, min: 1h }
`;

interface Place extends AsyncDisposable {
  readonly folder: TempFolder;
  readonly clock: FakeClock;
  tlsboot(args: string, stdin?: string): Promise<Finished>;
  /** Runs the command of a machine. */
  machine(name: string, more?: string): Promise<Finished>;
  read(path: string): Promise<string>;
}

/** Creates a CA in `ca`, another in `other`, and an empty folder `stick`. */
async function createPlace(): Promise<Place> {
  const folder = await createTempFolder();
  const clock = createFakeClock(new Date());
  const run = createRunner(folder.path, { clock, random: createSystemRandom() });
  const tlsboot = (line: string, stdin?: string) => run(line, stdin === undefined ? {} : { isTerminal: true, stdin });
  for (const ca of ["ca", "other"]) await run.succeed(`ca init --data-dir ${ca}`);
  await writeFile(folder.join("inventory.yaml"), INVENTORY);
  await writeFile(folder.join("web.yaml"), PROFILE);
  await mkdir(folder.join("stick"));
  return {
    folder,
    clock,
    tlsboot,
    machine: (name, more = "") =>
      tlsboot(
        `bootstrap --offline stick --kubeconfig ${name}/kubeconfig --cert-dir ${name}/pki --hostname-override ${name}${more}`,
      ),
    read: (path) => readFile(folder.join(path), "utf8"),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function readCertificate(place: Place, machine = "n1"): Promise<X509Certificate> {
  return new X509Certificate(await place.read(`${machine}/pki/kubelet-client-current.pem`));
}

function assertRun(run: Finished, code: number, stdout: RegExp, stderr = /^/): void {
  assert.equal(run.code, code, `${run.stdout}${run.stderr}`);
  assert.match(run.stdout, stdout);
  assert.match(run.stderr, stderr);
}

test("offline: a machine requests, a person signs on a terminal, the machine stores the certificate; each step can be repeated", async () => {
  await using place = await createPlace();
  const { tlsboot, machine } = place;
  assertRun(
    await machine("n1"),
    0,
    /^request written: stick\/n1\.request\.pem\n$/,
    /tlsboot sign stick\n.*bootstrap --offline /,
  );
  const request = await place.read("stick/n1.request.pem");
  assertRun(await machine("n1"), 3, /^no answer yet to the request stick\/n1\.request\.pem\n$/);
  assert.equal(await place.read("stick/n1.request.pem"), request);
  const sign = `sign stick --data-dir ca --server ${SERVER}`;
  assertRun(await tlsboot(sign, "n\n"), 3, /^n1\.request\.pem: declined; the next run asks again\n$/);
  const words = new RegExp(
    [
      "machine n1 requests its client certificate",
      "Signer: +kubernetes\\.io/kube-apiserver-client-kubelet",
      "Subject: +CN=system:node:n1,O=system:nodes",
      "Names: +none",
      "Usages: +digital signature, client auth",
      "Lifetime: +chosen by the signer",
      "Key: +ECDSA P-256, sha256:[0-9a-f]{64}",
      "Requester: +unknown: it has no certificate yet",
      "Verdict: +the signer's rules allow it",
      "Sign it\\? \\[y/N\\]",
    ].join("[^]*"),
  );
  assertRun(await tlsboot(sign, "y\n"), 0, /^n1\.answer\.pem: signed, valid until \S+Z\n$/, words);
  const answer = await place.read("stick/n1.answer.pem");
  const carryBack = /^take the folder back, and run again on each machine the command that made its request\n$/;
  assertRun(await tlsboot(sign), 0, /^n1\.answer\.pem: already signed, valid until \S+Z\n$/, carryBack);
  assert.equal(await place.read("stick/n1.answer.pem"), answer);
  const done = await machine("n1");
  assertRun(
    done,
    0,
    /certificate of n1 issued[^]*kubeconfig: n1\/kubeconfig\n$/,
    /its hash with the output of tlsboot ca show/,
  );
  const hash = done.stderr.match(/sha256:\w+/)?.[0] ?? "none";
  assert.ok((await tlsboot("ca show --data-dir ca")).stdout.includes(hash));
  const kubeconfig = await place.read("n1/kubeconfig");
  assert.ok(kubeconfig.includes(`server: ${SERVER}\n`));
  const ca = await place.read("ca/pki/ca.crt");
  assert.ok(kubeconfig.includes(Buffer.from(ca).toString("base64")));
  const certificate = await readCertificate(place);
  assert.ok(certificate.verify(new X509Certificate(ca).publicKey));
  assertRun(await machine("n1"), 0, /^nothing to do: n1\/kubeconfig of system:node:n1 is valid until/, /^$/);
  const records = (await place.read("ca/issued.jsonl")).trim().split("\n").map((line) => JSON.parse(line).spec);
  assert.equal(records.length, 1);
  const [{ fingerprint, request: asked, requester, approval, source }] = records;
  assert.equal(fingerprint, certificate.fingerprint256.replaceAll(":", "").toLowerCase());
  assert.equal(asked.name, "n1");
  assert.deepEqual([requester.username, approval.reason, source], ["system:anonymous", "OfflineApproved", "sign"]);
});

test("offline: without a terminal, only --yes or a rule signs, and a machine renews with its own key", async () => {
  await using place = await createPlace();
  const { tlsboot, machine, clock } = place;
  await machine("n1", " --serving --serving-ip 10.0.0.11");
  await machine("n2");
  assertRun(await tlsboot("sign stick --data-dir ca"), 3, /n1\.request\.pem: there is no terminal to ask on;/);
  const rules = `sign stick --data-dir ca --server ${SERVER} --policy kubelet-serving --inventory inventory.yaml`;
  const first = await tlsboot(rules);
  assertRun(first, 3, /^n1\.answer\.pem: signed, [^]*^n2\.request\.pem: no rule approves it: machine n2 is not in/m);
  assert.match(
    first.stdout,
    /^n1_serving\.request\.pem: no rule approves it: /m,
    "nothing proves that the machine is n1",
  );
  await machine("n1", " --serving --serving-ip 10.0.0.11");
  assertRun(
    await tlsboot(rules),
    3,
    /^n1_serving\.answer\.pem: signed, /m,
    /Requester: +holder of certificate [0-9a-f]+, .*, proved by its key/,
  );
  assertRun(
    await machine("n1", " --serving --serving-ip 10.0.0.11"),
    0,
    /serving certificate of n1, 10\.0\.0\.11 issued/,
  );
  const log = (await place.read("ca/issued.jsonl")).trim().split("\n");
  // Rate limits count records by this reason.
  assert.equal(JSON.parse(log.at(-1) ?? "").spec.approval.reason, "PolicyApproved:kubelet-serving/kubelet-serving");

  const before = await readCertificate(place);
  await clock.advance(300 * DAY_MS);
  assertRun(await machine("n1"), 0, /^request written: stick\/n1\.request\.pem\n$/);
  assert.equal((await readCertificate(place)).serialNumber, before.serialNumber, "the certificate in use stays");
  assertRun(await machine("n1"), 3, /^no answer yet /);
  assert.match(
    (await tlsboot("doctor n1")).stdout,
    / is valid until \S+Z; the request for the next one is waiting: tlsboot bootstrap --offline /,
  );
  assertRun(await tlsboot(rules), 3, /^n1\.answer\.pem: signed, /m);
  const kubeconfig = await place.read("n1/kubeconfig");
  assertRun(await machine("n1"), 0, /certificate of n1 issued/, /^$/);
  assert.notEqual((await readCertificate(place)).serialNumber, before.serialNumber);
  assert.equal(await place.read("n1/kubeconfig"), kubeconfig);
  assertRun(await machine("n1"), 0, /^nothing to do: /);

  for (const file of ["n1.request.pem", "n1.answer.pem"]) await rm(place.folder.join("stick", file));
  await tlsboot("bootstrap --offline stick --kubeconfig t/k --cert-dir t/pki --hostname-override n1");
  assertRun(
    await tlsboot(rules),
    3,
    /^n1\.request\.pem: no rule approves it: n1 already has a certificate until/m,
    /Warning: +n1 already has a certificate until \S+Z; another machine may be claiming its name/,
  );
});

test("offline: a rule signs only the first of two requests for one machine's name", async () => {
  await using place = await createPlace();
  const { tlsboot, machine, folder } = place;
  await machine("n1");
  await rename(folder.join("stick/n1.request.pem"), folder.join("first"));
  await tlsboot("bootstrap --offline stick --kubeconfig t/k --cert-dir t/pki --hostname-override n1");
  const second = readRequests(await place.read("stick/n1.request.pem"));
  const [request] = second.ok ? second.value.requests : [];
  assert.ok(request !== undefined);
  const renamed = await encodeMachineRequest({ ...request, name: "other" }, { site: [], requester: undefined });
  await writeFile(folder.join("stick/other.request.pem"), renamed);
  await rename(folder.join("first"), folder.join("stick/n1.request.pem"));
  const run = await tlsboot(`sign stick --data-dir ca --server ${SERVER} --inventory inventory.yaml`);
  assertRun(run, 3, /^n1\.answer\.pem: signed, [^]*^other\.request\.pem: no rule approves it: n1 already has/m);
});

test("offline: truncated, altered and swapped files are reported, and other requests are answered", async () => {
  await using place = await createPlace();
  const { tlsboot, machine, folder } = place;
  for (const name of ["n1", "n2", "n3", "n4"]) await machine(name);
  const edit = async (file: string, change: (text: string) => string): Promise<void> =>
    await writeFile(folder.join("stick", file), change(await place.read(`stick/${file}`)));
  await edit("n2.request.pem", (text) => text.slice(0, 300));
  await edit("n3.request.pem", (text) => text.replace("client auth", "server auth"));
  await rename(folder.join("stick/n4.request.pem"), folder.join("stick/n5.request.pem"));
  const signed = await tlsboot(`sign stick --data-dir ca --server ${SERVER} --yes`);
  assertRun(signed, 1, /^n1\.answer\.pem: signed, .*\n$/);
  assert.match(signed.stderr, /cannot sign ".*n2\.request\.pem": part 2 of 2 is cut off: "n2"/);
  assert.match(
    signed.stderr,
    /cannot sign ".*n3\.request\.pem": part 2 of 2 is altered: its checksum does not match: "n3"/,
  );
  assert.match(signed.stderr, /cannot sign ".*n5\.request\.pem": it is the request "n4", under another name/);
  assertRun(
    await machine("n2"),
    1,
    /^$/,
    /cannot write the request .*: part 2 of 2 is cut off.*\n.*hint: .* remove it/,
  );
  await edit("n2.request.pem", () => "");
  assertRun(await machine("n2"), 0, /^request written/, /^carry/);
  assert.equal((await tlsboot("sign stick --data-dir ca --yes")).code, 1);

  const good = await place.read("stick/n1.answer.pem");
  for (
    const [what, change, fault] of [
      ["cut", (text: string) => text.slice(0, 900), /n1\.answer\.pem": part 1 of 2 is cut off/],
      ["altered", (text: string) => text.replace("10.0.0.1", "10.0.0.2"), /n1\.answer\.pem": part 1 of 2 is altered/],
    ] as const
  ) {
    await edit("n1.answer.pem", change);
    assertRun(await machine("n1"), 1, /^$/, fault);
    assertRun(await tlsboot("sign stick --data-dir ca"), 1, /^n1\.answer\.pem: already signed/m);
    assert.equal(await place.read("stick/n1.answer.pem"), good, what);
  }
  await writeFile(folder.join("stick/n1.answer.pem"), await place.read("stick/n2.answer.pem"));
  assertRun(await machine("n1"), 1, /^$/, /it is for "CN=system:node:n2,O=system:nodes", but this machine requested/);
  await writeFile(folder.join("stick/n1.answer.pem"), good);
  const twin = "bootstrap --offline stick --kubeconfig t/k --cert-dir t/pki --hostname-override n1";
  assertRun(await tlsboot(twin), 1, /^$/, /it is for another key, sha256:/);
  await rm(folder.join("stick/n1.answer.pem"));
  assertRun(
    await tlsboot(twin),
    1,
    /^$/,
    /cannot write the request ".*n1\.request\.pem": there is one for another key/,
  );
  assertRun(await tlsboot("sign stick --data-dir ca"), 1, /^n1\.answer\.pem: already signed/m);
  assertRun(await machine("n1"), 0, /certificate of n1 issued/);
});

test("offline: answers and requests of another site are refused with both hashes", async () => {
  await using place = await createPlace();
  const { tlsboot, machine } = place;
  const pinOf = async (dataDir: string): Promise<string> =>
    (await tlsboot(`ca show --data-dir ${dataDir}`)).stdout.match(/sha256:\w+/)?.[0] ?? "";
  const [own, foreign] = [await pinOf("ca"), await pinOf("other")];
  await machine("n1", ` --ca-cert-hash ${own}`);
  const refused = await tlsboot("sign stick --data-dir other --yes");
  assertRun(refused, 1, /^$/, /its machine belongs to another site, whose CA is sha256:/);
  assert.ok(refused.stderr.includes(own) && refused.stderr.includes(foreign));
  for (const hash of [foreign, own]) {
    assertRun(await machine("n1", ` --ca-cert-hash ${hash}`), 0, /^request written/, /^carry/);
  }

  await machine("n2");
  await tlsboot(`sign stick --data-dir other --server ${SERVER} --yes`);
  assertRun(
    await machine("n2", ` --ca-cert-hash ${own}`),
    1,
    /^$/,
    new RegExp(`its CA is ${foreign}, but this machine expects ${own}`),
  );
  assertRun(await machine("n2"), 0, /certificate of n2 issued/);
  await place.clock.advance(300 * DAY_MS);
  await machine("n2");
  const renewal = readRequests(await place.read("stick/n2.request.pem"));
  assert.ok(renewal.ok && renewal.value.origin.kind === "machine");
  assert.deepEqual(renewal.value.origin.site, [foreign]);
  assertRun(await tlsboot("sign stick --data-dir ca --yes"), 1, /^n1\.answer/, /belongs to another site/);
});

test("offline: --server on either side completes an answer without a server, and the certificate stays the same", async () => {
  await using place = await createPlace();
  const { tlsboot, machine } = place;
  for (const name of ["n1", "n2"]) await machine(name);
  await tlsboot("sign stick --data-dir ca --yes");
  for (const name of ["n1", "n2"]) {
    assertRun(
      await machine(name),
      1,
      /^$/,
      /cannot write kubeconfig ".*": the answer does not say where the API server/,
    );
  }
  assertRun(await machine("n1", ` --server ${SERVER}`), 0, /certificate of n1 issued/);
  assertRun(await tlsboot(`sign stick --data-dir ca --server ${SERVER}`), 0, /^n1\.answer\.pem: already signed/);
  assertRun(await machine("n2"), 0, /certificate of n2 issued/);
  for (const name of ["n1", "n2"]) assert.ok((await place.read(`${name}/kubeconfig`)).includes(`server: ${SERVER}\n`));
  assert.equal((await place.read("ca/issued.jsonl")).trim().split("\n").length, 2);
});

test("offline: request gets a certificate from a custom signer, and renews it when it is due", async () => {
  await using place = await createPlace();
  const { tlsboot, folder, clock } = place;
  const ask = "request --signer example.com/web --dns printer.home.arpa --out web --offline stick";
  const sign = "sign stick --data-dir ca --profile web.yaml --yes";
  assertRun(await tlsboot(ask), 0, /^request written: stick\/printer-home-arpa-[0-9a-f]+\.request\.pem\n$/);
  assertRun(await tlsboot(ask), 3, /^no answer yet/);
  assertRun(
    await tlsboot(sign),
    0,
    /signed, valid until/,
    /a certificate of example\.com\/web[^]*Names: +printer\.home\.arpa/,
  );
  assertRun(await tlsboot(ask), 0, /certificate of printer\.home\.arpa issued[^]*key: web\/tls\.key/);
  assertRun(await tlsboot(ask), 0, /^nothing to do: /);
  await clock.advance(29 * DAY_MS);
  assertRun(await tlsboot(ask), 0, /^request written/);
  assertRun(await tlsboot(sign), 0, /^printer-home-arpa-[0-9a-f]+\.answer\.pem: signed, valid until .*\n$/);
  assertRun(await tlsboot(ask), 0, /certificate of printer\.home\.arpa issued/);
  assert.equal((await readdir(folder.join("stick"))).length, 2, "a renewal replaces the files");

  const denied = "request --signer example.com/web --dns db.example.org --out db --offline stick";
  await tlsboot(denied);
  assertRun(
    await tlsboot(sign),
    3,
    /^db-example-org-\w+\.answer\.pem: refused: DNS subjectAltName is/m,
  );
  assertRun(await tlsboot(denied), 3, /^$/, /cannot get a certificate for "db-example-org-\w+": the CA refused it at/);
  const unruled = await tlsboot("sign stick --data-dir ca --yes");
  assertRun(
    unruled,
    1,
    /^printer-home-arpa-\w+\.answer\.pem: already signed, .*\n$/,
    /it is not one of Kubernetes' signers/,
  );
});

test("offline: an expired answer is not signed again, and the machine explains how to make a new request", async () => {
  await using place = await createPlace();
  const { tlsboot, machine, clock } = place;
  await machine("n1");
  await tlsboot(`sign stick --data-dir ca --server ${SERVER} --yes`);
  await clock.advance(366 * DAY_MS);
  assertRun(
    await tlsboot("sign stick --data-dir ca --yes"),
    0,
    /^n1\.request\.pem: signed before, expired at \S+; the machine/,
  );
  assertRun(
    await tlsboot("sign stick/n1.request.pem --data-dir ca"),
    3,
    /^$/,
    /n1\.request\.pem: signed before, expired at/,
  );
  const late = await machine("n1");
  assertRun(late, 1, /^$/, /it expired at \S+, and this machine's clock says [^]*otherwise remove its key: rm /);
  await rm(place.folder.join("n1/pki/kubelet-client.key.tmp"));
  assertRun(await machine("n1"), 0, /^request written/);
  assertRun(await tlsboot("sign stick --data-dir ca --yes"), 0, /^n1\.answer\.pem: signed, /);
  assertRun(await machine("n1", ` --server ${SERVER}`), 0, /certificate of n1 issued/);
});

test("offline: a machine gets a new CA with its next certificate, because the old CA vouches for it", async () => {
  await using place = await createPlace();
  const { tlsboot, machine, clock } = place;
  const rotate = (step: string): Promise<Finished> =>
    tlsboot(`ca rotate ${step} --ca-cert ca/pki/ca.crt --issued-log ${place.folder.join("ca/issued.jsonl")}`);
  const sign = `sign stick --data-dir ca --server ${SERVER} --policy inventory-only --inventory inventory.yaml`;
  const readCas = async (): Promise<readonly string[]> => {
    const [, base64 = ""] = /certificate-authority-data: (\S+)/.exec(await place.read("n1/kubeconfig")) ?? [];
    const text = Buffer.from(base64, "base64").toString();
    return text.match(/-----BEGIN[^]*?END CERTIFICATE-----\n/g) ?? [];
  };
  const oldCa = await place.read("ca/pki/ca.crt");
  await machine("n1");
  await tlsboot(sign);
  assertRun(await machine("n1"), 0, /certificate of n1 issued/);
  assert.deepEqual(await readCas(), [oldCa]);
  assertRun(await rotate("begin"), 0, /next-ca/);
  assertRun(await rotate("switch"), 0, /the new CA signs/);
  const newCa = await place.read("ca/pki/ca.crt");
  assert.notEqual(newCa, oldCa);

  await clock.advance(2 * DAY_MS);
  const before = await readCertificate(place);
  await machine("n1", " --renew-before 364d");
  assertRun(await tlsboot(sign), 0, /^n1\.answer\.pem: signed, /, /holder of certificate .*, proved by its key/);
  assertRun(await machine("n1"), 0, /certificate of n1 issued/, /^$/);
  assert.notEqual((await readCertificate(place)).serialNumber, before.serialNumber);
  assert.ok((await readCertificate(place)).verify(new X509Certificate(newCa).publicKey));
  assert.deepEqual(await readCas(), [newCa, oldCa]);

  assertRun(await rotate("finish"), 0, /^/);
  await clock.advance(2 * DAY_MS);
  await machine("n1", " --renew-before 364d");
  await tlsboot(sign);
  assertRun(await machine("n1"), 0, /certificate of n1 issued/);
  assert.deepEqual(await readCas(), [newCa]);
});

test("offline: with a CA for each purpose, a machine proves itself with its client certificate and renews", async () => {
  await using place = await createPlace();
  const { tlsboot, machine, clock } = place;
  assert.equal((await tlsboot("ca init --data-dir split --split")).code, 0);
  const serving = " --serving --serving-ip 10.0.0.11";
  const sign = `sign stick --data-dir split --server ${SERVER} --policy kubelet-serving --inventory inventory.yaml`;
  await machine("n1");
  assertRun(await tlsboot(sign), 0, /^n1\.answer\.pem: signed, /);
  assertRun(
    await machine("n1", serving),
    0,
    /certificate of n1 issued[^]*request written: stick\/n1_serving\.request\.pem/,
  );
  assertRun(await tlsboot(sign), 0, /^n1_serving\.answer\.pem: signed, /m, /proved by its key/);
  assertRun(await machine("n1", serving), 0, /serving certificate of n1, 10\.0\.0\.11 issued/);
  const kubeconfig = await place.read("n1/kubeconfig");
  assert.ok(kubeconfig.includes(Buffer.from(await place.read("split/pki/ca.crt")).toString("base64")));
  await clock.advance(300 * DAY_MS);
  assertRun(await machine("n1"), 0, /^request written/);
  assertRun(await tlsboot(sign), 0, /^n1\.answer\.pem: signed, /m);
  assertRun(await machine("n1"), 0, /certificate of n1 issued/, /^$/);
});

test("offline: an answer kept by an earlier build is converted to the new format, not signed again", async () => {
  await using place = await createPlace();
  const { tlsboot, machine, folder } = place;
  await machine("n1");
  await tlsboot(`sign stick --data-dir ca --server ${SERVER} --yes`);
  const kept = readAnswers(await place.read("stick/n1.answer.pem"));
  const [answer] = kept.ok ? kept.value.answers : [];
  assert.ok(kept.ok && answer?.outcome.kind === "issued");
  const keepFormer = (certificates: string): Promise<void> =>
    writeFile(
      folder.join(`ca/issued.answers/${answer.id}.pem`),
      "tlsboot certificate answer\nName: n1\nVerdict: signed\nChecksum: AAAAAAAA\n\n" +
        `# certificate, and the intermediates behind it\n${certificates}# CA that answers\n${certificates}# end\n`,
    );
  await rm(folder.join("stick/n1.answer.pem"));
  await keepFormer(await place.read("other/pki/ca.crt"));
  assertRun(await tlsboot("sign stick --data-dir ca"), 1, /^$/, /cannot answer "n1" again: .* for a former CA\n/);
  await keepFormer(encodeCertificates(answer.outcome.chain));
  assertRun(await tlsboot(`sign stick --data-dir ca --server ${SERVER}`), 0, /^n1\.answer\.pem: already signed, /);
  assertRun(await machine("n1"), 0, /certificate of n1 issued/);
  assert.equal(getRecordedSerial(await readCertificate(place)), answer.outcome.chain[0]?.serialNumber);
  assert.equal((await place.read("ca/issued.jsonl")).trim().split("\n").length, 1);
});

test("offline: a machine's request can be signed as a file, and a server does not import its answer", async () => {
  await using place = await createPlace();
  const { tlsboot, machine } = place;
  await machine("n1");
  const sign = `sign stick/n1.request.pem --data-dir ca --server ${SERVER} --out stick/n1.answer.pem`;
  assertRun(await tlsboot(sign), 3, /^$/, /nothing is signed: there is no terminal to ask on; sign it on a terminal/);
  const twice = "sign stick/n1.request.pem stick/n1.request.pem --data-dir ca --signer kubernetes.io/kubelet-serving";
  assertRun(await tlsboot(twice), 1, /^$/, /cannot sign "stick\/n1\.request\.pem" with other files: it is a bundle\n/);
  assertRun(await tlsboot(`${sign} --yes`), 0, /^$/, /machine n1 requests its client certificate/);
  assertRun(
    await tlsboot("offline import stick/n1.answer.pem --data-dir ca"),
    1,
    /^$/,
    /it answers the request of a machine, not an export/,
  );
  assertRun(await machine("n1"), 0, /certificate of n1 issued/);
});

test("offline: unsuitable flags are refused with the reason", async () => {
  await using place = await createPlace();
  const { tlsboot, machine } = place;
  for (
    const [args, fault] of [
      ["sign stick --data-dir ca --out x", /--out: not for a folder/],
      ["sign stick web.yaml --data-dir ca", /is a folder: give one folder alone/],
      ["sign web.yaml --data-dir ca --yes", /--yes: only for a folder/],
      ["sign stick --cluster-signing-cert-file a --cluster-signing-key-file b", /--issued-log is required/],
      ["request --signer a.b/c --dns x.y --out o --ca-cert-hash sha256:" + "0".repeat(64), /needs --offline/],
    ] as const
  ) {
    await machine("n1");
    assertRun(await tlsboot(args), 2, /^$/, fault);
  }
  assertRun(
    await machine("n1", " --rotate-certificates"),
    2,
    /^$/,
    /--offline and --rotate-certificates exclude each other\n.*run the same command again for each step/,
  );
  await rm(place.folder.join("stick"), { recursive: true });
  assertRun(await machine("n1"), 1, /^$/, /cannot use ".*stick" as the stick: no such folder/);
  assertRun(
    await tlsboot("sign nowhere --data-dir ca --signer example.com/x"),
    2,
    /^$/,
    /is not a signer of Kubernetes/,
  );
});
