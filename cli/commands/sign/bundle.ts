/** Answers a bundle of requests, which a server without a signer exported, beside a CA without a network. */
import { withoutBrackets } from "../../../core/lib/ip_address.ts";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import type { PolicySettings } from "../../../controllers/evidence.ts";
import { splitHosts } from "../../../core/approval/node_names.ts";
import { AppError } from "../../../core/errors.ts";
import type { IssuedCertificate } from "../../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { type AnswerOutcome, parseAnswerBundle, sealAnswers } from "../../../core/offline/answer_bundle.ts";
import { encodeBundle, type OpenBundle, readBundle, readBundleParts } from "../../../core/offline/bundle.ts";
import { type ExportedRequest, parseRequestBundle, type RequestBundle } from "../../../core/offline/request_bundle.ts";
import { judgeOfflineRequest } from "../../../core/offline/judge_request.ts";
import type { Authority } from "../../../core/pki/authority.ts";
import { parseCaBundle } from "../../../core/pki/ca_bundle.ts";
import { type CertificateFacts, parseCertificate } from "../../../core/pki/certificate.ts";
import { encodeIssued } from "../../../core/pki/authority_chain.ts";
import { readIdentity } from "../../../core/register/identity.ts";
import { issueCertificate, SERIAL_BYTES } from "../../../core/pki/issue.ts";
import { type AnsweredRequests, openAnsweredRequests } from "../../authority/answered_requests.ts";
import { describeLoggedOrigin, FileLock, type IssuedLog } from "../../authority/issued_log.ts";
import { openTrustedExporters } from "../../authority/trusted_exporters.ts";
import { canAsk, confirm } from "../../confirm.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Settings } from "../../framework/flags.ts";
import { listTypedFlags } from "../../framework/settings.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { PUBLIC_MODE } from "../../instance/data_dir.ts";
import { readPolicies } from "../../instance/policy_files.ts";
import type { Io } from "../../io.ts";
import { line } from "../../output/escape.ts";
import { planRequest } from "../../sign_request.ts";
import { writeQrPages } from "../offline/qr.ts";
import { openBundleText } from "../offline/read_bundle.ts";
import { type BundleDecision, describeExportedRequest } from "./bundle_text.ts";
import type { SignFlags } from "./flags.ts";
import {
  createSignerOpener,
  openSignLog,
  readSignRecords,
  type SignerOpener,
  toSignPolicyFlags,
} from "./open_signer.ts";

interface DecidedRequest {
  readonly request: ExportedRequest;
  readonly decision: BundleDecision;
  /** Why a person should look twice, such as another machine that has the name. */
  readonly warning: string | undefined;
}

/** What one run uses for every request. */
interface Desk {
  readonly settings: Settings<SignFlags>;
  readonly signers: SignerOpener;
  readonly log: IssuedLog;
  readonly policies: PolicySettings;
  readonly records: readonly IssuedCertificate[];
  readonly answered: AnsweredRequests;
  readonly files: FilePort;
  readonly io: Io;
}

/** Answers a bundle; `text` is the content of `file`. Nothing is signed before the whole bundle is checked. */
export async function signBundle(
  text: string,
  file: string,
  { settings, origins }: Input<SignFlags>,
  files: FilePort,
  io: Io,
  signal: AbortSignal,
): Promise<ExitCode> {
  checkBundleSettings(origins);
  const bundle = parseRequests(openBundleText("requests", text, file), file);
  using log = openSignLog(settings, io);
  if (log === undefined) {
    throw new UsageError(
      "--issued-log is required with --cluster-signing-cert-file: each request is signed once",
      "name a file that stays beside the CA",
    );
  }
  await log.check();
  const exporters = openTrustedExporters(log.path, files);
  await exporters.check(bundle.header, settings.trustExporter);
  using lock = new FileLock(`${log.path}.answers`, io.clock);
  // The random number of the export is in the text, so no other export has this id.
  const id = `bundle-${createHash("sha256").update(bundle.signed.text).digest("hex")}`;
  const answered = openAnsweredRequests(log.path, files);
  const signers = await createSignerOpener(settings, files, io, signal);
  const records: IssuedCertificate[] = [];
  let earlier: string | undefined;
  // While another run keeps and records its answers, they look like those of a run that was killed.
  await lock.runExclusive(async () => {
    records.push(...await readSignRecords(log.path, files, signal));
    earlier = await answered.find(id) ?? await completeEarlier(id, bundle, { answered, records, log, signers });
  });
  const desk: Desk = {
    settings,
    signers,
    log,
    policies: await readPolicies(toSignPolicyFlags(settings), { files, cwd: io.cwd }),
    records,
    answered,
    files,
    io,
  };
  if (earlier !== undefined) {
    io.stderr.write(line`${file} was answered before: this is the same answer again, and nothing more is signed\n`);
    await writeAnswers(earlier, bundle, desk);
    return EXIT.done;
  }
  const decided = await decideAll(bundle, desk);
  if (!await isConfirmed(decided, desk, signal)) {
    io.stderr.write("nothing is signed\n");
    return EXIT.no;
  }
  await exporters.add(bundle.header, io.clock.now());
  let answers: string | undefined;
  await lock.runExclusive(async () => {
    // Another run may have answered the same requests while this one was asking.
    answers = await desk.answered.find(id);
    if (answers !== undefined) return;
    checkUnsigned(decided, await readSignRecords(log.path, files, signal));
    answers = await answerAll(id, bundle, decided, desk);
  });
  await writeAnswers(answers ?? "", bundle, desk);
  return decided.every(({ decision }) => decision.kind === "sign") ? EXIT.done : EXIT.no;
}

