/**
 * The census of a CA rotation: which machines and users trust both CAs, which still have a certificate of the retiring
 * one, and which would lose access if that CA were no longer trusted. It uses the register, the reports of clients, and
 * the connections that servers have seen. If the CA of a cluster is replaced in its files, it uses the places that hold
 * CAs and certificates.
 */
import { compareNaturally } from "../lib/natural_order.ts";
import type { CaRotation, IssuedCertificate, TrustReport } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { formatTime, getName } from "../kube/meta.ts";
import { MASTERS_GROUP, NODE_USER_PREFIX, parseNodeUser } from "../kube/user.ts";
import { shellWord } from "../lib/printable.ts";
import { parseAuthorityChain } from "../pki/x509/ca_bundle.ts";
import { formatName } from "../pki/x509/names.ts";
import { readIdentity } from "../register/certificate_user.ts";
import { isAborting, type RotatedCa } from "./rotation_rules.ts";

/** The state of a machine or a user during a rotation. */
export type CensusState =
  | "ready"
  /** It trusts both CAs, and will renew its certificate of the retiring one automatically. */
  | "renewalDue"
  | "oldCertificate"
  | "doesNotTrust"
  | "notSeen"
  /** No certificate of it is known. */
  | "unknownCertificate"
  /** It already refuses certificates of the old CA. */
  | "trustsNewOnly"
  /** The rotation is finished, and it still trusts the old CA. */
  | "trustsOld";

/** One machine, user, other holder of a certificate, or place that holds CAs or certificates. */
export interface CensusRow {
  readonly kind: "node" | "user" | "certificate" | "place";
  /** The name of the node or of the user, the subject of the certificate, or the path or the object of the place. */
  readonly name: string;
  readonly state: CensusState;
  /** Whether, without the retiring CA, it would lose access or its certificate would no longer be trusted. */
  readonly losesAccess: boolean;
  /** Whether the operator accepts that it loses access. */
  readonly isLeftBehind: boolean;
  /** The end of its remaining certificate of the retiring CA. */
  readonly certificateUntil: Date | undefined;
  /** When a server last saw its client certificate or received its report. */
  readonly lastSeen: Date | undefined;
  /**
   * The command that makes it ready; undefined when it is ready. A machine may also become ready by its next renewal.
   */
  readonly command: string | undefined;
}

/** The facts that the census uses in addition to the register. */
interface CensusInput {
  readonly rotation: CaRotation;
  /** SHA-256 (hex) of the CAs whose clients the servers accept; undefined when they are unknown. */
  readonly clientCas?: ReadonlySet<string> | undefined;
  readonly reports: Iterable<TrustReport>;
  readonly now: Date;
}

/** The CA that retires and the one that stays, as SHA-256 (hex) of their certificates. */
interface Direction {
  readonly retiring: string;
  readonly staying: string;
  /** The subjects of both CAs. A cross-signed certificate has the subject of the new one. */
  readonly subjects: ReadonlySet<string>;
  /** The certificates that prove trust in the CA that stays: its own, and those of its issuers. */
  readonly anchors: ReadonlySet<string>;
  /** Whether certificates of the retiring CA must already be replaced. */
  readonly isRenewing: boolean;
  /** Whether clients have to learn to trust the CA that stays. */
  readonly needsTrust: boolean;
}

interface Certificate {
  readonly sequence: number;
  readonly issuedAt: number;
  readonly until: number;
  readonly serialNumber: string;
  readonly isKubeconfig: boolean;
}

/** The newest valid certificates of one signer for a subject. */
interface Held {
  readonly isClient: boolean;
  readonly groups: readonly string[];
  retiring?: Certificate;
  staying?: Certificate;
  other?: Certificate;
}

interface Holder {
  readonly username: string;
  readonly subject: string;
  /** Whether its certificate is that of an intermediate CA. */
  readonly isCa: boolean;
  isMaster: boolean;
  isClient: boolean;
  readonly bySigner: Map<string, Held>;
}

