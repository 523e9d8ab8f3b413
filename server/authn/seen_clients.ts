/**
 * Records the users of client certificates while a CA is being rotated. Each gets a TrustReport with the CA of its
 * certificate, so that the census lists the users of the old CA even if their machines report nothing.
 */
import { storedForm } from "../../core/kube/wire/stored_form.ts";
import { trustReportKind } from "../../core/kube/kinds/mod.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { formatApiVersion } from "../../core/kube/schema.ts";
import type { CaRotation, TrustReport } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import type { Clock, Logger, Random } from "../../core/ports.ts";
import { isInProgress } from "../../core/ca_rotation/rotation_rules.ts";
import { toTrustReportName } from "../../core/ca_rotation/trust.ts";
import { findIssuer } from "../register/register.ts";
import { caRotations, trustReports } from "../registry/tlsboot_v1alpha1.ts";
import { createUid, toKeyPrefix, toStorageKey } from "../registry/registry.ts";
import { followInto } from "../storage/follow.ts";
import type { Storage } from "../storage/storage.ts";
import { retryRaces } from "../storage/transaction.ts";

export interface SeenClientsDeps {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Returns the CAs whose client certificates are trusted now. */
  readonly clientCas: () => readonly CertificateFacts[];
}

/** The users that were seen during a rotation. */
export interface SeenClients extends AsyncDisposable {
  /** Notes a client certificate that was accepted. It does not wait for the report. */
  note(leaf: CertificateFacts): void;
}

/** After this time, a user is reported again with a certificate of the same CA. */
const REPEAT_MS = 10 * 60_000;
/**
 * The largest number of reports that are written at the same time. Others are written at the next use of the
 * certificate.
 */
const MAX_WRITES = 32;

/** Follows the rotations of a storage, and reports the users that are seen meanwhile. */
export async function followSeenClients(deps: SeenClientsDeps): Promise<SeenClients> {
  const rotations = new Map<string, CaRotation>();
  /** When each pair of user and CA was last reported. */
  const reported = new Map<string, number>();
  const writing = new Set<Promise<void>>();
  let began = -Infinity;

  function update(): void {
    const current = [...rotations.values()].filter(isInProgress).map(({ status }) => Date.parse(status.beganAt ?? ""));
    const latest = Math.max(-Infinity, ...current);
    if (latest !== began) reported.clear();
    began = latest;
  }

  const watch = await followInto(deps.storage, toKeyPrefix(caRotations, ""), rotations, update);

  return {
    note(leaf) {
      const { commonName } = leaf.subject;
      if (began === -Infinity || commonName === "" || writing.size >= MAX_WRITES) return;
      const now = deps.clock.now();
      // The authority key id distinguishes the CAs without verifying each signature again.
      const key = JSON.stringify([commonName, leaf.authorityKeyId ?? leaf.sha256Fingerprint]);
      if (now.getTime() - (reported.get(key) ?? -Infinity) < REPEAT_MS) return;
      const issuer = findIssuer(leaf, deps.clientCas());
      if (issuer === undefined) return;
      reported.set(key, now.getTime());
      const sighting = { username: commonName, leaf, issuer, began, now };
      const written = retryRaces(() => writeReport(deps, sighting)).catch((error: unknown) => {
        reported.delete(key);
        deps.logger.warn("cannot report that a client was seen", { user: commonName, error });
      }).finally(() => writing.delete(written));
      writing.add(written);
    },
    async [Symbol.asyncDispose]() {
      watch.stop();
      await Promise.all(writing);
    },
  };
}

interface Sighting {
  readonly username: string;
  readonly leaf: CertificateFacts;
  readonly issuer: CertificateFacts;
  /** The start of the rotation, in milliseconds. */
  readonly began: number;
  readonly now: Date;
}

/** Writes the report. Another server or the user itself may write the same object at the same moment. */
async function writeReport({ storage, random }: SeenClientsDeps, sighting: Sighting): Promise<void> {
  const { username, leaf: { serialNumber }, issuer, began, now } = sighting;
  const key = toStorageKey(trustReports, "", toTrustReportName(username));
  const stored = await storage.get(key);
  const before = stored?.object as TrustReport | undefined;
  const lastSeen = Date.parse(before?.status.lastSeen ?? "");
  const isSame = before?.status.serialNumber === serialNumber &&
    before.status.issuer === issuer.sha256Fingerprint;
  // Another server has seen the user already.
  if (isSame && lastSeen >= began && now.getTime() - lastSeen < REPEAT_MS) return;
  const seen = { issuer: issuer.sha256Fingerprint, serialNumber, lastSeen: formatTime(now) };
  const report: TrustReport = before === undefined
    ? {
      apiVersion: formatApiVersion(trustReportKind),
      kind: trustReportKind.kind,
      metadata: { name: toTrustReportName(username), uid: createUid(random), creationTimestamp: formatTime(now) },
      spec: {},
      status: { username, ...seen },
    }
    : { ...before, status: { ...before.status, ...seen } };
  const object = storedForm(trustReportKind.schema, report);
  if (stored === undefined) await storage.create(key, object);
  else await storage.update(key, object, stored.revision);
}
