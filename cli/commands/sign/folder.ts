/** Answers the requests in a folder, such as a USB stick, beside a CA without a network. */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type FilePort, readStickFile } from "../../../client/files.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import { KUBE_APISERVER_CLIENT_KUBELET_SIGNER } from "../../../core/kube/kinds/certificates_v1.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import type { IssuedCertificate, IssuedCertificateApproval } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import {
  encodeOfflineAnswer,
  type OfflineVerdict,
  parseOfflineAnswer,
  toAnswerFileName,
} from "../../../core/offline/answer_file.ts";
import { getOfflineRequester, type OfflineRequester } from "../../../core/offline/judge_request.ts";
import {
  computeRequestId,
  findRequestName,
  type OfflineRequest,
  parseOfflineRequest,
  toRequestFileName,
} from "../../../core/offline/request_file.ts";
import { issuedCertificateKind } from "../../../core/kube/kinds/mod.ts";
import { formatApiVersion } from "../../../core/kube/schema.ts";
import { createRecord, createRecordStatus, describeIssued, formatRecordName } from "../../../core/register/record.ts";
import type { CertificateFacts } from "../../../core/pki/certificate.ts";
import { issueCertificate, SERIAL_BYTES } from "../../../core/pki/issue.ts";
import { parseCaBundle } from "../../../core/pki/ca_bundle.ts";
import { encodeIssued } from "../../../core/pki/authority_chain.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import { type AnsweredRequests, openAnsweredRequests } from "../../authority/answered_requests.ts";
import { FileLock, type IssuedLog } from "../../authority/issued_log.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { reportError, warn } from "../../framework/report.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { PUBLIC_MODE } from "../../instance/data_dir.ts";
import { readPolicies } from "../../instance/policy_files.ts";
import type { PolicySettings } from "../../../controllers/evidence.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import type { SignFlags } from "./flags.ts";
import { decideOfflineRequest } from "./folder_decision.ts";
import {
  type CasAround,
  createSignerOpener,
  type OpenedSigner,
  openSignLog,
  readCasAround,
  readSignRecords,
  type SignerOpener,
  toSignPolicyFlags,
} from "./open_signer.ts";

/** What one run uses for every request. */
interface Desk {
  readonly folder: string;
  readonly settings: Settings<SignFlags>;
  readonly policies: PolicySettings;
  readonly signers: SignerOpener;
  readonly log: IssuedLog;
  readonly logPath: string;
  /** What was signed before, also in this run: two requests for one name must not both pass as the first. */
  readonly records: IssuedCertificate[];
  readonly answered: AnsweredRequests;
  /** Held while answers are kept and recorded: to another run they would look like those of a run that was killed. */
  readonly lock: FileLock;
  readonly files: FilePort;
  readonly io: Io;
}

/** What became of a request. */
type Outcome =
  | { readonly kind: "signed" | "again" | "expired"; readonly leaf: CertificateFacts | undefined }
  | { readonly kind: "refused" | "left"; readonly reason: string };

/** Answers every request in a folder. One that cannot be read or answered does not keep the others from it. */
export async function signFolder(
  { settings, origins, isDebug, args: [folder = ""] }: Pick<
    Input<SignFlags>,
    "settings" | "origins" | "isDebug" | "args"
  >,
  files: FilePort,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  checkFolderSettings(origins);
  const names = await findRequests(resolve(io.cwd, folder));
  if (names.length === 0) {
    throw new AppError("not_found", `cannot sign "${folder}": no file in it is called NAME.request.pem`, {
      hint: "a machine writes one there with: tlsboot bootstrap --offline FOLDER",
    });
  }
  const log = openSignLog(settings, io);
  if (log === undefined) {
    throw new UsageError(
      "--issued-log is required with --cluster-signing-cert-file: each request is signed once",
      "name a file that stays beside the CA",
    );
  }
  using _ = log;
  await log.check();
  using lock = new FileLock(`${log.path}.answers`, io.clock);
  const desk: Desk = {
    folder: resolve(io.cwd, folder),
    settings,
    policies: await readPolicies(toSignPolicyFlags(settings), { files, cwd: io.cwd }),
    signers: await createSignerOpener(settings, files, io, signal),
    log,
    logPath: log.path,
    records: [...await readSignRecords(log.path, files, signal)],
    answered: openAnsweredRequests(log.path, files),
    lock,
    files,
    io,
  };
  const codes = new Set<ExitCode>();
  let answers = 0;
  for (const name of names) {
    try {
      const outcome = await answerRequest(name, desk, signal);
      if (outcome.kind === "signed" || outcome.kind === "again") answers++;
      io.stdout.write(describeOutcome(name, outcome));
      if (outcome.kind === "refused" || outcome.kind === "left") codes.add(EXIT.no);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError)) throw error;
      reportError(error, io, isDebug);
      codes.add(EXIT.failed);
    }
  }
  if (answers > 0) io.stderr.write("carry the folder back, and run there again the command that made each request\n");
  if (codes.has(EXIT.failed)) return EXIT.failed;
  return codes.has(EXIT.no) ? EXIT.no : EXIT.done;
}

