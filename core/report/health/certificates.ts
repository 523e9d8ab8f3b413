/** Checks certificates and keys in files: whether they match, their chains, and their expiry. */
import { DAY_MS, formatDuration } from "../../lib/duration.ts";
import { shellWord } from "../../lib/printable.ts";
import { formatTime } from "../../kube/meta.ts";
import { getPairStatus } from "../../machine/renewal_schedule.ts";
import { didIssue, isSelfSigned } from "../../pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../pki/x509/certificate.ts";
import { verifyChain } from "../../pki/x509/chain.ts";
import { publicKeysEqual } from "../../pki/keys/keys.ts";
import { formatName } from "../../pki/x509/names.ts";
import type { Fault } from "./finding.ts";

/** How long before its expiry a CA is reported, because replacing all of its certificates takes time. */
const CA_NOTICE_MS = 365 * DAY_MS;
/** The DER of the extension basicConstraints up to its flag `critical` (RFC 5280 §4.2.1.9). */
const CRITICAL_BASIC_CONSTRAINTS = Uint8Array.of(0x06, 0x03, 0x55, 0x1d, 0x13, 0x01, 0x01, 0xff);

/** A file with a certificate chain, and the key for it. */
export interface StoredPair {
  /** The path of the certificates, as it is shown. */
  readonly file: string;
  /** The position of each certificate among the PEM blocks of the file; absent for a kubeconfig. */
  readonly blocks?: readonly number[];
  readonly blockCount?: number;
  /** The path of the key; undefined when there is none. */
  readonly keyFile?: string | undefined;
  /** The public key of the key in DER; undefined when there is no key or when it is encrypted. */
  readonly publicKeyDer?: Uint8Array | undefined;
  /** The certificates in the order of the file. */
  readonly chain: readonly CertificateFacts[];
  /** The command that replaces the certificate. */
  readonly renewal?: string | undefined;
  /** True when a program renews the certificate. */
  readonly isRenewed?: boolean;
  /** True for a CA that is being replaced or was replaced. */
  readonly isBeingReplaced?: boolean;
  /** True for a CA that cannot sign unless its key is next to it. */
  readonly needsKey?: boolean;
}

/** A key in a file, which may belong to another certificate. */
export interface StoredKey {
  readonly file: string;
  readonly publicKeyDer: Uint8Array;
}

/**
 * Finds keys that do not belong to their certificate, and CAs whose key is missing. The fix copies the right key when it is
 * in another file.
 */
export function checkKeyPairs(pairs: readonly StoredPair[], keys: readonly StoredKey[]): readonly Fault[] {
  return pairs.flatMap(({ file, keyFile, publicKeyDer, chain, renewal, needsKey }): readonly Fault[] => {
    const [leaf] = chain;
    if (leaf !== undefined && keyFile === undefined && needsKey === true) {
      return [{
        severity: "warning",
        message: `the key of ${
          describeStored(leaf)
        } is not next to "${file}"; only a program that holds it can sign with this CA`,
        advice:
          "put the key back, for example from a backup, or start the server with the setting signingKeyCommand when a " +
          "program holds it",
      }];
    }
    if (leaf === undefined || publicKeyDer === undefined || keyFile === undefined) return [];
    // If it is the key of a later certificate, the order is wrong, which `checkChains` reports.
    if (chain.some((certificate) => publicKeysEqual(certificate.publicKeyDer, publicKeyDer))) return [];
    const right = keys.find((key) => key.file !== keyFile && publicKeysEqual(key.publicKeyDer, leaf.publicKeyDer));
    const message = `the key in "${keyFile}" does not belong to ${describeStored(leaf)} in "${file}"`;
    if (right !== undefined) {
      return [{ severity: "error", message, fix: `cp ${shellWord(right.file)} ${shellWord(keyFile)}` }];
    }
    // A CA cannot be replaced without its key, which signs the new one.
    return leaf.isCa
      ? [{ severity: "error", message: `${message}; put the right key back, for example from a backup` }]
      : [{ severity: "error", message, fix: renewal }];
  });
}

