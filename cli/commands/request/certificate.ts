/**
 * A certificate that a command has requested: the checks of its settings before, the answer, and what follows, which is a
 * PKCS#12 file and a command. Both are repeated until they have succeeded once.
 */
import { join, resolve } from "node:path";
import type { PairPaths } from "../../../client/certificate/pair_folder.ts";
import type { SubmittedRequest } from "../../../client/certificate/submit_request.ts";
import { type FilePort, SECRET_MODE } from "../../../client/files.ts";
import type { RequestOutcome } from "../../../client/request_certificate.ts";
import { type CredentialPair, parseCredentialPair } from "../../../core/machine/credential_pair.ts";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { listBundled } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { encodePkcs12 } from "./pkcs12.ts";
import { toExpirationSeconds } from "../../flags/request.ts";
import type { Settings } from "../../framework/flags.ts";
import { UsageError } from "../../framework/usage_error.ts";
import { createHookError, runHooks } from "../../hooks.ts";
import type { Tools } from "../../io.ts";
import { displayPath } from "../../output/display_path.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import { startProgress } from "../../output/progress.ts";
import { writeStructured } from "../../output/structured.ts";
import { describeCertificate } from "../../output/pki_facts.ts";
import type { CERTIFICATE_FLAGS } from "./flags.ts";
import { createPassphrases } from "../../passphrases/passphrase.ts";
import { reportPending, type WantedCertificate } from "../../output/request_certificate.ts";

/** The settings and the files of the certificate, and the tools. */
export interface Delivery extends Tools {
  readonly settings: Settings<typeof CERTIFICATE_FLAGS>;
  readonly signerName: string;
  /** The name for hooks and in the PKCS#12 file. */
  readonly name: string;
  /** The name in messages; the subject of the certificate by default. */
  readonly title?: string;
  /** The absolute path of the folder. */
  readonly folder: string;
  readonly paths: PairPaths & { readonly ca?: string };
}

/** A request that waits, or a certificate. */
export type DeliveredOutcome =
  | RequestOutcome & { readonly kind: "pending" }
  | { readonly kind: "kept" | "issued"; readonly leaf: CertificateFacts; readonly submitted?: SubmittedRequest };

/** Throws UsageError for settings that contradict each other. */
export function checkCertificateSettings(settings: Delivery["settings"]): void {
  const { duration, renewBefore } = settings;
  if (duration !== undefined && renewBefore !== undefined && renewBefore >= duration) {
    throw new UsageError("--renew-before must be shorter than --duration: the certificate would be replaced each time");
  }
}

/** Returns what the settings say about the certificate and the wait for it. */
export function toWantedCertificate({ timeout, duration, renewBefore }: Delivery["settings"]): WantedCertificate {
  return {
    timeoutSeconds: timeout / 1000,
    expirationSeconds: toExpirationSeconds(duration),
    renewBeforeMs: renewBefore,
  };
}

/** Prints the answer, and does what follows a certificate. AppError `hook_failed`. */
export async function deliver(outcome: DeliveredOutcome, delivery: Delivery): Promise<void> {
  const { settings: { output } } = delivery;
  if (output === undefined) delivery.stdout.write(escapeText(describeDelivery(outcome, delivery)));
  else writeStructured(toFacts(outcome, delivery), output, delivery);
  if (outcome.kind === "pending") return reportPending(outcome, delivery);
  const faults = await followUp(delivery);
  if (faults.length > 0) throw createHookError("the certificate", faults);
}

/** Describes the answer for people. */
export function describeDelivery(outcome: DeliveredOutcome, { title, paths, cwd }: Delivery): string {
  if (outcome.kind === "pending") return `request ${outcome.submitted.name} is pending\n`;
  const { kind, leaf } = outcome;
  const subject = title ??
    (formatName(leaf.subject) ||
      [...leaf.dnsNames, ...leaf.ipAddresses, ...leaf.uris, ...leaf.emailAddresses].join(","));
  const until = `valid until ${formatTime(leaf.notAfter)}`;
  if (kind === "kept") return `nothing to do: the certificate of ${subject} is ${until}\n`;
  const shown = (path: string) => displayPath(path, cwd);
  return `certificate of ${subject} issued, ${until}
certificate: ${shown(paths.certificate)}
key: ${shown(paths.key)}
both: ${shown(paths.combined)}
${paths.ca === undefined ? "" : `CA: ${shown(paths.ca)}\n`}`;
}

