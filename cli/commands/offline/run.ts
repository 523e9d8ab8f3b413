/**
 * Carries requests to a CA without a network: exports approved requests without certificates as a bundle, signed with the
 * key of `--bundle-key`, and imports the answers.
 */
import { findCondition, getCsrPhase } from "../../../core/request/phase.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { formatTime, getName } from "../../../core/kube/meta.ts";
import {
  type AnswerBundle,
  encodeExport,
  MAX_BUNDLE_ITEMS,
  type OfflineRequest,
  type OfflineRequester,
  readAnswers,
  type RequestAnswer,
} from "../../../core/offline/bundle.ts";
import { createCaKey, generatePrivateKey, parsePrivateKey, type PrivateKey } from "../../../core/pki/keys/keys.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { EXIT, type ExitCode, UsageError } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError, warn } from "../../framework/report.ts";
import type { Io, Tools } from "../../io.ts";
import { openBundleText, readBundleText, writeQrPages } from "../../offline_files.ts";
import { line } from "../../../core/lib/printable.ts";
import type { exportCsrCommand, importCsrCommand } from "./flags.ts";
import { encodeHex } from "../../../core/lib/encodings.ts";
import { connect } from "../../connection.ts";
import {
  chooseRequest,
  CSR_QUALIFIED_KIND,
  csrPath,
  filterShortened,
  listCsrs,
  parseCsrNames,
} from "../../../client/admin/csrs.ts";
import { type ApiConnection, changeObject } from "../../../client/objects/api.ts";
import { readCa } from "../../../client/transport/connect.ts";
import type { ConfigMap } from "../../../core/kube/kinds/core_v1.ts";
import { decideImport, findUntrustedAuthorities, type ImportContext } from "../../../core/offline/accept_answer.ts";
import { listBundled } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { createImporterManifest } from "../../../core/signing/signer_rbac.ts";
import { BUILTIN_SIGNERS } from "../../../core/signing/profile.ts";
import { formatYamlManifest } from "../../output/structured.ts";
import { CLIENT_CA_PATH } from "../../../client/objects/read_client_trust.ts";
import { unlessAbsent } from "../../../client/admin/records.ts";
import { dirname, join, resolve } from "node:path";
import { type FilePort, SECRET_MODE } from "../../../client/files.ts";
import { checkPrivateFile } from "../../../client/private_file.ts";
import { dataDirAt } from "../../../instance/data_dir.ts";

const ID_BYTES = 16;

export async function runExport(input: Input<typeof exportCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { args, settings } = input;
  const names = parseCsrNames(args);
  const { files, signal } = tools;
  await using connection = await connect(settings, tools);
  const { items } = await listCsrs(connection.api, { labelSelector: settings.selector }, signal);
  const chosen = chooseRequests(items, names, settings.signer, tools);
  if (chosen.length === 0) {
    tools.stderr.write("nothing to export: no matching request is approved and without a certificate\n");
    return EXIT.no;
  }
  if (chosen.length > MAX_BUNDLE_ITEMS) {
    throw new AppError("invalid", `cannot export ${chosen.length} requests at once: the limit is ${MAX_BUNDLE_ITEMS}`, {
      hint: "export them in several bundles, with --signer, --selector or names",
    });
  }
  const { key, isNew } = await openBundleKey(getBundleKeyPath(settings, tools.cwd), files);
  const id = encodeHex(tools.random.bytes(ID_BYTES));
  const createdAt = formatTime(tools.clock.now());
  const { server } = connection.cluster;
  const text = await encodeExport({ id, createdAt, server }, chosen, createCaKey(key));
  tools.stdout.write(text);
  if (settings.qr !== undefined) {
    const facts = [["Server", server], ["Exported", createdAt], ["Export", id]] as const;
    const names = chosen.map(({ name }) => name);
    await writeQrPages(settings.qr, { kind: "requests", text, id, facts, names }, tools);
  }
  const count = chosen.length === 1 ? "1 request" : `${chosen.length} requests`;
  tools.stderr.write(line`exported ${count} as ${id}\n`);
  const pin = publicKeyPin({ publicKeyDer: key.publicKeyDer() });
  if (isNew) {
    tools.stderr.write(
      `it is signed with a new key; trust this key once at the CA with: tlsboot sign FILE --trust-exporter ${pin}\n`,
    );
  }
  return EXIT.done;
}