/** The name of the CA that signs the server's certificate, and that clients trust for the server. */
const SERVING_CA = "ca";
/** How long after its deadline a client may still renew before the census counts it as not renewing automatically. */
const RENEWAL_GRACE_MS = 5 * 60_000;

/** Takes the census. Records are added one by one, so a large register need not fit in memory. */
export class Census {
  readonly #input: CensusInput;
  readonly #direction: Direction;
  readonly #holders = new Map<string, Holder>();

  constructor(input: CensusInput) {
    this.#input = input;
    this.#direction = findDirection(input.rotation);
  }

  /**
   * Adds a record of the register. Certificates that are revoked, expired, or belong to the servers and their CAs do
   * not count.
   */
  add(record: IssuedCertificate): void {
    const { spec, status } = record;
    const until = Date.parse(spec.notAfter ?? "");
    if (spec.removed !== undefined || status?.revocation !== undefined || !(until > this.#input.now.getTime())) return;
    if (spec.source === "ca" || spec.source === "serving") return;
    const { retiring, staying, subjects, needsTrust } = this.#direction;
    if (spec.isCA === true && subjects.has(spec.subject ?? "")) return;
    const isClient = spec.isCA !== true && (spec.usages?.includes("client auth") ?? false);
    const { issuerFingerprint = "" } = spec;
    const isConcerned = issuerFingerprint === retiring || issuerFingerprint === staying;
    // A client with a certificate of another CA has to trust the new one too, unless the API no longer accepts that CA.
    const isAccepted = this.#input.clientCas?.has(issuerFingerprint) ?? true;
    if (!isConcerned && !(isClient && needsTrust && isAccepted)) return;
    const held = this.#find(record, isClient);
    const certificate = {
      sequence: spec.sequence,
      issuedAt: Date.parse(spec.issuedAt ?? spec.notBefore ?? ""),
      until,
      serialNumber: spec.serialNumber ?? getName(record),
      isKubeconfig: spec.source === "kubeconfig",
    };
    const place = !isConcerned ? "other" : spec.issuerFingerprint === retiring ? "retiring" : "staying";
    if ((held[place]?.sequence ?? 0) < certificate.sequence) held[place] = certificate;
  }

  /** Returns the row of each machine and user, those that are not ready first, then sorted by name. */
  take(): readonly CensusRow[] {
    const reports = new Map<string, TrustReport>();
    for (const report of this.#input.reports) reports.set(report.status.username, report);
    const rows = [...this.#holders.values()].map((holder) => this.#toRow(holder, reports.get(holder.username)));
    return sortRows(rows);
  }

  #find(record: IssuedCertificate, isClient: boolean): Held {
    const { spec } = record;
    const { subject = "", isCA: isCa = false } = spec;
    // A certificate of an unknown user is listed by itself.
    const { username = "", groups = [] } = isCa ? {} : readIdentity(record) ?? {};
    const key = username === "" ? `subject ${subject} ${spec.dnsNames?.join() ?? ""}` : username;
    let holder = this.#holders.get(key);
    if (holder === undefined) {
      const name = subject === "" ? [...spec.dnsNames ?? [], ...spec.ipAddresses ?? []].join(", ") : subject;
      holder = { username, subject: name, isCa, isMaster: false, isClient: false, bySigner: new Map() };
      this.#holders.set(key, holder);
    }
    holder.isClient ||= isClient;
    holder.isMaster ||= groups.includes(MASTERS_GROUP);
    const subjectKey = username === "" ? subject : JSON.stringify(groups);
    const signer = `${isClient ? "client" : ""} ${spec.signerName ?? spec.source ?? ""} ${subjectKey}`;
    const held = holder.bySigner.get(signer) ?? { isClient, groups };
    holder.bySigner.set(signer, held);
    return held;
  }

  #toRow(holder: Holder, report: TrustReport | undefined): CensusRow {
    const { rotation, now } = this.#input;
    const { needsTrust, isRenewing } = this.#direction;
    const node = parseNodeUser(holder.username);
    const began = Date.parse(rotation.status?.beganAt ?? "") || 0;
    const { lastSeen: seenAt, reportedAt } = report?.status ?? {};
    const lastSeen = findLatest([seenAt, reportedAt].map((time) => Date.parse(time ?? "")));
    const old = isRenewing ? this.#findOld(holder, report) : undefined;
    const trusts = !needsTrust || !holder.isClient || this.#trusts(holder, report, began);
    const renewBy = Date.parse(rotation.spec.renewBy ?? "");
    const isRenewal = now.getTime() < renewBy + RENEWAL_GRACE_MS && node !== undefined;
    const wasSeen = lastSeen !== undefined && lastSeen.getTime() >= began;
    const state = trusts && old === undefined
      ? "ready"
      : trusts
      ? (isRenewal ? "renewalDue" : "oldCertificate")
      : wasSeen
      ? "doesNotTrust"
      : "notSeen";
    const kind = node !== undefined ? "node" : holder.isClient && holder.username !== "" ? "user" : "certificate";
    const name = node ?? (kind === "user" ? holder.username : holder.subject);
    const row = {
      kind,
      name,
      state,
      losesAccess: state !== "ready",
      isLeftBehind: (rotation.spec.leftBehind ?? []).some((entry) => isNamed({ kind, name }, entry)),
      certificateUntil: old === undefined ? undefined : new Date(old.until),
      lastSeen: lastSeen ?? findLastIssued(holder),
    } as const;
    return { ...row, command: findCommand(row, holder, old, rotation.spec.isLeaked === true) };
  }

  /** Finds the certificate of the retiring CA that a holder still uses or has not replaced. */
  #findOld({ bySigner }: Holder, report: TrustReport | undefined): Certificate | undefined {
    const { issuer, lastSeen } = report?.status ?? {};
    for (const { isClient, retiring, staying } of bySigner.values()) {
      if (retiring === undefined) continue;
      if (staying === undefined || staying.sequence < retiring.sequence) return retiring;
      // A person may have several kubeconfigs and have renewed only one of them.
      const isInUse = isClient && issuer === this.#direction.retiring && Date.parse(lastSeen ?? "") > staying.issuedAt;
      if (isInUse) return retiring;
    }
    return undefined;
  }

  #trusts({ bySigner }: Holder, report: TrustReport | undefined, began: number): boolean {
    const { anchors } = this.#direction;
    if (report?.spec.trusted?.some((fingerprint) => anchors.has(fingerprint)) === true) return true;
    // Without a cross-signed certificate, only clients that trust the new CA can connect.
    const { isLeaked = false } = this.#input.rotation.spec;
    if (isLeaked && [...bySigner.values()].some(({ isClient, staying }) => isClient && staying !== undefined)) {
      return true;
    }
    // A kubeconfig that the instance has written since then contains both CAs.
    return [...bySigner.values()].some((held) =>
      [held.retiring, held.staying, held.other].some((certificate) =>
        certificate?.isKubeconfig === true && certificate.issuedAt >= began
      )
    );
  }
}