/** Returns the answer for programs. Keys may be added, but never removed or changed. */
function toFacts(outcome: DeliveredOutcome, { signerName, paths, clock }: Delivery): unknown {
  const { kind, submitted } = outcome;
  return {
    outcome: kind,
    signerName: outcome.kind === "pending" ? outcome.signerName : signerName,
    ...(submitted === undefined ? {} : {
      request: { name: submitted.name, uid: submitted.uid, adopted: submitted.adopted },
    }),
    ...(outcome.kind === "pending" ? { pendingKey: outcome.pendingKeyPath } : {
      files: paths,
      certificate: describeCertificate(outcome.leaf, clock.now()).facts,
    }),
  };
}

/**
 * Does what the settings ask for after a new certificate, unless an earlier run has done so for the same certificate.
 * Returns what has failed.
 */
export async function followUp(delivery: Delivery): Promise<readonly string[]> {
  const { settings: { exec, pkcs12 }, folder, paths, name, files, cwd } = delivery;
  if (exec === undefined && pkcs12 === undefined) return [];
  const pair = await readPair(paths, files);
  const marker = join(folder, ".followed");
  const fingerprint = `${pair.leaf.sha256Fingerprint}\n`;
  const isDone = await files.readText(marker) === fingerprint;
  const target = pkcs12 === undefined ? undefined : resolve(cwd, pkcs12);
  if (target !== undefined && (!isDone || await files.stat(target) === undefined)) {
    await writePkcs12(target, pair, delivery);
  }
  if (isDone) return [];
  const change = { purpose: "serving" as const, pair, certificatePath: paths.certificate };
  const faults = await runHooks({ exec, signals: [] }, change, { ...delivery, nodeName: name });
  if (faults.length === 0) await files.writeAtomic(marker, fingerprint, SECRET_MODE);
  return faults;
}

async function readPair({ certificate, key }: Delivery["paths"], files: FilePort): Promise<CredentialPair> {
  const pair = parseCredentialPair(await files.readText(certificate) ?? "", await files.readText(key) ?? "");
  if (pair.ok) return pair.value;
  throw new AppError("pki_invalid", `cannot use "${certificate}": ${pair.error}`);
}

async function writePkcs12(path: string, pair: CredentialPair, delivery: Delivery): Promise<void> {
  const { settings: { pkcs12PasswordFile }, paths, name, files } = delivery;
  const words = { what: "PKCS#12 file", flag: "--pkcs12-password-file" };
  const passwords = createPassphrases(pkcs12PasswordFile, delivery, words);
  const password = await passwords.getForCreating(displayPath(path, delivery.cwd));
  if (!/^[\x20-\x7e]*$/.test(password.reveal())) {
    throw new AppError("invalid", `cannot write "${path}": the password has characters outside of ASCII`, {
      hint: "Java cannot open such a file; choose letters, digits and punctuation of ASCII",
    });
  }
  const bundle = listBundled(paths.ca === undefined ? "" : await files.readText(paths.ca) ?? "");
  const [leaf, ...above] = pair.chain;
  const known = new Set(pair.chain.map(({ sha256Fingerprint }) => sha256Fingerprint));
  const roots = bundle.filter(({ sha256Fingerprint }) => !known.has(sha256Fingerprint));
  const issuers = [...above, ...roots].map(({ der }) => der);
  using _progress = startProgress(delivery, "encrypting the key");
  const contents = { key: pair.key, certificate: (leaf ?? pair.leaf).der, issuers, name };
  const bytes = await encodePkcs12(contents, password.reveal(), delivery.random);
  await files.writeAtomic(path, bytes, SECRET_MODE);
}
