/**
 * Answers a bundle for a CA without a network: the request of a machine, or the approved requests that a server exported.
 * Each request is signed only once, even if the stick is full or the program is killed: the answer is stored in a folder
 * next to the issued log, then its certificates are recorded in the log, and only then is the answer written out.
 */
import { AppError, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { issuedCertificateKind } from "../../core/kube/kinds/mod.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { IssuedCertificate, IssuedCertificateApproval } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import {
  type AnswerOutcome,
  computeBundleId,
  computeRequestId,
  encodeAnswers,
  type ExportOrigin,
  type OfflineRequest,
  readAnswers,
  type RequestBundle,
} from "../../core/offline/bundle.ts";
import { getOfflineRequester } from "../../core/offline/decide_offline_request.ts";
import type { Authority } from "../../core/pki/authority/authority.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import { verifyChain } from "../../core/pki/x509/chain.ts";
import { encodeIssued, issueCertificate, SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import {
  type CertificateOrigin,
  createRecord,
  createRecordStatus,
  describeIssued,
  formatRecordName,
} from "../../core/register/record.ts";
import { describeLoggedOrigin, FileLock, type IssuedLog } from "../authority/issued_log.ts";
import { readPolicies, withInventoryOnly } from "../controllers/policy_files.ts";
import { type Consent, decideAll, type DecidedRequest, type DecisionContext, openSite, type Site } from "./decide.ts";
import {
  createSignerOpener,
  type OfflineSigningDeps,
  type OfflineSigningSettings,
  openSignLog,
  readSignRecords,
} from "./open_signer.ts";
import { join } from "node:path";
import { type FilePort, FOLDER_MODE, SECRET_MODE } from "../../client/files.ts";

/** The adapters of a run. */
export type SessionDeps = OfflineSigningDeps & {
  /** Asks whether to sign the requests that the rules allow. */
  readonly askForConsent: (decided: readonly DecidedRequest[], bundle: RequestBundle) => Promise<Consent>;
};

/** The state and the tools of one run, for all of its bundles. */
interface SigningSession extends DecisionContext, Pick<SessionDeps, "askForConsent">, Disposable {
  readonly log: IssuedLog & { readonly path: string };
  readonly answered: AnsweredRequests;
  readonly exporters: TrustedExporters;
  /** Held while an answer is stored and recorded. Otherwise another run would treat it as that of a killed run. */
  readonly lock: FileLock;
}

export interface BundleAnswer {
  /** Undefined when there is no answer to write. */
  readonly text: string | undefined;
  /** Whether an earlier run gave the same answer. */
  readonly isRepeated: boolean;
  /** One for each request, in the order of the requests. */
  readonly outcomes: readonly AnswerOutcome[];
}

/** Opens the state of a run. Throws AppError `usage` without a log, and `io` for a log that cannot be written. */
export async function openSession(settings: OfflineSigningSettings, deps: SessionDeps): Promise<SigningSession> {
  const { files } = deps;
  const log = openSignLog(settings, deps);
  if (log === undefined) {
    throw new AppError(
      "usage",
      "the setting issuedLog is required with the setting clusterSigningCertFile: each request is signed once",
      { hint: "give a file that stays on the machine of the CA" },
    );
  }
  using stack = new DisposableStack();
  stack.use(log);
  const lock = stack.use(new FileLock(`${log.path}.answers`, deps.clock));
  await log.check();
  const session = {
    ...deps,
    settings,
    signers: await createSignerOpener(settings, deps),
    log,
    policies: await readPolicies(withInventoryOnly({ ...settings, autoApprove: true }), deps),
    records: [...await readSignRecords(log.path, deps)],
    answered: openAnsweredRequests(log.path, files),
    exporters: openTrustedExporters(log.path, files),
    lock,
  };
  const opened = stack.move();
  return { ...session, [Symbol.dispose]: () => opened.dispose() };
}

/**
 * Answers a bundle. The whole bundle is checked before anything is signed. Throws AppError for a bundle of another site or
 * of an untrusted exporter, and when a CA cannot be opened.
 */
export async function answerBundle(bundle: RequestBundle, session: SigningSession): Promise<BundleAnswer> {
  const { settings, exporters, lock, answered } = session;
  const { origin } = bundle;
  if (origin.kind === "export") await exporters.check(origin, settings.trustExporter);
  const id = origin.kind === "export" ? `bundle-${computeBundleId(bundle)}` : computeRequestId(getOnly(bundle));
  const earlier = await findEarlier(id, bundle, session);
  if (earlier !== undefined) return await repeatAnswer(id, bundle, earlier, session);
  const site = origin.kind === "export" ? undefined : await openSite(getOnly(bundle), origin, session);
  const decided = await decideAll(bundle, site, session);
  const consent = await session.askForConsent(decided, bundle);
  if (consent.kind === "left") {
    const outcomes = decided.map((): AnswerOutcome => ({ kind: "skipped", message: consent.reason }));
    return { text: undefined, isRepeated: false, outcomes };
  }
  if (origin.kind === "export") await exporters.add(origin, session.clock.now());
  return await lock.runExclusive(async () => {
    // Another run may have answered the same requests while this one asked the user.
    const text = await answered.find(id);
    if (text !== undefined) return { text, isRepeated: true, outcomes: readKept(text).outcomes };
    return await signAll(id, bundle, decided, { site, approval: consent.approval }, session);
  });
}

/** Signs the requests, stores the answer, records the certificates, and returns the text to write. */
async function signAll(
  id: string,
  bundle: RequestBundle,
  decided: readonly DecidedRequest[],
  { site, approval }: { readonly site: Site | undefined; readonly approval: IssuedCertificateApproval },
  session: SigningSession,
): Promise<BundleAnswer> {
  const { clock, random, log, answered, records, settings } = session;
  if (site === undefined) checkUnsigned(decided, await readSignRecords(log.path, session));
  // There is an authority for each signer, but several signers may share a CA.
  const authorities = new Map<string, Authority>();
  const addAuthority = (one: Authority) => authorities.set(one.certificate.sha256Fingerprint, one);
  const issued: { readonly leaf: CertificateFacts; readonly authority: Authority; readonly origin: Origin }[] = [];
  const outcomes: AnswerOutcome[] = [];
  for (const { decision } of decided) {
    if (decision.kind !== "sign") {
      outcomes.push(decision);
      continue;
    }
    const { csr, plan, signer: { authority, chain: withChain } } = decision;
    const der = await issueCertificate(plan, authority, random.bytes(SERIAL_BYTES));
    const chain = parseCaBundle(encodeIssued(der, authority, withChain));
    if (!chain.ok) throw new AppError("internal", `cannot read back a certificate: ${chain.error}`);
    const [leaf] = chain.value;
    outcomes.push({ kind: "issued", chain: chain.value });
    addAuthority(authority);
    if (leaf !== undefined) issued.push({ leaf, authority, origin: toOrigin(csr, bundle, approval) });
  }
  // Without any certificate, the CA of the first request signs the refusals.
  if (authorities.size === 0) addAuthority(site?.signer.authority ?? await findAuthority(bundle, session));
  const answers = bundle.requests.map((request, at) => ({ request, outcome: outcomes[at]! }));
  const answeringSite = {
    serverCas: site?.related.server ?? [],
    crossSigned: site?.related.crossSigned,
    server: settings.server,
  };
  const text = await encodeAnswers(bundle, answers, answeringSite, [...authorities.values()], clock.now());
  // Without any certificate nothing is stored: the next run may decide by other rules.
  if (issued.length === 0) return { text, isRepeated: false, outcomes };
  await answered.keep(id, text, async () => {
    await Promise.all(issued.map(({ leaf, authority, origin }) => log.record(leaf.der, authority, origin)));
  });
  for (const { leaf, origin } of issued) records.push(toRecord(leaf, origin, records.length + 1, clock.now()));
  return { text, isRepeated: false, outcomes };
}

/** Throws AppError `conflict` when another run has signed one of the requests since the decision. */
function checkUnsigned(decided: readonly DecidedRequest[], records: readonly IssuedCertificate[]): void {
  const signed = new Set(records.map(({ spec }) => spec.request?.uid));
  const late = decided.find(({ decision }) => decision.kind === "sign" && signed.has(decision.csr.metadata.uid));
  if (late === undefined) return;
  throw new AppError("conflict", `cannot sign "${late.request.name}": another run has signed it in the meantime`, {
    hint: "run the command again",
  });
}

async function findAuthority({ requests }: RequestBundle, { signers }: SigningSession): Promise<Authority> {
  for (const signerName of new Set(requests.map((request) => request.signerName))) {
    try {
      return (await signers.open(signerName)).authority;
    } catch (error) {
      if (!isAppError(error, "not_found")) throw error;
    }
  }
  throw new AppError("csr_denied", "cannot answer: the CA has no rules for any signer of these requests", {
    hint: "give the rules of a custom signer with the setting profile FILE",
  });
}

interface KeptAnswer {
  /** Undefined for an answer that an earlier build stored in another format. */
  readonly text: string | undefined;
  readonly outcomes: readonly AnswerOutcome[];
  readonly server: string | undefined;
}

function readKept(text: string): KeptAnswer {
  const read = readAnswers(text);
  if (read.ok) return { text, outcomes: read.value.answers.map(({ outcome }) => outcome), server: read.value.server };
  const chain = parseCaBundle(text.split("\n# CA that answers\n")[0] ?? "");
  if (chain.ok) return { text: undefined, outcomes: [{ kind: "issued", chain: chain.value }], server: undefined };
  throw new AppError("invalid", `cannot read the answer that an earlier run kept: ${read.error.join("; ")}`, {
    hint: "restore the folder of answers, next to the issued log, from a backup",
  });
}

/**
 * Finds the answer of an earlier run. If that run was killed before it recorded every certificate, records the rest.
 */
async function findEarlier(
  id: string,
  bundle: RequestBundle,
  session: SigningSession,
): Promise<KeptAnswer | undefined> {
  const { answered, lock, log, signers } = session;
  const found = await lock.runExclusive(async () =>
    await answered.find(id) ?? await answered.complete(id, async (text) => {
      const records = await readSignRecords(log.path, session);
      const recorded = new Set(records.map(({ spec }) => spec.fingerprint));
      const time = formatTime(session.clock.now());
      const approval = { reason: "OfflineApproved", message: "approved in a run that was interrupted", time };
      await Promise.all(
        readKept(text).outcomes.map(async (outcome, at) => {
          const [leaf] = outcome.kind === "issued" ? outcome.chain : [];
          const request = bundle.requests[at];
          if (leaf === undefined || request === undefined || recorded.has(leaf.sha256Fingerprint)) return;
          const { authority } = await signers.open(request.signerName);
          await log.record(leaf.der, authority, toOrigin(toRecordedRequest(request, bundle), bundle, approval));
        }),
      );
    })
  );
  return found === undefined ? undefined : readKept(found);
}

/** Repeats an earlier answer. The answer to a machine gets the address of the API server if it does not have it yet. */
async function repeatAnswer(
  id: string,
  bundle: RequestBundle,
  kept: KeptAnswer,
  session: SigningSession,
): Promise<BundleAnswer> {
  const { settings: { server }, answered, clock } = session;
  const { origin } = bundle;
  const { text, outcomes: [outcome] } = kept;
  const same = { text, isRepeated: true, outcomes: kept.outcomes };
  if (origin.kind === "export" || outcome?.kind !== "issued") return same;
  const [leaf] = outcome.chain;
  if (leaf === undefined || leaf.notAfter < clock.now()) return { ...same, text: undefined };
  if (text !== undefined && (server === undefined || server === kept.server)) return same;
  const { signer: { authority }, related } = await openSite(getOnly(bundle), origin, session);
  // The CA that issued the certificate signs the answer too, but it may have been replaced since.
  if (!verifyChain(leaf, [], [authority.certificate], { at: undefined }).ok) {
    if (text !== undefined) return same;
    const { name } = getOnly(bundle);
    throw new AppError("conflict", `cannot answer "${name}" again: an earlier build kept the answer, for a former CA`, {
      hint: "remove the new key of the machine, and run its command again for a new request",
    });
  }
  const site = { serverCas: related.server, crossSigned: related.crossSigned, server };
  const answers = [{ request: getOnly(bundle), outcome }];
  const changed = await encodeAnswers(bundle, answers, site, [authority], clock.now());
  await answered.replace(id, changed);
  return { ...same, text: changed };
}

type Origin = Omit<CertificateOrigin, "issuerFingerprint">;

/** Adds the approval to the origin of a machine's certificate. A server has approved its requests itself. */
function toOrigin(
  csr: CertificateSigningRequest,
  { origin }: RequestBundle,
  approval: IssuedCertificateApproval,
): Origin {
  return { ...describeLoggedOrigin(csr), ...(origin.kind === "export" ? {} : { source: "sign", approval }) };
}

/** Returns the parts of a request that its record needs. The proof of the requester is lost with the interrupted run. */
function toRecordedRequest(request: OfflineRequest, { origin }: RequestBundle): CertificateSigningRequest {
  const { name, signerName, approved } = request;
  const requester = approved?.requester ?? (origin.kind === "machine" ? getOfflineRequester(origin, "unknown") : {});
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name, uid: computeRequestId(request) },
    spec: { request: "", signerName, ...requester },
    status: approved === undefined ? {} : { conditions: [approved.approval] },
  };
}