/**
 * Finds chains whose certificates are in the wrong order, or that lack an intermediate that is in another file.
 *
 * @param trusted the certificates that clients trust; without any, only the order is checked.
 */
export function checkChains(
  pairs: readonly StoredPair[],
  trusted: readonly CertificateFacts[],
  others: readonly StoredPair[],
): readonly Fault[] {
  return pairs.flatMap((pair) => findChainFault(pair, trusted, others));
}

function findChainFault(
  pair: StoredPair,
  trusted: readonly CertificateFacts[],
  others: readonly StoredPair[],
): readonly Fault[] {
  const { file, chain, publicKeyDer, renewal } = pair;
  if (chain.length > 1) {
    const order = sortChain(chain, publicKeyDer);
    if (order === undefined) {
      const stray = chain.find((certificate, index) =>
        index > 0 && !chain.some((other) => other !== certificate && didIssue(certificate, other))
      );
      if (stray === undefined) return [];
      return [{
        severity: "warning",
        message: `"${file}" contains ${describeStored(stray)}, which did not issue any certificate in the file`,
        fix: removeBlock(pair, chain.indexOf(stray)) ?? renewal,
      }];
    }
    if (order.some((from, index) => from !== index)) {
      return [{
        severity: "error",
        message: `the certificates in "${file}" are in the wrong order: each must be followed by its issuer`,
        fix: reorderBlocks(pair, order) ?? renewal,
      }];
    }
  }
  const [leaf, ...rest] = chain;
  if (leaf === undefined || trusted.length === 0) return [];
  if (verifyChain(leaf, rest, trusted, { at: undefined }).ok) return [];
  const missing = findMissing(chain, trusted, others);
  if (missing === undefined) {
    return [{
      severity: "error",
      message: `no CA here vouches for ${describeStored(leaf)} in "${file}", which ${formatName(leaf.issuer)} signed`,
      fix: renewal,
    }];
  }
  return [{
    severity: "error",
    message: `"${file}" lacks the intermediate ${
      missing.map(({ certificate }) => describeStored(certificate)).join(", ")
    }`,
    fix: missing.map((intermediate) => appendBlock(intermediate.pair, intermediate.index, file)).join(" && "),
  }];
}

/** Sorts a chain: the certificate of the key first, each followed by its issuer. Undefined when that is not possible. */
function sortChain(
  chain: readonly CertificateFacts[],
  publicKeyDer: Uint8Array | undefined,
): readonly number[] | undefined {
  const isLeaf = (certificate: CertificateFacts): boolean =>
    publicKeyDer === undefined
      ? !chain.some((other) => other !== certificate && didIssue(certificate, other))
      : publicKeysEqual(certificate.publicKeyDer, publicKeyDer);
  const start = chain.findIndex(isLeaf);
  if (start < 0) return undefined;
  const order = [start];
  while (order.length < chain.length) {
    const top = chain[order[order.length - 1] ?? 0];
    const next = chain.findIndex((issuer, index) =>
      !order.includes(index) && top !== undefined && didIssue(issuer, top)
    );
    if (next < 0) return undefined;
    order.push(next);
  }
  return order;
}

interface Intermediate {
  readonly certificate: CertificateFacts;
  readonly pair: StoredPair;
  readonly index: number;
}

/** Finds the intermediates in other files that complete a chain; undefined when there are none. */
function findMissing(
  chain: readonly CertificateFacts[],
  trusted: readonly CertificateFacts[],
  others: readonly StoredPair[],
): readonly Intermediate[] | undefined {
  const found: Intermediate[] = [];
  const candidates = others.flatMap((pair) => pair.chain.map((certificate, index) => ({ certificate, pair, index })))
    .filter(({ certificate, pair }) => certificate.isCa && pair.blocks !== undefined);
  for (let top = chain[chain.length - 1]; top !== undefined && found.length < 8;) {
    if (trusted.some((root) => top !== undefined && didIssue(root, top))) return found.length === 0 ? undefined : found;
    const child: CertificateFacts = top;
    const next = candidates.find(({ certificate }) => !isSelfSigned(certificate) && didIssue(certificate, child));
    if (next === undefined) return undefined;
    found.push(next);
    top = next.certificate;
  }
  return undefined;
}