/** UsageError for flags that have no meaning for a bundle: the requests say it. */
function checkBundleSettings(origins: Input["origins"]): void {
  const given = listTypedFlags(origins, ["usage", "duration", "server"]);
  if (given.length === 0) return;
  throw new UsageError(`${given.join(", ")}: not for a bundle`, "the requests in it say what they ask for");
}

function parseRequests(bundle: OpenBundle, file: string): RequestBundle {
  const parsed = parseRequestBundle(bundle);
  if (parsed.ok) return parsed.value;
  throw new AppError("invalid", `cannot sign "${file}": ${parsed.error}`, {
    hint: "send the file again, as tlsboot offline export wrote it",
  });
}

async function decideAll({ header, requests }: RequestBundle, desk: Desk): Promise<readonly DecidedRequest[]> {
  const signed = new Map(desk.records.map((record) => [record.spec.request?.uid, record]));
  const byUser = Map.groupBy(desk.records, (record) => readIdentity(record)?.username);
  const server = splitHosts(
    URL.canParse(header.server) ? [withoutBrackets(new URL(header.server).hostname)] : [],
  );
  const decided: DecidedRequest[] = [];
  for (const request of requests) {
    const record = signed.get(request.uid);
    const { csr, facts } = request;
    // Without policies only the certificates of the same user and of unknown ones matter, and a register may hold very many.
    const ofUser = [facts.subject.commonName, undefined].flatMap((username) => byUser.get(username) ?? []);
    const records = desk.policies.policies.length > 0 ? desk.records : ofUser;
    const judged = { csr, request: facts, ...desk.policies, records, server, now: desk.io.clock.now() };
    const { warning, verdict } = await judgeOfflineRequest(judged);
    const decision: BundleDecision = record !== undefined
      ? { kind: "skipped", message: describeSigned(record) }
      : verdict?.kind === "deny"
      ? { kind: "refused", message: verdict.message }
      : verdict !== undefined && verdict.kind !== "approve"
      ? { kind: "skipped", message: `no policy of the CA approves it: ${verdict.message}` }
      : await decideOne(request, desk);
    decided.push({ request, decision, warning });
  }
  return decided;
}

function describeSigned({ spec: { issuedAt, serialNumber } }: IssuedCertificate): string {
  return `it was signed at ${issuedAt}, serial number ${serialNumber}, for an earlier export, whose answer has the ` +
    "certificate; tlsboot sign writes that answer again";
}

async function decideOne({ name, csr, facts }: ExportedRequest, desk: Desk): Promise<BundleDecision> {
  const { signerName, usages = [], expirationSeconds } = csr.spec;
  const { chosen } = desk.signers;
  if (desk.settings.signerName !== undefined && !chosen.includes(signerName)) {
    return { kind: "skipped", message: `it is for the signer "${signerName}", which was not named at the CA` };
  }
  try {
    const signer = await desk.signers.open(signerName);
    const asked = { signerName, usages, ...(expirationSeconds === undefined ? {} : { expirationSeconds }) };
    return { kind: "sign", planned: planRequest(facts.der, name, { ...signer, asked }, desk.io), signer };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const message = error.message.replace(`cannot sign "${name}": `, "");
    if (error.code === "csr_denied") return { kind: "refused", message };
    if (error.code !== "not_found") throw error;
    return { kind: "skipped", message: `the CA has no rules for the signer "${signerName}"` };
  }
}

/** Shows every request, and asks on a terminal whether to sign those that the rules allow. */
async function isConfirmed(decided: readonly DecidedRequest[], desk: Desk, signal: AbortSignal): Promise<boolean> {
  const { io, settings } = desk;
  for (const { request, decision, warning } of decided) {
    io.stderr.write(describeExportedRequest(request, decision, warning));
  }
  const count = decided.filter(({ decision }) => decision.kind === "sign").length;
  if (settings.yes || count === 0 || !canAsk(io)) return true;
  return await confirm(count === 1 ? "Sign it?" : `Sign these ${count} requests?`, io, signal);
}