function toRecord(leaf: CertificateFacts, origin: Origin, sequence: number, issuedAt: Date): IssuedCertificate {
  const description = describeIssued(leaf, origin);
  return {
    apiVersion: formatApiVersion(issuedCertificateKind),
    kind: issuedCertificateKind.kind,
    metadata: { name: formatRecordName(sequence) },
    spec: createRecord(description, { sequence, issuedAt }),
    status: createRecordStatus(description),
  };
}

/** Returns the request of a machine, which is the only one of its bundle. */
function getOnly({ requests: [request] }: RequestBundle): OfflineRequest {
  if (request === undefined) throw new AppError("internal", "the bundle of a machine has no request");
  return request;
}

interface AnsweredRequests {
  /** Finds a stored answer whose certificates are recorded. */
  find(id: string): Promise<string | undefined>;
  /** Stores an answer, and calls `record` to record its certificates. */
  keep(id: string, answer: string, record: () => Promise<void>): Promise<void>;
  /** Replaces a stored answer by one with the same certificate. */
  replace(id: string, answer: string): Promise<void>;
  /**
   * Completes the answer of a run that was killed after storing it: calls `record` to record the certificates that are not
   * in the log yet. Undefined when there is no such answer.
   */
  complete(id: string, record: (answer: string) => Promise<void>): Promise<string | undefined>;
}