/** Reports certificates that have expired, are not valid yet, or are overdue for renewal, except those of CAs. */
export function checkExpiry(pairs: readonly StoredPair[], now: Date): readonly Fault[] {
  return pairs.flatMap(({ file, chain, renewal, isRenewed }) =>
    chain.flatMap((certificate, index): readonly Fault[] => {
      const what = `${describeStored(certificate)} in "${file}"`;
      if (now < certificate.notBefore) {
        return [{
          severity: "error",
          message: `${what} is not valid before ${
            formatTime(certificate.notBefore)
          }: this machine's clock may be wrong`,
        }];
      }
      if (certificate.isCa) return [];
      const { state } = getPairStatus(certificate, now);
      if (state === "valid") return [];
      const left = `in ${formatPeriod(certificate.notAfter.getTime() - now.getTime())}`;
      return [{
        severity: state === "expired" ? "error" : "warning",
        message: state === "expired"
          ? `${what} expired at ${formatTime(certificate.notAfter)}`
          : `${what} expires at ${formatTime(certificate.notAfter)}, ${left}` +
            (isRenewed === true ? ", and no program has renewed it" : ""),
        fix: index === 0 ? renewal : undefined,
      }];
    })
  );
}

/** Reports CAs that have expired, that expire within a year, and that expire before a certificate that they signed. */
export function checkAuthorities(
  authorities: readonly StoredPair[],
  leaves: readonly StoredPair[],
  now: Date,
): readonly Fault[] {
  return authorities.flatMap(({ file, chain, renewal, isBeingReplaced }): readonly Fault[] => {
    if (isBeingReplaced === true) return [];
    const faults: Fault[] = [];
    const shortest = chain.filter(({ isCa }) => isCa).sort((a, b) => a.notAfter.getTime() - b.notAfter.getTime())[0];
    if (shortest === undefined) return [];
    const leftMs = shortest.notAfter.getTime() - now.getTime();
    if (leftMs < CA_NOTICE_MS) {
      const when = formatTime(shortest.notAfter);
      faults.push({
        severity: leftMs <= 0 ? "error" : "warning",
        message: leftMs <= 0
          ? `${describeStored(shortest)} in "${file}" expired at ${when}`
          : `${describeStored(shortest)} in "${file}" expires at ${when}, in ${formatPeriod(leftMs)}: less than a year`,
        fix: renewal,
        advice: "replace the CA where its key is: tlsboot guide new_ca",
      });
    }
    const ca = chain[0];
    for (const leaf of leaves) {
      const [certificate] = leaf.chain;
      if (ca === undefined || certificate === undefined || certificate.notAfter <= ca.notAfter) continue;
      if (!didIssue(ca, certificate)) continue;
      faults.push({
        severity: "warning",
        message:
          `${describeStored(ca)} in "${file}" expires at ${formatTime(ca.notAfter)}, before ${
            describeStored(certificate)
          } in ` +
          `"${leaf.file}", which it signed until ${formatTime(certificate.notAfter)}`,
        fix: leaf.renewal,
      });
    }
    return faults;
  });
}

/**
 * Reports certificates that Python 3.13 refuses, which verifies with OpenSSL's X509_V_FLAG_X509_STRICT
 * (`crypto/x509/x509_vfy.c`, check_extensions).
 */
export function checkStrictly(pairs: readonly StoredPair[]): readonly Fault[] {
  return pairs.flatMap(({ file, chain, renewal }) =>
    chain.flatMap((certificate): readonly Fault[] => {
      const reasons = findStrictFaults(certificate);
      if (reasons.length === 0) return [];
      return [{
        severity: "warning",
        message: `strict verifiers such as Python 3.13 refuse ${describeStored(certificate)} in "${file}": ${
          reasons.join(", ")
        }`,
        fix: certificate === chain[0] ? renewal : undefined,
      }];
    })
  );
}

