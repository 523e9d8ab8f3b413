/**
 * The census of a cluster whose CA is replaced in its files: which places trust both CAs, which certificates the old one
 * has signed, and who would lose access when the rotation finishes.
 */
import { formatTime } from "../kube/meta.ts";
import type { CaRotationStep } from "../kube/kinds/tlsboot_v1alpha1.ts";
import type { RotatedCa } from "./file_rotation.ts";

/** A place that holds certificates of CAs: a file, or an object of the cluster. */
export interface TrustPlace {
  readonly kind: "trust";
  readonly name: string;
  /** `clients` for the CAs by which the server accepts clients; the server refuses those of a CA that is missing there. */
  readonly role?: "clients";
  /** The CAs of the rotation that the place holds. */
  readonly trusted: readonly RotatedCa[];
  /** The command that renews the place, or a sentence that says how. */
  readonly fix: string;
}

/** A certificate that a node, a user or a program uses. */
export interface CertificatePlace {
  readonly kind: "certificate";
  /** Such as `node/n1`, `user/jane`, or the path of a file. */
  readonly name: string;
  /** The CA that signed it; undefined when no certificate of this node or user is known. */
  readonly issuer: RotatedCa | undefined;
  readonly notAfter?: Date;
  readonly fix: string;
}

/** A place of the census. */
export type ClusterPlace = TrustPlace | CertificatePlace;

/** The verdict about one place of the census. */
export interface PlaceVerdict {
  readonly name: string;
  readonly role?: "clients";
  readonly state: string;
  /** True when nothing needs to be done there in this step. */
  readonly isReady: boolean;
  /** True when the place would lose access if the rotation finished now. */
  readonly losesAccess: boolean;
  /** The command or the sentence that makes the place ready. */
  readonly fix?: string;
}

/** Judges the places in a step of the rotation. */
export function judgePlaces(
  places: readonly ClusterPlace[],
  step: CaRotationStep,
  now: Date,
): readonly PlaceVerdict[] {
  return places.flatMap((place) => {
    if (place.kind === "certificate") return judgeCertificate(place, step, now) ?? [];
    return { ...judgeTrust(place, step), ...(place.role === undefined ? {} : { role: place.role }) };
  });
}

function judgeTrust({ name, trusted, fix }: TrustPlace, step: CaRotationStep): PlaceVerdict {
  const [trustsOld, trustsNew] = [trusted.includes("old"), trusted.includes("new")];
  if (!trustsNew) return { name, state: "does not trust the new CA", isReady: false, losesAccess: true, fix };
  if (step === "Finish") {
    return trustsOld
      ? { name, state: "still trusts the old CA", isReady: false, losesAccess: false, fix }
      : { name, state: "ready", isReady: true, losesAccess: false };
  }
  // Whoever trusts the new CA alone is ready for the end, but refuses what the old one signed until then.
  return trustsOld
    ? { name, state: "trusts both", isReady: true, losesAccess: false }
    : { name, state: "trusts the new CA only", isReady: step === "Switch", losesAccess: false, fix };
}

function judgeCertificate(
  { name, issuer, notAfter, fix }: CertificatePlace,
  step: CaRotationStep,
  now: Date,
): PlaceVerdict | undefined {
  if (issuer === "new") return { name, state: "ready", isReady: true, losesAccess: false };
  const isReady = step === "Trust";
  if (issuer === undefined) {
    return { name, state: "no certificate known", isReady, losesAccess: true, ...(isReady ? {} : { fix }) };
  }
  if (notAfter !== undefined && notAfter <= now) return undefined;
  const until = notAfter === undefined ? "" : ` until ${formatTime(notAfter)}`;
  return { name, state: `old certificate${until}`, isReady, losesAccess: true, ...(isReady ? {} : { fix }) };
}
