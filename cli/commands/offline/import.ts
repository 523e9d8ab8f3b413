/** Imports the answers of a CA without a network into the requests at the API. */
import { changeObject } from "../../../client/objects/api.ts";
import { readCa } from "../../../client/transport/connect.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import type { ConfigMap } from "../../../core/kube/kinds/core_v1.ts";
import { getName } from "../../../core/kube/meta.ts";
import { decideImport, findUntrustedAuthorities, type ImportContext } from "../../../core/offline/accept_answer.ts";
import { type AnswerBundle, readAnswers, type RequestAnswer } from "../../../core/offline/bundle.ts";
import { listBundled } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { publicKeyPin } from "../../../core/pki/keys/public_key_pin.ts";
import { createImporterManifest } from "../../../core/signing/signer_rbac.ts";
import { BUILTIN_SIGNERS } from "../../../core/signing/profile.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import { reportError } from "../../framework/report.ts";
import type { Io, Tools } from "../../io.ts";
import { openBundleText, readBundleText } from "../../offline_files.ts";
import { line } from "../../../core/lib/printable.ts";
import { formatYamlManifest } from "../../output/structured.ts";
import { getBundleKeyPath, readBundleKey } from "./bundle_key.ts";
import type { importCsrCommand } from "./flags.ts";
import { CLIENT_CA_PATH } from "../../../client/objects/read_client_trust.ts";
import type { ApiConnection } from "../../../client/admin/connection.ts";
import { connect } from "../../connection.ts";
import { CSR_QUALIFIED_KIND, csrPath, listCsrs } from "../../../client/admin/csrs.ts";
import { unlessAbsent } from "../../../client/admin/records.ts";

type Settings = Input<typeof importCsrCommand.flags>["settings"];

/** The number of answers that are written at the same time. */
const PARALLEL = 8;

export async function run(input: Input<typeof importCsrCommand.flags>, tools: Tools): Promise<ExitCode> {
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

/** Throws AppError `conflict` for the answers to an export of another installation, which another key has signed. */
async function checkExport(
  { export: exported }: AnswerBundle,
  file: string,
  settings: Settings,
  { files, cwd }: Tools,
): Promise<void> {
  if (exported === undefined) {
    throw new AppError("invalid", `cannot import "${file}": it answers the request of a machine, not an export`, {
      hint: "bring it to that machine, and run there the command that made the request",
    });
  }
  const { exporter, server, createdAt, id } = exported;
  const path = getBundleKeyPath(settings, cwd);
  const key = await readBundleKey(path, files);
  if (key === undefined) {
    throw new AppError("not_found", `cannot check whose requests "${file}" answers: there is no key "${path}"`, {
      hint: `name the key that signed export ${id} of ${createdAt} with --bundle-key`,
    });
  }
  const own = publicKeyPin({ publicKeyDer: key.publicKeyDer() });
  if (own === exporter) return;
  throw new AppError(
    "csr_denied",
    `cannot import "${file}": it answers an export of another installation, of ${server} on ${createdAt}; ` +
      `${exporter} signed that export, and the key here is ${own}`,
    { hint: "import it where it was exported, or name the key that signed the export with --bundle-key" },
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
    `cannot import "${file}": the CA "${
      formatName(unknown.subject)
    }" signed it, which this installation does not trust`,
    { hint: `compare its key with tlsboot ca show at the CA; if it is the same: --trust-signer ${pin}` },
  );
}

/** Finds the CAs that the API server trusts for its clients, as far as the user may read them, and that of the kubeconfig. */
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
  /** The requests at the start, by name. */
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
    if (imported > 0) io.stderr.write(`${imported} of the answers had been imported before\n`);
    return EXIT.done;
  }
  if (left > 0 && imported === 0) return EXIT.no;
  io.stderr.write(line`nothing to import: every answer in ${file} was imported before\n`);
  return EXIT.no;
}