/** Chooses the requests to export, sorted by name. Throws AppError if a request in the arguments cannot be exported. */
function chooseRequests(
  items: readonly CertificateSigningRequest[],
  names: readonly string[],
  signerNames: readonly string[],
  io: Pick<Io, "stderr" | "env">,
): readonly OfflineRequest[] {
  const byName = new Map(items.map((csr) => [getName(csr), csr]));
  const chosen: OfflineRequest[] = [];
  for (const name of names.length > 0 ? new Set(names) : [...byName.keys()].sort()) {
    const csr = byName.get(name) ?? chooseRequest(name, filterShortened(name, items));
    const fault = csr === undefined ? "no matching request has this name" : findExportFault(csr, signerNames);
    const approval = csr === undefined ? undefined : findCondition(csr, "Approved");
    if (csr === undefined || approval === undefined || fault !== undefined) {
      if (names.length === 0) continue;
      throw new AppError("invalid", `cannot export "${name}": ${fault}`, { hint: "see: tlsboot get csr" });
    }
    const facts = parseRequest(csr.spec.request);
    const { signerName, usages = [], expirationSeconds, username, uid, groups, extra } = csr.spec;
    if (facts.ok) {
      const fields = Object.entries({ username, uid, groups, extra }).filter(([, value]) => value !== undefined);
      const requester: OfflineRequester = Object.fromEntries(fields);
      const approved = { uid: csr.metadata.uid ?? "", requester, approval };
      chosen.push({ name: getName(csr), facts: facts.value, signerName, usages, expirationSeconds, approved });
    } else warn(`"${name}" is not exported, because no signer can read it: ${facts.error}`, io);
  }
  return chosen;
}

function findExportFault(csr: CertificateSigningRequest, signerNames: readonly string[]): string | undefined {
  const { signerName } = csr.spec;
  if (signerNames.length > 0 && !signerNames.includes(signerName)) return `it is for the signer "${signerName}"`;
  const { kind } = getCsrPhase(csr);
  if (kind === "approved") return undefined;
  return kind === "pending" ? "it is not approved" : kind === "issued" ? "it has its certificate" : `it is ${kind}`;
}

type Settings = Input<typeof importCsrCommand.flags>["settings"];

/** The number of answers that are written at the same time. */
const PARALLEL = 8;

export async function runImportAnswers(input: Input<typeof importCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { signal } = tools;
  const { args: [file = ""], settings } = input;
  if (settings.printRbac) {
    const names = settings.signer.length > 0 ? settings.signer : [...BUILTIN_SIGNERS.keys()];
    tools.stdout.write(formatYamlManifest(createImporterManifest(names)));
    return EXIT.done;
  }
  const bundle = openBundleText("answers", readAnswers, await readBundleText(file, tools), file);
  await checkExport(bundle, file, settings, tools);
  await using connection = await connect(settings, tools);
  await checkAuthorities(bundle, file, settings, connection, tools);
  const { items } = await listCsrs(connection.api, {}, signal);
  const importing: Importing = {
    connection,
    requests: new Map(items.map((csr) => [getName(csr), csr])),
    context: { authorities: bundle.authorities, failRefused: !settings.leaveRefused, now: tools.clock.now() },
    tools,
  };
  const counts = await importAll(bundle.answers, importing);
  return report(counts, file, tools);
}

/** Throws AppError `csr_denied` for the answers to an export of another installation, which is signed with another key. */
async function checkExport(
  { export: exported }: AnswerBundle,
  file: string,
  settings: Settings,
  { files, cwd }: Tools,
): Promise<void> {
  if (exported === undefined) {
    throw new AppError("invalid", `cannot import "${file}": it answers the request of a machine, not an export`, {
      hint: "take it to that machine, and run the command that made the request again",
    });
  }
  const { exporter, server, createdAt, id } = exported;
  const path = getBundleKeyPath(settings, cwd);
  const key = await readBundleKey(path, files);
  if (key === undefined) {
    throw new AppError("not_found", `cannot check whose requests "${file}" answers: there is no key "${path}"`, {
      hint: `give the key that signed export ${id} of ${createdAt} with --bundle-key`,
    });
  }
  const own = publicKeyPin({ publicKeyDer: key.publicKeyDer() });
  if (own === exporter) return;
  throw new AppError(
    "csr_denied",
    `cannot import "${file}": it answers an export of another installation, of ${server} on ${createdAt}; ` +
      `${exporter} signed that export, and the key here is ${own}`,
    { hint: "import it where it was exported, or give the key that signed the export with --bundle-key" },
  );
}

/** Throws AppError `csr_denied` when a CA that signed the answers is not trusted. */
async function checkAuthorities(
  { authorities }: AnswerBundle,
  file: string,
  settings: Settings,
  connection: ApiConnection,
  tools: Tools,
): Promise<void> {
  const pins: ReadonlySet<string> = new Set(settings.trustSigner);
  const roots = settings.trustSigner.length > 0 ? [] : await findTrustedCas(connection, tools);
  const [unknown] = findUntrustedAuthorities(authorities, { pins, roots });
  if (unknown === undefined) return;
  const pin = publicKeyPin(unknown);
  throw new AppError(
    "csr_denied",
    `cannot import "${file}": it is signed by the CA "${
      formatName(unknown.subject)
    }", which this installation does not trust`,
    { hint: `compare its key with tlsboot ca show at the CA; if it is the same: --trust-signer ${pin}` },
  );
}