/** Throws AppError `conflict` when a request that is to be signed was signed since it was decided. */
function checkUnsigned(decided: readonly DecidedRequest[], records: readonly IssuedCertificate[]): void {
  const signed = new Set(records.map(({ spec }) => spec.request?.uid));
  const late = decided.find(({ request, decision }) => decision.kind === "sign" && signed.has(request.uid));
  if (late === undefined) return;
  throw new AppError("conflict", `cannot sign "${late.request.name}": another run has signed it meanwhile`, {
    hint: "run the command again",
  });
}

/** Signs, keeps the answers, records the certificates, and returns the text that may be given out then. */
async function answerAll(
  id: string,
  bundle: RequestBundle,
  decided: readonly DecidedRequest[],
  desk: Desk,
): Promise<string> {
  const { io, log, answered } = desk;
  const authorities = new Map<string, Authority>();
  const issued: { readonly der: Uint8Array<ArrayBuffer>; readonly request: ExportedRequest; authority: Authority }[] =
    [];
  const answers = [];
  for (const { request, decision } of decided) {
    let outcome: AnswerOutcome;
    if (decision.kind === "sign") {
      const { authority, chain } = decision.signer;
      const der = await issueCertificate(decision.planned.plan, authority, io.random.bytes(SERIAL_BYTES));
      const certificates = parseCaBundle(encodeIssued(der, authority, chain));
      if (!certificates.ok) throw new AppError("internal", `cannot read back a certificate: ${certificates.error}`);
      outcome = { kind: "issued", certificates: certificates.value.map((one) => one.der) };
      authorities.set(authority.certificate.sha256Fingerprint, authority);
      issued.push({ der, request, authority });
    } else outcome = decision;
    answers.push({ name: request.name, uid: request.uid, outcome });
  }
  if (authorities.size === 0) {
    // The CA of the first request that has one says no; without any there is no one to answer.
    const authority = await findAuthority(bundle, desk);
    authorities.set(authority.certificate.sha256Fingerprint, authority);
  }
  const parts = await sealAnswers(bundle.signed, answers, [...authorities.values()], io.clock.now());
  const text = encodeBundle("answers", parts);
  // Without a certificate there is nothing that must not be given twice: the next run may have other rules.
  if (issued.length === 0) return text;
  return await answered.keep(id, text, async () => {
    await Promise.all(
      issued.map(({ der, request, authority }) => log.record(der, authority, describeLoggedOrigin(request.csr))),
    );
  });
}

async function findAuthority({ requests }: RequestBundle, { signers }: Desk): Promise<Authority> {
  for (const signerName of new Set(requests.map(({ csr }) => csr.spec.signerName))) {
    try {
      return (await signers.open(signerName)).authority;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "not_found") throw error;
    }
  }
  throw new AppError("csr_denied", "cannot answer: the CA has no rules for any signer of these requests", {
    hint: "give the rules of a custom signer with --profile FILE",
  });
}

/** Completes the answer of a run that was killed before it had recorded every certificate. */
async function completeEarlier(
  id: string,
  { requests }: RequestBundle,
  { answered, records, log, signers }: Pick<Desk, "answered" | "records" | "log" | "signers">,
): Promise<string | undefined> {
  const recorded = new Set(records.map(({ spec }) => spec.fingerprint));
  const byUid = new Map(requests.map((request) => [request.uid, request]));
  return await answered.complete(id, async (text) => {
    const missing = findLeaves(text).filter(({ leaf }) => !recorded.has(leaf.sha256Fingerprint));
    await Promise.all(missing.map(async ({ uid, leaf }) => {
      const request = byUid.get(uid);
      if (request === undefined) return;
      const { authority } = await signers.open(request.csr.spec.signerName);
      await log.record(leaf.der, authority, describeLoggedOrigin(request.csr));
    }));
  });
}

function findLeaves(text: string): readonly { readonly uid: string; readonly leaf: CertificateFacts }[] {
  const read = readBundle("answers", text);
  const bundle = read.ok ? parseAnswerBundle(read.value) : undefined;
  if (bundle?.ok !== true) throw new AppError("invalid", "cannot read the answers that an interrupted run kept");
  return bundle.value.answers.flatMap(({ uid, outcome }) => {
    const [der] = outcome.kind === "issued" ? outcome.certificates : [];
    const leaf = der === undefined ? undefined : parseCertificate(der);
    return leaf?.ok === true ? [{ uid, leaf: leaf.value }] : [];
  });
}

async function writeAnswers(text: string, { header }: RequestBundle, desk: Desk): Promise<void> {
  const { settings: { out, force, qr }, files, io } = desk;
  if (qr !== undefined) {
    await writeQrPages(qr, { kind: "answers", parts: readBundleParts("answers", text), header }, files, io);
  }
  if (out === undefined || out === "-") {
    io.stdout.write(text);
    return;
  }
  const path = resolve(io.cwd, out);
  if (!force && await files.lstat(path) !== undefined) {
    throw new AppError("file_exists", `cannot write the answers to "${out}": it exists`, {
      hint: "the answers are kept: run the command again with --force, or with another --out",
    });
  }
  await files.writeAtomic(path, text, PUBLIC_MODE);
}
