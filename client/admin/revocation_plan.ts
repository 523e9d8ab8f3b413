/** Plans revocations: resolves the targets of `tlsboot revoke` and finds the certificates that each target covers. */
import { findLeafCertificate } from "../../core/request/issued_certificate.ts";
import { getCsrPhase } from "../../core/request/phase.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import type { IssuedCertificate, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { shellWord } from "../../core/lib/printable.ts";
import { readIdentity } from "../../core/register/certificate_user.ts";
import { isCertificateRecord } from "../../core/report/record_rows.ts";
import { RecordedCertificates, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import {
  coversUser,
  createRevocation,
  parseSerialNumber,
  type RevocationTarget,
  toRevocationName,
} from "../../core/revocation/revocation.ts";
import { getCsrByName } from "./csrs.ts";
import { findObject, flattenPages, revocationPath } from "./records.ts";
import { tokenPath } from "./tokens.ts";
import { createApiSource, findReferences, type RecordSource } from "./record_source.ts";
import type { TypedTarget } from "./revocations.ts";
import type { ApiClient, ApiConnection } from "../objects/api.ts";
import { findOwnUser } from "../objects/access_reviews.ts";
import { readClientPair } from "../transport/connect.ts";
import type { RevocationPlan } from "../../core/report/revocation_text.ts";

type Revoke = Extract<RevocationPlan, { readonly kind: "revoke" }>;

/** The parts of a revocation that are the same for all targets. */
export interface PlanOptions {
  readonly reason: string;
  readonly message: string | undefined;
  readonly certificates: boolean;
}

/** The credential of the command. */
interface OwnCredential {
  readonly username: string;
  readonly groups: readonly string[];
  readonly serialNumber: string | undefined;
}

/**
 * Plans what to revoke, with an error in place of a target that cannot be revoked. Rejects when the server does not
 * answer, or does not serve revocations (see `isGroupMissing`).
 */
export class RevocationPlanner {
  readonly #api: ApiClient;
  readonly #connection: ApiConnection;
  readonly #options: PlanOptions;
  readonly #now: Date;
  readonly #source: RecordSource;

  constructor(connection: ApiConnection, options: PlanOptions, now: Date) {
    this.#api = connection.api;
    this.#connection = connection;
    this.#options = options;
    this.#now = now;
    this.#source = createApiSource(connection.api);
  }

  async plan(typed: readonly TypedTarget[], signal: AbortSignal): Promise<readonly (RevocationPlan | AppError)[]> {
    const own = await this.#findOwnCredential(signal);
    const resolved = await this.#resolve(typed, signal);
    const named = resolved.filter((item): item is ResolvedRevocation =>
      !(item instanceof AppError) && item.kind === "revoke"
    );
    const { covered, unidentified } = await this.#findCovered(named, signal);
    const plans: (RevocationPlan | AppError)[] = [];
    for (const item of resolved) {
      if (item instanceof AppError || item.kind === "deny") plans.push(item);
      else plans.push(await this.#complete(item, { certificates: covered.get(item) ?? [], unidentified }, own, signal));
    }
    return plans;
  }

  async #findOwnCredential(signal: AbortSignal): Promise<OwnCredential> {
    const { cluster, files } = this.#connection;
    const user = await findOwnUser(this.#api, signal);
    const pair = cluster.clientCertificate === undefined ? undefined : await readClientPair(cluster, files);
    return { username: user?.username ?? "", groups: user?.groups ?? [], serialNumber: pair?.leaf.serialNumber };
  }

  /** Resolves certificates and requests to serial numbers. */
  async #resolve(typed: readonly TypedTarget[], signal: AbortSignal): Promise<readonly (Resolved | AppError)[]> {
    const certificates = typed.filter(({ kind }) => kind === "certificate").map(({ text }) => text);
    const found = certificates.length === 0 ? [] : await findReferences(this.#source, certificates, signal);
    const byText = new Map(certificates.map((text, index) => [text, found[index]]));
    const resolved: (Resolved | AppError)[] = [];
    for (const item of typed) {
      if (item.kind === "named") resolved.push({ kind: "revoke", text: item.text, target: item.target });
      else if (item.kind === "csr") resolved.push(await this.#resolveRequest(item.text, item.name, signal));
      else resolved.push(toSerialTarget(item.text, byText.get(item.text)));
    }
    return resolved;
  }

  async #resolveRequest(text: string, name: string, signal: AbortSignal): Promise<Resolved | AppError> {
    let csr: CertificateSigningRequest;
    try {
      csr = await getCsrByName(this.#api, name, signal);
    } catch (error) {
      if (isAppError(error, "invalid")) return error;
      if (!isAppError(error, "not_found")) throw error;
      return await this.#resolveDeletedRequest(text, name, error, signal);
    }
    const phase = getCsrPhase(csr);
    switch (phase.kind) {
      case "pending":
        return { kind: "deny", text, name: getName(csr), uid: csr.metadata.uid };
      case "issued": {
        const leaf = findLeafCertificate(phase.certificate);
        if (leaf === undefined) {
          return new AppError("invalid", `cannot revoke "${text}": its certificate is unreadable`);
        }
        return { kind: "revoke", text, target: { kind: "serial", value: leaf.serialNumber } };
      }
      case "approved":
        return new AppError("invalid", `cannot revoke "${text}": it is approved, but no certificate was issued yet`, {
          hint: `delete the request before a signer handles it: tlsboot delete csr ${shellWord(getName(csr))}`,
        });
      default:
        return new AppError("invalid", `cannot revoke "${text}": it was ${phase.kind}, so it has no certificate`);
    }
  }

  /** Finds the certificate of a deleted request in the register. */
  async #resolveDeletedRequest(
    text: string,
    name: string,
    cause: unknown,
    signal: AbortSignal,
  ): Promise<Resolved | AppError> {
    const found: IssuedCertificate[] = [];
    for await (const record of flattenPages(this.#source.pages(signal))) {
      if (record.spec.request?.name === name) found.push(record);
    }
    const [record, ...others] = found;
    const serialNumber = record?.spec.serialNumber;
    if (serialNumber !== undefined && others.length === 0) {
      return { kind: "revoke", text, target: { kind: "serial", value: serialNumber } };
    }
    if (others.length > 0) {
      const serials = found.map(({ spec }) => spec.serialNumber ?? "").join(", ");
      return new AppError(
        "invalid",
        `cannot revoke "${text}": requests with that name got the certificates ${serials}`,
        {
          hint: "revoke one of them by its serial number",
        },
      );
    }
    return new AppError("not_found", `cannot revoke "${text}": neither a request nor a certificate has that name`, {
      cause,
      hint: "list the requests with: tlsboot get csr, and the certificates with: tlsboot get certificates -o wide",
    });
  }

  /** Finds the certificates that each revocation would cover, and those of unknown users, in one pass over the register. */
  async #findCovered(items: readonly ResolvedRevocation[], signal: AbortSignal): Promise<{
    readonly covered: ReadonlyMap<ResolvedRevocation, readonly IssuedCertificate[]>;
    readonly unidentified: readonly IssuedCertificate[];
  }> {
    const covered = new Map(items.map((item) => [item, [] as IssuedCertificate[]]));
    const unidentified: IssuedCertificate[] = [];
    if (items.length === 0) return { covered, unidentified };
    const known = new RecordedCertificates();
    const indexes = items.map((item) => {
      const index = new RevocationIndex(known.findByFingerprint);
      // The certificates of a token are listed also when they stay valid.
      const revocation = createRevocation(item.target, {
        reason: this.#options.reason,
        includeCertificates: item.target.kind === "token",
      });
      const status = { time: this.#now.toISOString(), lastSequence: Number.MAX_SAFE_INTEGER };
      index.put({ ...revocation, status });
      return [item, index] as const;
    });
    for await (const record of flattenPages(this.#source.pages(signal))) {
      known.put(record);
      if (isCertificateRecord(record) && readIdentity(record) === undefined) unidentified.push(record);
      for (const [item, index] of indexes) {
        // The server refuses to revoke its own certificates, and says what to do instead.
        const isNamed = item.target.kind === "serial" && item.target.value === record.spec.serialNumber;
        if (isNamed || index.findForRecord(record) !== undefined) covered.get(item)?.push(record);
      }
    }
    return { covered, unidentified };
  }

  async #complete(
    { text, target }: ResolvedRevocation,
    { certificates, unidentified }: Pick<Revoke, "certificates" | "unidentified">,
    own: OwnCredential,
    signal: AbortSignal,
  ): Promise<RevocationPlan | AppError> {
    const hasTokenSecret = target.kind === "token" &&
      await findObject(this.#api, tokenPath(target.value), signal) !== undefined;
    const isUnknown = certificates.length === 0 && !hasTokenSecret;
    const earlier = await findObject<Revocation>(this.#api, revocationPath(toRevocationName(target)), signal);
    if (earlier === undefined && coversUser(target, own)) return createOwnTargetError(text, own.username);
    const includeCertificates = target.kind === "token" && this.#options.certificates;
    const widens = includeCertificates && earlier !== undefined && earlier.spec.includeCertificates !== true;
    if (earlier !== undefined && !widens) return createAlreadyRevokedError(text, earlier);
    // A widened revocation keeps its reason and message unless new ones are given.
    const { reason, message = earlier?.spec.message } = this.#options;
    const revocation = createRevocation(target, {
      reason: reason === "unspecified" ? earlier?.spec.reason ?? reason : reason,
      ...(message === undefined ? {} : { message }),
      includeCertificates,
      isUnrecorded: isUnknown && (target.kind === "serial" || target.kind === "token"),
    });
    const affected = target.kind === "token" && !includeCertificates ? [] : certificates;
    const isOwn = isOwnTarget(target, own) || affected.some(({ spec }) => spec.serialNumber === own.serialNumber);
    return {
      kind: "revoke",
      text,
      target,
      revocation,
      certificates,
      unidentified: ["user", "group", "node"].includes(target.kind) ? unidentified : [],
      replaced: widens ? earlier : undefined,
      hasTokenSecret,
      isUnknown,
      isOwn,
    };
  }
}

interface ResolvedRevocation {
  readonly kind: "revoke";
  readonly text: string;
  readonly target: RevocationTarget;
}

type Resolved = ResolvedRevocation | Extract<RevocationPlan, { readonly kind: "deny" }>;

/** A serial number with at least this many digits counts as complete: CAs must use eight random bytes or more. */
const MIN_WHOLE_DIGITS = 16;

/** Creates the target for a certificate; a complete serial number need not be in the register. */
function toSerialTarget(text: string, found: IssuedCertificate | AppError | undefined): Resolved | AppError {
  if (found === undefined) return new AppError("internal", `the certificate "${text}" was not looked up`);
  if (!(found instanceof AppError)) {
    const { serialNumber } = found.spec;
    if (serialNumber !== undefined) return { kind: "revoke", text, target: { kind: "serial", value: serialNumber } };
    return new AppError("invalid", `cannot revoke "${text}": its record has no serial number`, {
      hint: "an earlier version recorded it: revoke its user or its node instead",
    });
  }
  if (found.code === "not_found" && /^[0-9a-f]{6}$/.test(text)) {
    const hint = `for a token write token/${text}; list the certificates with: tlsboot get certificates`;
    return new AppError("not_found", found.message, { hint });
  }
  const serial = parseSerialNumber(text.replace(/^.*[/=]/, ""));
  const isWhole = serial.ok && serial.value.length >= MIN_WHOLE_DIGITS;
  if (found.code !== "not_found" || !isWhole) return found;
  return { kind: "revoke", text, target: { kind: "serial", value: serial.value } };
}

function isOwnTarget({ kind, value }: RevocationTarget, own: OwnCredential): boolean {
  switch (kind) {
    case "serial":
      return value === own.serialNumber;
    case "token":
      return `system:bootstrap:${value}` === own.username;
    case "user":
    case "node":
    case "group":
      return coversUser({ kind, value }, own);
  }
}

/** Creates the error of a revocation that covers its author. The server refuses it too, but an older one does not. */
function createOwnTargetError(text: string, username: string): AppError {
  return new AppError("invalid", `cannot revoke "${text}": it covers "${username}", the user of this command`, {
    hint:
      "a new credential of this name would be refused too. Make an administrator with another name, and revoke with " +
      "that kubeconfig: tlsboot kubeconfig admin --user NAME --out NAME.kubeconfig; or revoke a certificate by its serial number",
  });
}

function createAlreadyRevokedError(text: string, earlier: Revocation): AppError {
  const { reason } = earlier.spec;
  const { time, revokedBy } = earlier.status;
  const by = revokedBy === undefined ? "" : ` by ${revokedBy}`;
  return new AppError(
    "already_exists",
    `cannot revoke "${text}": it has been revoked since ${time ?? "?"}${by} (${reason})`,
    {
      hint: `show the revocation with: tlsboot get revocations ${shellWord(getName(earlier))} -o yaml`,
    },
  );
}