/** Opens the stored answers next to an issued log. The folder is created with the first one. */
function openAnsweredRequests(issuedLog: string, files: FilePort): AnsweredRequests {
  const folder = `${issuedLog.replace(/\.jsonl$/, "")}.answers`;
  const recorded = (id: string): string => join(folder, `${id}.pem`);
  const unrecorded = (id: string): string => join(folder, `${id}.unrecorded`);
  return {
    find: (id) => files.readText(recorded(id)),
    async keep(id, answer, record) {
      await files.makeDirectory(folder, FOLDER_MODE);
      await files.writeAtomic(unrecorded(id), answer, SECRET_MODE);
      await record();
      await files.rename(unrecorded(id), recorded(id));
    },
    replace: (id, answer) => files.writeAtomic(recorded(id), answer, SECRET_MODE),
    async complete(id, record) {
      const answer = await files.readText(unrecorded(id));
      if (answer === undefined) return undefined;
      await record(answer);
      await files.rename(unrecorded(id), recorded(id));
      return answer;
    },
  };
}

interface TrustedExporters {
  /**
   * Checks the key that signed an export. Throws AppError `csr_denied` unless it is the named key or, without one, a trusted
   * key.
   */
  check(origin: ExportOrigin, named: string | undefined): Promise<void>;
  /** Trusts the key of an export from now on. */
  add(origin: ExportOrigin, now: Date): Promise<void>;
}

