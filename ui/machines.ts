/**
 * The machines of an installation, nodes and web servers: their certificates, the tokens with which they joined, and their
 * last contact.
 */
import { describeStoredProof } from "../core/attestation/proof.ts";
import { WEB_GROUP, WEB_USER_PREFIX } from "../core/approval/rules/web_certificates.ts";
import { parseRequest } from "../core/request/parse_request.ts";
import type { CertificateSigningRequest } from "../core/kube/kinds/certificates_v1.ts";
import {
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
  KUBELET_SERVING_SIGNER,
} from "../core/kube/kinds/constants.ts";
import type { IssuedCertificate } from "../core/kube/kinds/tlsboot_v1alpha1.ts";
import { NODES_GROUP, parseNodeUser } from "../core/kube/user.ts";
import { readIdentity } from "../core/register/certificate_user.ts";
import { compareNaturally } from "../core/lib/natural_order.ts";
import { isCertificateRecord, type RecordRow } from "../core/report/record_rows.ts";

/** A Node object of the API, which a kubelet or an administrator created. */
export interface SeenNode {
  readonly name: string;
  readonly createdAt?: string | undefined;
  /** The last time at which the kubelet reported the state of the node. */
  readonly heartbeatAt?: string | undefined;
  readonly isReady?: boolean | undefined;
}

/** A request for a certificate of a machine, or by a machine. */
interface MachineRequest {
  readonly name: string;
  readonly node: string;
  readonly createdAt: string | undefined;
  readonly isPending: boolean;
  /** Whether the machine itself has sent it, and not the holder of a token. */
  readonly isOwn: boolean;
}

/** The facts about a bootstrap token that concern machines. */
interface MachineToken {
  readonly id: string;
  readonly node?: string | undefined;
  readonly lastUseAt?: string | undefined;
}

/** Everything that is known; a source that cannot be read is empty. */
export interface MachinesInput {
  readonly rows: Iterable<RecordRow>;
  readonly nodes?: Iterable<SeenNode>;
  /** When the kubelet of each node renewed its lease. */
  readonly leases?: ReadonlyMap<string, string>;
  /** When a server has last seen each user with a certificate, or got a report of it. */
  readonly seenUsers?: ReadonlyMap<string, string>;
  readonly requests?: Iterable<MachineRequest>;
  readonly tokens?: Iterable<MachineToken>;
  readonly now: Date;
}

/** The state of a machine's newest client certificate; `late` when it should have been renewed already. */
export type MachineState = "valid" | "late" | "untrusted" | "expired" | "revoked" | "waiting" | "none";

/** The last sign of life of a machine. */
interface LastContact {
  readonly at: string;
  /** The action of the machine, such as `renewed its lease`. */
  readonly how: string;
}

export interface KnownMachine {
  readonly name: string;
  readonly state: MachineState;
  readonly stateText: string;
  /** Whether the API has a Node of this name, and whether its kubelet reports that it is ready. */
  readonly node: SeenNode | undefined;
  /** Its certificates, the newest first. */
  readonly certificates: readonly RecordRow[];
  /** The end of the newest client certificate; undefined when none is known. */
  readonly expiresAt: string | undefined;
  readonly lastContact: LastContact | undefined;
  /** Its names for `tlsboot revoke`: `node/NAME`, `user/NAME`; a machine may be both a node and a web server. */
  readonly revocable: readonly string[];
  /** The token with which its first certificate was requested. */
  readonly tokenID: string | undefined;
  /** The proof of identity for its client certificate, as text. */
  readonly proof: string | undefined;
  /** Other tokens that are only for this machine. */
  readonly boundTokens: readonly string[];
  /** The names of its requests that wait for a decision. */
  readonly pending: readonly string[];
}

/** The fraction of a certificate's lifetime by which every kubelet has renewed it (client-go renews at 70 to 90 %). */
const RENEWED_BY_FRACTION = 0.9;

interface Collected {
  node?: SeenNode;
  readonly certificates: RecordRow[];
  readonly contacts: LastContact[];
  readonly boundTokens: string[];
  readonly pending: string[];
}

/** A machine as a user of the API. */
interface MachineUser {
  readonly name: string;
  readonly kind: "node" | "web";
}

/** Parses the user name of a machine; undefined for other users. */
function parseMachineUser(username: string): MachineUser | undefined {
  const node = parseNodeUser(username);
  if (node !== undefined) return { name: node, kind: "node" };
  const web = username.startsWith(WEB_USER_PREFIX) ? username.slice(WEB_USER_PREFIX.length) : "";
  return web === "" ? undefined : { name: web, kind: "web" };
}

/** Reports whether a machine sent a request or has a certificate as this user. */
export function isMachineUser(username: string, name: string): boolean {
  return parseMachineUser(username)?.name === name;
}

/** Finds the machine that a certificate identifies to the API. */
function findIdentified(record: IssuedCertificate): MachineUser | undefined {
  const { username = "", groups = [] } = readIdentity(record) ?? {};
  const user = parseMachineUser(username);
  return user !== undefined && groups.includes(user.kind === "node" ? NODES_GROUP : WEB_GROUP) ? user : undefined;
}

/** Caches the machine of each record, because lists are built again and again from the same ten thousand records. */
const machinesOfRecords = new WeakMap<IssuedCertificate, { readonly name: string | undefined }>();

/** Finds the machine to which a certificate belongs: the one that it identifies, or the one that requested it. */
export function findMachineOfRecord(record: IssuedCertificate): string | undefined {
  const known = machinesOfRecords.get(record) ??
    { name: (findIdentified(record) ?? parseMachineUser(record.spec.requester?.username ?? ""))?.name };
  machinesOfRecords.set(record, known);
  return known.name;
}