function findStrictFaults(certificate: CertificateFacts): readonly string[] {
  const { isCa, version, keyUsages, maxPathLength, subjectKeyId, authorityKeyId } = certificate;
  const subject = formatName(certificate.subject);
  const hasNames = certificate.dnsNames.length + certificate.ipAddresses.length + certificate.uris.length +
      certificate.emailAddresses.length > 0;
  return [
    ...(isCa && subjectKeyId === undefined && version >= 3 ? ["it has no subject key identifier"] : []),
    ...(authorityKeyId === undefined && version >= 3 && !isSelfSigned(certificate)
      ? ["it has no authority key identifier"]
      : []),
    ...(isCa && keyUsages.length === 0 ? ["it is a CA without key usages"] : []),
    ...(isCa && !includesBytes(certificate.signedDer, CRITICAL_BASIC_CONSTRAINTS)
      ? ["its basic constraints are not critical"]
      : []),
    ...(!isCa && keyUsages.includes("keyCertSign") ? ["it may sign certificates but is not a CA"] : []),
    ...(!isCa && maxPathLength !== undefined ? ["it has a path length but is not a CA"] : []),
    ...(isCa && maxPathLength !== undefined && keyUsages.length > 0 && !keyUsages.includes("keyCertSign")
      ? ["it has a path length but may not sign certificates"]
      : []),
    ...(subject === "" && (isCa || !hasNames) ? ["it has no subject"] : []),
    ...(formatName(certificate.issuer) === "" ? ["it has no issuer"] : []),
  ];
}

function includesBytes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let at = 0; at + part.length <= bytes.length; at++) {
    if (part.every((byte, index) => bytes[at + index] === byte)) return true;
  }
  return false;
}

/** Describes a certificate for a message: `CA "tlsboot-ca"`, `certificate "system:node:n1"`. */
export function describeStored(certificate: CertificateFacts): string {
  const name = certificate.subject.commonName || formatName(certificate.subject) || certificate.dnsNames[0] ||
    certificate.serialNumber;
  return `${certificate.isCa ? "CA" : "certificate"} "${name}"`;
}

/** Formats a period in days, or in smaller units when it is short. */
function formatPeriod(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} days`;
  return formatDuration(Math.max(0, Math.round(ms / 1000)) * 1000);
}

/** The awk program that prints one block of a PEM file. */
function printBlock(file: string, position: number): string {
  return `awk '/^-----BEGIN /{n++} n==${position}' ${shellWord(file)}`;
}

/** The command that writes the certificates of a file in another order. The copy keeps mode and owner. */
function reorderBlocks({ file, blocks, blockCount }: StoredPair, order: readonly number[]): string | undefined {
  if (blocks === undefined || blockCount === undefined) return undefined;
  const rest = Array.from({ length: blockCount }, (_, index) => index + 1).filter((block) => !blocks.includes(block));
  return rewrite(file, [...order.flatMap((index) => blocks[index] ?? []), ...rest]);
}

function removeBlock({ file, blocks, blockCount }: StoredPair, index: number): string | undefined {
  if (blocks === undefined || blockCount === undefined) return undefined;
  return rewrite(
    file,
    Array.from({ length: blockCount }, (_, at) => at + 1).filter((block) => block !== blocks[index]),
  );
}

function rewrite(file: string, positions: readonly number[]): string {
  const [from, to] = [shellWord(file), shellWord(`${file}.new`)];
  const prints = positions.map((position) => printBlock(file, position)).join("; ");
  return `cp -p ${from} ${to} && { ${prints}; } > ${to} && mv ${to} ${from}`;
}

function appendBlock({ file, blocks }: StoredPair, index: number, target: string): string {
  return `${printBlock(file, blocks?.[index] ?? 1)} >> ${shellWord(target)}`;
}
