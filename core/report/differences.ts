/** Lists the differences of a request from the last certificate of the same machine or user. */
import { computeKeyFingerprint } from "../approval/evidence/node_claims.ts";
import type { RequestFacts } from "../pki/x509/pkcs10.ts";
import { listAlternativeNames } from "../pki/x509/subject_alternative_names.ts";
import { isSameSet } from "../lib/sets.ts";
import type { EarlierCertificate } from "./earlier.ts";
import { formatIdentity, parseIdentity } from "./requester.ts";
import type { DifferenceView } from "./request_view.ts";
import { formatLifetime } from "./words.ts";

/** The request, as far as it is compared. */
export interface ComparedRequest {
  readonly facts: RequestFacts;
  readonly usages: readonly string[];
  readonly expirationSeconds: number | undefined;
  readonly username: string;
  readonly address: string | undefined;
}

/** The number of hexadecimal digits of a key's fingerprint that are shown. */
const SHOWN_DIGITS = 16;

/** Lists the differences. A part that is unknown on either side is not compared. */
export function listDifferences(earlier: EarlierCertificate, request: ComparedRequest): readonly DifferenceView[] {
  const { facts, usages, username, address } = request;
  const differences: DifferenceView[] = [];
  const compare = (what: string, before: string | undefined, now: string | undefined): void => {
    if (before !== undefined && now !== undefined && before !== now) differences.push({ what, before, now });
  };
  const compareSets = (what: string, before: readonly string[], now: readonly string[]): void => {
    if (!isSameSet([...new Set(before)], [...new Set(now)])) {
      differences.push({ what, before: join(before), now: join(now) });
    }
  };
  compareSets("groups", earlier.organizations, facts.subject.organizations);
  compareSets("names", earlier.names, listAlternativeNames(facts));
  compareSets("usages", earlier.usages, usages);
  compare(
    "lifetime",
    formatEarlierLifetime(earlier, request.expirationSeconds),
    formatSeconds(request.expirationSeconds),
  );
  compare("key", shorten(earlier.keyFingerprint), shorten(computeKeyFingerprint(facts)));
  compare("requester", describeUser(earlier.username), describeUser(username));
  compare("address", earlier.address, address);
  return differences;
}

function join(values: readonly string[]): string {
  return values.length === 0 ? "none" : values.join(", ");
}

function shorten(fingerprint: string | undefined): string | undefined {
  return fingerprint === undefined ? undefined : `SHA-256 ${fingerprint.slice(0, SHOWN_DIGITS)}…`;
}

function describeUser(username: string | undefined): string | undefined {
  return username === undefined ? undefined : formatIdentity(parseIdentity(username));
}

function formatSeconds(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : formatLifetime(seconds);
}

/** Signers let a certificate begin some minutes in the past, and cut its end at that of the CA. */
const TOLERANCE_SECONDS = 900;

/** Formats the lifetime of the certificate; the requested one is taken for the same when the two are about as long. */
function formatEarlierLifetime(
  { notBefore = "", notAfter = "" }: EarlierCertificate,
  requested: number | undefined,
): string | undefined {
  const seconds = (Date.parse(notAfter) - Date.parse(notBefore)) / 1_000;
  if (Number.isNaN(seconds) || requested === undefined) return undefined;
  return formatLifetime(Math.abs(seconds - requested) <= TOLERANCE_SECONDS + requested / 20 ? requested : seconds);
}