/** UsageError for flags that have no meaning for a folder: the requests say it. */
function checkFolderSettings(origins: Input["origins"]): void {
  const given = listTypedFlags(origins, ["trustExporter", "qr", "out", "force", "usage", "duration"]);
  if (given.length === 0) return;
  throw new UsageError(
    `${given.join(", ")}: not for a folder`,
    "the requests in it say what they ask for; their answers are written beside them",
  );
}

async function findRequests(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).flatMap((file) => findRequestName(file) ?? []).sort();
  } catch (cause) {
    throw new AppError("io", `cannot read folder "${folder}": ${getErrorMessage(cause)}`, { cause });
  }
}

async function answerRequest(name: string, desk: Desk, signal: AbortSignal): Promise<Outcome> {
  const { files, folder, answered, io } = desk;
  const request = await readRequest(name, desk);
  const id = computeRequestId(request);
  const { server } = desk.settings;
  const given = findSigned(await answered.find(id));
  if (given !== undefined && given.leaf.notAfter < io.clock.now()) return { kind: "expired", leaf: given.leaf };
  if (given !== undefined && (server === undefined || server === given.server)) {
    await writeAnswer(given.text);
    return { kind: "again", leaf: given.leaf };
  }
  const signer = await desk.signers.open(request.signerName);
  const around = await readCasAround(desk.settings, signer, { files, cwd: io.cwd });
  checkSite(request, signer, around);
  const site = { serverCas: around.server, crossSigned: around.crossSigned, server };
  if (server === undefined && isFirstOfMachine(request)) {
    warn("the answers do not say where the API server is, which a machine's kubeconfig needs: give --server URL", io);
  }
  const answer = (verdict: OfflineVerdict): Promise<string> =>
    encodeOfflineAnswer(request, verdict, site, signer.authority, io.clock.now());
  const earlier = given ?? findSigned(await findEarlier(id, request, signer, desk, signal));
  if (earlier !== undefined) {
    // An answer is signed by the CA that issued its certificate, which may have been replaced since.
    const isOwn = earlier.issuer?.sha256Fingerprint === signer.authority.certificate.sha256Fingerprint;
    const isChanged = server !== undefined && server !== earlier.server && isOwn;
    const text = isChanged ? await answer(earlier.verdict) : earlier.text;
    if (text !== earlier.text) await answered.replace(id, text);
    await writeAnswer(text);
    return { kind: "again", leaf: earlier.leaf };
  }
  const decision = await decideOfflineRequest(name, request, signer, around, desk, signal);
  if (decision.kind === "left") return decision;
  if (decision.kind === "refused") {
    await writeAnswer(await answer(decision));
    return decision;
  }
  const { planned, approval, requester } = decision;
  const der = await issueCertificate(planned.plan, signer.authority, io.random.bytes(SERIAL_BYTES));
  const chain = parseCaBundle(encodeIssued(der, signer.authority, signer.chain));
  if (!chain.ok) throw new AppError("internal", `cannot read back a certificate: ${chain.error}`);
  const text = await answer({ kind: "signed", chain: chain.value });
  const origin = createOrigin(id, request, requester, approval);
  const [leaf] = chain.value;
  let kept = text;
  await desk.lock.runExclusive(async () => {
    // Another run may have signed it while this one was waiting for an answer.
    kept = await answered.find(id) ??
      await answered.keep(id, text, () => desk.log.record(der, signer.authority, origin));
  });
  if (leaf !== undefined) desk.records.push(toRecord(leaf, origin, desk.records.length + 1, io.clock.now()));
  await writeAnswer(kept);
  return kept === text ? { kind: "signed", leaf } : { kind: "again", leaf: findSigned(kept)?.leaf };

  async function writeAnswer(text: string): Promise<void> {
    const path = join(folder, toAnswerFileName(name));
    // Nothing is written to a stick that has the answer, which may be read-only by now.
    if (await readStickFile(path, files) === text) return;
    try {
      await files.writeAtomic(path, text, PUBLIC_MODE);
    } catch (cause) {
      if (!isAppError(cause, "io")) throw cause;
      throw new AppError("io", cause.message, {
        cause,
        hint: "free some space, or make the folder writable, and run the command again: the answer is kept",
      });
    }
  }
}

