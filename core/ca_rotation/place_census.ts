/**
 * The census of a cluster whose CA is replaced in its files: which places trust both CAs, which certificates the
 * retiring one has signed, and who would lose access without it.
 */
import type { CaRotation } from "../kube/kinds/tlsboot_v1alpha1.ts";
import { isAborting, type RotatedCa } from "./rotation_rules.ts";
import { type CensusRow, type CensusState, isNamed, sortRows } from "./census.ts";

interface Place {
  readonly kind: CensusRow["kind"];
  readonly name: string;
  /** The command that makes it ready, or a sentence that says how. */
  readonly fix: string;
}

/** A file or an object of the cluster that holds certificates of CAs. */
export interface TrustPlace extends Place {
  /** The CAs of the rotation that the place holds. */
  readonly trusted: readonly RotatedCa[];
}

/** A certificate that a node, a user or a program uses. */
export interface CertificatePlace extends Place {
  /** The CA that signed it; undefined when no certificate of this node or user is known. */
  readonly issuer: RotatedCa | undefined;
  readonly notAfter?: Date | undefined;
}

export type ClusterPlace = TrustPlace | CertificatePlace;

const LOSING: readonly CensusState[] = ["doesNotTrust", "oldCertificate", "unknownCertificate"];

/** Returns the row of each place. Expired certificates of the retiring CA are left out. */
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
      ...{ kind, name, state },
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
  // A place that trusts only the new CA refuses what the old one has signed.
  return step === "Trust" && !trustsOld ? "trustsNewOnly" : "ready";
}

function findCertificateState({ issuer }: CertificatePlace, rotation: CaRotation): CensusState {
  if (isAborting(rotation)) return issuer === "new" ? "oldCertificate" : "ready";
  if (issuer === "new" || rotation.spec.step === "Trust") return "ready";
  return issuer === undefined ? "unknownCertificate" : "oldCertificate";
}