/** Finds the CA in the kubeconfig, and the CAs that the API server trusts for clients if the user may read them. */
async function findTrustedCas(
  { api, cluster }: ApiConnection,
  { files, signal }: Tools,
): Promise<readonly CertificateFacts[]> {
  const texts = cluster.ca === undefined ? [] : [await readCa(cluster.ca, files)];
  const published = await unlessAbsent(api.requestObject<ConfigMap>({ method: "GET", path: CLIENT_CA_PATH }, signal));
  texts.push(published?.data?.["client-ca-file"] ?? "");
  return texts.flatMap(listBundled);
}

interface Importing {
  readonly connection: ApiConnection;
  /** The requests by name, as they were when the import started. */
  readonly requests: ReadonlyMap<string, CertificateSigningRequest>;
  readonly context: ImportContext;
  readonly tools: Tools;
}

type Counts = Record<"issued" | "failed" | "imported" | "left" | "unusable", number>;

async function importAll(answers: readonly RequestAnswer[], importing: Importing): Promise<Counts> {
  const counts: Counts = { issued: 0, failed: 0, imported: 0, left: 0, unusable: 0 };
  const waiting = answers.values();
  const work = async (): Promise<void> => {
    for (const answer of waiting) {
      importing.tools.signal.throwIfAborted();
      counts[await importOne(answer, importing)] += 1;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return counts;
}

async function importOne(
  answer: RequestAnswer,
  { connection: { api }, requests, context, tools }: Importing,
): Promise<keyof Counts> {
  const { name } = answer;
  const known = requests.get(name);
  let decision = decideImport(undefined, answer, context);
  const change = (csr: CertificateSigningRequest): CertificateSigningRequest | undefined => {
    decision = decideImport(csr, answer, context);
    return decision.kind === "write" ? decision.csr : undefined;
  };
  try {
    const target = { path: csrPath(name), subresource: "/status", known };
    if (known !== undefined) await changeObject(api, target, change, tools.signal);
  } catch (error) {
    if (!isAppError(error, "conflict", "invalid", "access_denied", "not_found")) throw error;
    reportError(error, tools, tools.isDebug);
    return "unusable";
  }
  if (decision.kind === "write") {
    tools.stdout.write(line`${CSR_QUALIFIED_KIND}/${name} ${decision.outcome}\n`);
    return decision.outcome;
  }
  if (decision.kind === "left") {
    tools.stderr.write(line`${CSR_QUALIFIED_KIND}/${name} stays as it is: ${decision.message}\n`);
  } else if (decision.kind === "unusable") {
    const message = `cannot import the answer to "${name}": ${decision.message}`;
    reportError(new AppError("invalid", message), tools, tools.isDebug);
  }
  return decision.kind;
}

function report(counts: Counts, file: string, io: Io): ExitCode {
  const { issued, failed, imported, left, unusable } = counts;
  if (unusable > 0) return EXIT.failed;
  if (issued + failed > 0) {
    if (imported > 0) io.stderr.write(`${imported} of the answers were already imported\n`);
    return EXIT.done;
  }
  if (left > 0 && imported === 0) return EXIT.no;
  io.stderr.write(line`nothing to import: every answer in ${file} was already imported\n`);
  return EXIT.no;
}

interface BundleKeySettings {
  readonly dataDir: string;
  readonly bundleKey: string | undefined;
}

function getBundleKeyPath({ dataDir, bundleKey }: BundleKeySettings, cwd: string): string {
  return bundleKey === undefined ? join(dataDirAt(resolve(cwd, dataDir)).pki, "bundle.key") : resolve(cwd, bundleKey);
}

/** Reads the key; undefined when there is none. Throws AppError `file_permissions`, `key_invalid`. */
async function readBundleKey(path: string, files: FilePort): Promise<PrivateKey | undefined> {
  const pem = await files.readText(path);
  if (pem === undefined) return undefined;
  await checkPrivateFile(path, files);
  const key = parsePrivateKey(pem);
  if (key.ok) return key.value;
  throw new AppError("key_invalid", `cannot use bundle key "${path}": ${key.error}`, {
    hint: "restore it from a backup, because a new key would have to be trusted at the CA",
  });
}

/** Reads the key, or creates it. UsageError when the folder of a new key does not exist. */
async function openBundleKey(
  path: string,
  files: FilePort,
): Promise<{ readonly key: PrivateKey; readonly isNew: boolean }> {
  const present = await readBundleKey(path, files);
  if (present !== undefined) return { key: present, isNew: false };
  if (await files.stat(dirname(path)) === undefined) {
    throw new UsageError(
      `cannot create the key that signs exports: the folder of "${path}" does not exist`,
      "choose another file for it, which is created: --bundle-key bundle.key",
    );
  }
  const key = await generatePrivateKey("ecdsa-p256");
  await files.createExclusive(path, key.toPem(), SECRET_MODE);
  return { key, isNew: true };
}