/** Opens the list of trusted keys next to an issued log. */
function openTrustedExporters(issuedLog: string, files: FilePort): TrustedExporters {
  const path = `${issuedLog.replace(/\.jsonl$/, "")}.exporters`;

  async function read(): Promise<string> {
    return await files.readText(path) ?? "";
  }

  async function isTrusted(pin: string): Promise<boolean> {
    return (await read()).split("\n").some((text) => text.split(" ")[0] === pin);
  }

  return {
    async check({ exporter, server, createdAt }, named) {
      if (named === undefined ? await isTrusted(exporter) : named === exporter) return;
      const other = named === undefined ? "is not trusted here" : "is not the one that the setting trustExporter names";
      throw new AppError(
        "csr_denied",
        `cannot sign the requests of ${server}, exported at ${createdAt}: they are signed with ${exporter}, which ${other}`,
        {
          hint: named === undefined
            ? "ask the operator of that server for the key that the first tlsboot offline export printed; if it is the " +
              `same: the setting trustExporter ${exporter}`
            : "compare the key with the one that tlsboot offline export printed",
        },
      );
    },
    async add({ exporter, server }, now) {
      if (await isTrusted(exporter)) return;
      const text = await read();
      await files.writeAtomic(path, `${text}${exporter} ${formatTime(now)} ${encodeURI(server)}\n`, SECRET_MODE);
    },
  };
}