async function readRequest(name: string, { folder, files }: Desk): Promise<OfflineRequest> {
  const path = join(folder, toRequestFileName(name));
  const text = await readStickFile(path, files);
  const request = text === undefined ? undefined : parseOfflineRequest(text);
  if (request?.ok === true && request.value.name === name) return request.value;
  const why = request === undefined
    ? "no such file"
    : request.ok
    ? `it is the request "${request.value.name}", under another name`
    : request.error;
  throw new AppError("invalid", `cannot sign "${path}": ${why}`, {
    hint: "write it again at the machine, with the command that made it",
  });
}

/** Refuses the request of a machine that expects another CA. */
function checkSite(
  { name, site }: OfflineRequest,
  { authority: { certificate, issuers } }: OpenedSigner,
  { server }: CasAround,
): void {
  const own = [certificate, ...issuers, ...server].map((one) => publicKeyPin(one));
  if (site.length === 0 || own.some((pin) => site.includes(pin))) return;
  throw new AppError(
    "invalid",
    `cannot sign the request "${name}": its machine is of another site, whose CA is ${site.join(" or ")}; ` +
      `the CA here is ${publicKeyPin(certificate)}`,
    {
      hint:
        "take the stick to the CA of that site; if this site has a new CA, run the machine's command again with its " +
        "hash: --ca-cert-hash, as tlsboot ca show prints it",
    },
  );
}

/** Finds the answer of an earlier run; that of one which was killed before it had recorded the certificate is completed. */
async function findEarlier(
  id: string,
  request: OfflineRequest,
  { authority }: OpenedSigner,
  { answered, lock, log, logPath, files, io }: Desk,
  signal: AbortSignal,
): Promise<string | undefined> {
  let found: string | undefined;
  await lock.runExclusive(async () => {
    found = await answered.find(id) ?? await answered.complete(id, async (text) => {
      const leaf = findSigned(text)?.leaf;
      const records = await readSignRecords(logPath, files, signal);
      if (leaf === undefined || records.some(({ spec }) => spec.fingerprint === leaf.sha256Fingerprint)) return;
      const message = "approved in a run that was interrupted";
      const approval = { reason: "OfflineApproved", message, time: formatTime(io.clock.now()) };
      await log.record(leaf.der, authority, createOrigin(id, request, getOfflineRequester(request, false), approval));
    });
  });
  return found;
}

/** A kept answer with a certificate. */
interface KeptAnswer {
  readonly text: string;
  readonly verdict: OfflineVerdict;
  readonly leaf: CertificateFacts;
  readonly issuer: CertificateFacts | undefined;
  readonly server: string | undefined;
}

function findSigned(text: string | undefined): KeptAnswer | undefined {
  const read = parseOfflineAnswer(text ?? "");
  if (text === undefined || !read.ok || read.value.verdict.kind !== "signed") return undefined;
  const { verdict, server, issuer: [issuer] } = read.value;
  const [leaf] = verdict.chain;
  return leaf === undefined ? undefined : { text, verdict, leaf, issuer, server };
}

function createOrigin(
  id: string,
  { name, signerName, requester: proof }: OfflineRequest,
  requester: OfflineRequester,
  approval: IssuedCertificateApproval,
): Parameters<IssuedLog["record"]>[2] {
  const [used] = proof?.chain ?? [];
  return {
    source: "sign",
    signerName,
    request: { name, uid: id },
    requester: { ...requester, ...(used === undefined ? {} : { certificateFingerprint: used.sha256Fingerprint }) },
    approval,
  };
}

function toRecord(
  leaf: CertificateFacts,
  origin: Parameters<IssuedLog["record"]>[2],
  sequence: number,
  issuedAt: Date,
): IssuedCertificate {
  const description = describeIssued(leaf, origin);
  return {
    apiVersion: formatApiVersion(issuedCertificateKind),
    kind: issuedCertificateKind.kind,
    metadata: { name: formatRecordName(sequence) },
    spec: createRecord(description, { sequence, issuedAt }),
    status: createRecordStatus(description),
  };
}

function isFirstOfMachine({ signerName, requester }: OfflineRequest): boolean {
  return signerName === KUBE_APISERVER_CLIENT_KUBELET_SIGNER && requester === undefined;
}

function describeOutcome(name: string, outcome: Outcome): string {
  const file = toAnswerFileName(name);
  switch (outcome.kind) {
    case "signed":
      return line`${file}: signed, valid until ${formatEnd(outcome.leaf)}\n`;
    case "again":
      return line`${file}: already signed, valid until ${formatEnd(outcome.leaf)}\n`;
    case "expired":
      return line`${toRequestFileName(name)}: signed before, expired at ${
        formatEnd(outcome.leaf)
      }; the machine makes a new one\n`;
    case "refused":
      return line`${file}: refused: ${outcome.reason}\n`;
    case "left":
      return line`${toRequestFileName(name)}: ${outcome.reason}\n`;
  }
}

function formatEnd(leaf: CertificateFacts | undefined): string {
  return leaf === undefined ? "" : formatTime(leaf.notAfter);
}
