/** Short descriptions of the certificates in `chain_cases.ts`. Absent fields have their usual values. */
import type { Bytes } from "../../core/pki/asn1/der.ts";
import {
  alternativeNames,
  authorityKeyId,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  nameConstraints,
  type OddExtension,
  subjectKeyId,
} from "./odd_certificate.ts";

/** The verdict of a verifier on a chain. */
export type Verdict = "accept" | "refuse";

export interface Draft {
  readonly subject: string;
  readonly issuer: string;
  /** The start of its validity, in hours from now. */
  readonly from?: number;
  readonly to?: number;
  readonly version?: 1 | 3;
  readonly extensions: readonly OddExtension[];
  /** The name of the key; the subject's own when absent. */
  readonly key?: string;
  /** The name of the signing key; the issuer's own when absent. */
  readonly signer?: string;
  /** The content of the INTEGER; a counter when absent. */
  readonly serial?: Bytes;
  readonly isSha1?: boolean;
  readonly hasTwoAlgorithms?: boolean;
}

/** The verdicts of other verifiers on the same certificates; an absent one equals ours. */
export interface OtherVerdicts {
  /** The client of Go, whose verdicts we follow. */
  readonly go: Verdict;
  /** Our client on Node, where OpenSSL and our own code verify. */
  readonly node: Verdict;
  /** Our client on Deno, where rustls and our own code verify. */
  readonly deno: Verdict;
  /** The openssl command; the verdict of Node when absent. */
  readonly openssl: Verdict;
}

export interface Outline extends Partial<OtherVerdicts> {
  readonly name: string;
  readonly want: Verdict;
  readonly leaf?: Draft;
  readonly behind?: readonly Draft[];
  readonly roots?: readonly Draft[];
  readonly host?: string;
}

export const HOST = "n1.example.org";
export const SERVER = 1;
export const CLIENT = 2;
const DIGITAL_SIGNATURE = 0;
export const CERT_SIGN = 5;
export const CRL_SIGN = 6;
export const UNKNOWN = "1.3.6.1.4.1.55555.1";

export const NAMES = alternativeNames(`DNS:${HOST}`, "IP:127.0.0.1");
export const LEAF = [keyUsage(DIGITAL_SIGNATURE), extendedKeyUsage(SERVER), NAMES];
export const AUTHORITY = [basicConstraints(true), keyUsage(CERT_SIGN)];

export function leaf(issuer: string, edit: Partial<Draft> = {}): Draft {
  return { subject: "leaf", issuer, extensions: LEAF, ...edit };
}

export function authority(subject: string, issuer: string, edit: Partial<Draft> = {}): Draft {
  return { subject, issuer, extensions: AUTHORITY, ...edit };
}

export const root = authority("root", "root");
export const upper = authority("upper", "root");
export const lower = authority("lower", "upper");

/** Returns the intermediate `upper` with name constraints. */
export function constrained(permitted: readonly string[], excluded?: readonly string[]): Draft {
  return { ...upper, extensions: [...AUTHORITY, nameConstraints(permitted, excluded)] };
}

export function below(behind: Draft, edit: Partial<Draft> = {}): Pick<Outline, "leaf" | "behind"> {
  return { leaf: leaf(behind.subject, edit), behind: [behind] };
}

/** Adds key identifiers, by which a verifier without backtracking finds the right CA of several with the same name. */
export function identified(ca: Draft, own: string, issuer?: string): Draft {
  const ids = [subjectKeyId(own), ...(issuer === undefined ? [] : [authorityKeyId(issuer)])];
  return { ...ca, extensions: [...ca.extensions, ...ids] };
}

export function limited(ca: Draft, maxPathLength: number): Draft {
  return { ...ca, extensions: [basicConstraints(true, maxPathLength), keyUsage(CERT_SIGN)] };
}

export function tower(height: number): Pick<Outline, "leaf" | "behind"> {
  const floors = Array.from({ length: height }, (_, index) => index);
  const behind = floors.map((floor) => authority(`floor ${floor}`, floor === 0 ? "root" : `floor ${floor - 1}`));
  return { leaf: leaf(`floor ${height - 1}`), behind: behind.reverse() };
}

export function twins(count: number): readonly Draft[] {
  return Array.from({ length: count }, () => authority("twin", "twin"));
}

export function manyNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `DNS:n${index}.example.org`);
}

export function named(name: string, want: Verdict, names: readonly string[], host = HOST): Outline {
  const extensions = [extendedKeyUsage(SERVER), alternativeNames(...names)];
  return { name, want, host, leaf: leaf("root", { extensions }) };
}