/** Finds the machine that a request is for, or that sent it. */
export function findMachineOfRequest({ spec }: CertificateSigningRequest): string | undefined {
  const request = parseRequest(spec.request);
  const isIdentity = IDENTITY_SIGNERS.includes(spec.signerName);
  const requested = request.ok && isIdentity ? parseMachineUser(request.value.subject.commonName) : undefined;
  return (requested ?? parseMachineUser(spec.username ?? ""))?.name;
}

const IDENTITY_SIGNERS: readonly string[] = [
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER,
  KUBELET_SERVING_SIGNER,
  KUBE_APISERVER_CLIENT_SIGNER,
];

/** Lists all machines, sorted by name in natural order. */
export function listMachines(input: MachinesInput): readonly KnownMachine[] {
  const { rows, nodes = [], leases = new Map(), seenUsers = new Map(), requests = [], tokens = [], now } = input;
  const machines = new Map<string, Collected>();
  const find = (name: string): Collected => {
    const known = machines.get(name) ?? { certificates: [], contacts: [], boundTokens: [], pending: [] };
    machines.set(name, known);
    return known;
  };
  for (const row of rows) {
    const name = isCertificateRecord(row.record) ? findMachineOfRecord(row.record) : undefined;
    if (name === undefined) continue;
    const machine = find(name);
    machine.certificates.push(row);
    const { requester, issuedAt } = row.record.spec;
    if (isMachineUser(requester?.username ?? "", name)) {
      addContact(machine, issuedAt, "requested a certificate");
    }
  }
  for (const node of nodes) {
    const machine = find(node.name);
    machine.node = node;
    addContact(machine, node.heartbeatAt, "reported its state");
  }
  for (const [name, at] of leases) if (machines.has(name)) addContact(find(name), at, "renewed its lease");
  for (const { name, node, createdAt, isPending, isOwn } of requests) {
    const machine = find(node);
    if (isPending) machine.pending.push(name);
    addContact(machine, createdAt, isOwn ? "requested a certificate" : "requested a certificate with a token");
  }
  for (const { id, node, lastUseAt } of tokens) {
    if (node === undefined) continue;
    find(node).boundTokens.push(id);
    addContact(find(node), lastUseAt, "used its token");
  }
  for (const [username, at] of seenUsers) {
    const name = parseMachineUser(username)?.name;
    if (name !== undefined && machines.has(name)) addContact(find(name), at, "was seen with its certificate");
  }
  return [...machines].map(([name, collected]) => toMachine(name, collected, now))
    .sort((a, b) => compareNaturally(a.name, b.name));
}

function addContact({ contacts }: Collected, at: string | null | undefined, how: string): void {
  if (at !== undefined && at !== null && !Number.isNaN(Date.parse(at))) contacts.push({ at, how });
}

function toMachine(name: string, collected: Collected, now: Date): KnownMachine {
  const certificates = collected.certificates.sort((a, b) => b.record.spec.sequence - a.record.spec.sequence);
  const clients = certificates.filter(({ record }) =>
    findIdentified(record) !== undefined && (record.spec.usages?.includes("client auth") ?? true)
  );
  // A revoked certificate is the state of a machine only when it has no other one.
  const current = clients.find(({ status }) => status === "valid" || status === "replaced") ?? clients[0];
  const tokenID = clients.map(({ record }) => record.spec.requester?.tokenID).find((id) => id !== undefined);
  const { pending } = collected;
  const state = getMachineState(current, pending.length > 0, now);
  const { notAfter, requester } = current?.record.spec ?? {};
  return {
    name,
    state,
    stateText: STATE_TEXT[state],
    node: collected.node,
    certificates,
    expiresAt: notAfter ?? undefined,
    lastContact: findLatest(collected.contacts),
    revocable: [...new Set(clients.map(({ record }) => toRevocable(record)))],
    tokenID,
    proof: requester?.attested && describeStoredProof(requester.attested),
    boundTokens: collected.boundTokens.filter((id) => id !== tokenID),
    pending,
  };
}

function toRevocable(record: IssuedCertificate): string {
  const { username = "" } = readIdentity(record) ?? {};
  const node = parseNodeUser(username);
  return node === undefined ? `user/${username}` : `node/${node}`;
}

const STATE_TEXT: Readonly<Record<MachineState, string>> = {
  valid: "valid",
  late: "valid, but not renewed in time",
  untrusted: "issued by a CA that was replaced",
  expired: "expired",
  revoked: "revoked",
  waiting: "waiting for its first certificate",
  none: "no certificate is known",
};

function getMachineState(current: RecordRow | undefined, isWaiting: boolean, now: Date): MachineState {
  if (current === undefined) return isWaiting ? "waiting" : "none";
  const { status } = current;
  if (status === "revoked" || status === "expired" || status === "untrusted") return status;
  const { notBefore, notAfter } = current.record.spec;
  const [from, until] = [Date.parse(notBefore ?? ""), Date.parse(notAfter ?? "")];
  return now.getTime() > from + (until - from) * RENEWED_BY_FRACTION ? "late" : "valid";
}

function findLatest(contacts: readonly LastContact[]): LastContact | undefined {
  return contacts.reduce<LastContact | undefined>(
    (latest, one) => latest === undefined || Date.parse(one.at) > Date.parse(latest.at) ? one : latest,
    undefined,
  );
}