/** Reports whether a name that the operator typed matches a row: `n7`, `node/n7`, `alice`, `user/alice`. */
export function isNamed({ kind, name }: Pick<CensusRow, "kind" | "name">, typed: string): boolean {
  return typed === name || typed === `${kind}/${name}` || (kind === "node" && typed === NODE_USER_PREFIX + name);
}

/** Sorts rows: those that are not ready first, and then by name. */
function sortRows(rows: readonly CensusRow[]): readonly CensusRow[] {
  return [...rows].sort((a, b) => ORDER[a.state] - ORDER[b.state] || compareNaturally(a.name, b.name));
}

export function countStates(rows: readonly CensusRow[]): ReadonlyMap<CensusState, number> {
  const counts = new Map<CensusState, number>((Object.keys(ORDER) as CensusState[]).map((state) => [state, 0]));
  for (const { state } of rows) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

export function describeState({ kind, state, certificateUntil, lastSeen }: CensusRow): string {
  switch (state) {
    case "ready":
      return "ready";
    case "renewalDue":
      return "trusts both, renewal due";
    case "oldCertificate":
      return `old certificate${certificateUntil === undefined ? "" : ` until ${formatTime(certificateUntil)}`}`;
    case "doesNotTrust":
      return kind === "place" ? "does not trust the new CA" : "has not reported that it trusts the new CA";
    case "notSeen":
      return `not seen since ${lastSeen === undefined ? "it got its certificate" : formatTime(lastSeen)}`;
    case "unknownCertificate":
      return "no certificate known";
    case "trustsNewOnly":
      return "trusts the new CA only";
    case "trustsOld":
      return "still trusts the old CA";
  }
}

/** The states in the order of a table: those that require action come first. */
const ORDER: Readonly<Record<CensusState, number>> = {
  notSeen: 0,
  doesNotTrust: 1,
  oldCertificate: 2,
  unknownCertificate: 3,
  trustsNewOnly: 4,
  trustsOld: 5,
  renewalDue: 6,
  ready: 7,
};

/** Finds which CA retires: the old one, or after an abort the new one. */
function findDirection(rotation: CaRotation): Direction {
  const { step, oldCA, newCA } = rotation.spec;
  const isAborted = isAborting(rotation);
  const older = listFingerprints(oldCA);
  const newer = listFingerprints(newCA);
  const [retiring, staying] = isAborted ? [newer, older] : [older, newer];
  return {
    retiring: retiring[0] ?? "",
    staying: staying[0] ?? "",
    subjects: listSubjects(oldCA, newCA),
    anchors: new Set(staying),
    isRenewing: step !== "Trust" || isAborted,
    // Until a rotation is finished, everyone who trusts the new CA also trusts the old one.
    needsTrust: !isAborted && getName(rotation) === SERVING_CA,
  };
}

function listFingerprints(pem: string): readonly string[] {
  const chain = parseAuthorityChain(pem);
  return chain.ok ? [chain.value.certificate, ...chain.value.issuers].map((ca) => ca.sha256Fingerprint) : [];
}

/** Lists the subjects of CAs as the register has them. */
export function listSubjects(...pems: readonly string[]): ReadonlySet<string> {
  const chains = pems.map(parseAuthorityChain);
  return new Set(chains.flatMap((chain) => chain.ok ? [formatName(chain.value.certificate.subject)] : []));
}

/** The command with the paths of a kubelet. It runs on the machine, adopts the CAs, and renews if necessary. */
const RUN_BOOTSTRAP = "tlsboot bootstrap --kubeconfig /etc/kubernetes/kubelet.conf --cert-dir /var/lib/kubelet/pki";

/** The advice for an intermediate CA, which needs a certificate of the CA that stays. */
export const SIGN_AGAIN = "sign its request again, with the CA that signs now: tlsboot ca sign --help";

/** Returns the command that gives a machine or user the new CA and a certificate from it, overwriting its file. */
function findCommand(
  { kind, name, state }: Pick<CensusRow, "kind" | "name" | "state">,
  { isCa, isMaster, bySigner }: Holder,
  old: Certificate | undefined,
  isLeaked: boolean,
): string | undefined {
  if (state === "ready") return undefined;
  const word = shellWord(name);
  if (kind === "node" && !isLeaked) return RUN_BOOTSTRAP;
  if (kind === "node") return `tlsboot token create --node ${word} --approve -o command`;
  if (isCa) return SIGN_AGAIN;
  if (kind === "certificate") return `tlsboot describe certificate ${old?.serialNumber ?? ""}`;
  // Without a path, `kubeconfig admin` would write the admin.kubeconfig of the data directory, which exists.
  if (isMaster) return `tlsboot kubeconfig admin --user ${word} --out ${shellWord(`${name}.kubeconfig`)} --force`;
  const held = [...bySigner.values()].find(({ isClient, retiring }) => old === undefined ? isClient : retiring === old);
  // A component of Kubernetes; `kubeconfig user` is for people.
  const shown = held?.retiring ?? held?.staying ?? held?.other;
  if (name.startsWith("system:")) return `tlsboot describe certificate ${shown?.serialNumber ?? ""}`;
  const groups = (held?.groups ?? []).map((group) => ` --group ${shellWord(group)}`).join("");
  return `tlsboot kubeconfig user ${word}${groups} --force`;
}

function findLatest(times: readonly number[]): Date | undefined {
  const known = times.filter((time) => !Number.isNaN(time));
  return known.length === 0 ? undefined : new Date(Math.max(...known));
}

/** A holder that no server has seen during the rotation was last active when it got its last certificate. */
function findLastIssued({ bySigner }: Holder): Date | undefined {
  const held = [...bySigner.values()].flatMap(({ retiring, staying, other }) => [retiring, staying, other]);
  return findLatest(held.map((certificate) => certificate?.issuedAt ?? NaN));
}

interface Place {
  readonly kind: CensusRow["kind"];
  readonly name: string;
  /** The command that makes it ready, or a sentence that says how. */
  readonly fix: string;
}

/** A file or an object of the cluster that holds trusted CAs. */
interface TrustPlace extends Place {
  /** The CAs of the rotation that the place holds. */
  readonly trusted: readonly RotatedCa[];
}

/** A certificate that a node, a user or a program uses. */
interface CertificatePlace extends Place {
  /** The CA that signed it; undefined when no certificate of this node or user is known. */
  readonly issuer: RotatedCa | undefined;
  readonly notAfter?: Date | undefined;
}

export type ClusterPlace = TrustPlace | CertificatePlace;

const LOSING: readonly CensusState[] = ["doesNotTrust", "oldCertificate", "unknownCertificate"];

/** Returns the row of each place, without expired certificates of the retiring CA. */
export function takePlaceCensus(
  places: readonly ClusterPlace[],
  rotation: CaRotation,
  now: Date,
): readonly CensusRow[] {
  const { leftBehind = [] } = rotation.spec;
  return sortRows(places.flatMap((place): readonly CensusRow[] => {
    const { kind, name, fix } = place;
    const until = "trusted" in place ? undefined : place.notAfter;
    const state = "trusted" in place ? findTrustState(place, rotation) : findCertificateState(place, rotation);
    if (state === "oldCertificate" && until !== undefined && until <= now) return [];
    return [{
      kind,
      name,
      state,
      losesAccess: LOSING.includes(state) || (state === "trustsNewOnly" && isAborting(rotation)),
      isLeftBehind: leftBehind.some((typed) => isNamed({ kind, name }, typed)),
      certificateUntil: state === "oldCertificate" ? until : undefined,
      lastSeen: undefined,
      command: state === "ready" ? undefined : fix,
    }];
  }));
}

function findTrustState({ trusted }: TrustPlace, rotation: CaRotation): CensusState {
  const { step } = rotation.spec;
  const [trustsOld, trustsNew] = [trusted.includes("old"), trusted.includes("new")];
  if (isAborting(rotation)) return trustsOld ? "ready" : "trustsNewOnly";
  if (!trustsNew) return "doesNotTrust";
  if (step === "Finish") return trustsOld ? "trustsOld" : "ready";
  // A place that trusts only the new CA refuses certificates of the old one.
  return step === "Trust" && !trustsOld ? "trustsNewOnly" : "ready";
}

function findCertificateState({ issuer }: CertificatePlace, rotation: CaRotation): CensusState {
  if (isAborting(rotation)) return issuer === "new" ? "oldCertificate" : "ready";
  if (issuer === "new" || rotation.spec.step === "Trust") return "ready";
  return issuer === undefined ? "unknownCertificate" : "oldCertificate";
}
