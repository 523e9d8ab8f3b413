/** Shows the CAs of a data directory. */
import { resolve } from "node:path";
import { AppError } from "../../../core/errors.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import { formatKey, publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { detectKeyEncryption } from "../../../core/pki/keys/encrypted_key.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { shellWord } from "../../../core/lib/printable.ts";
import type { CasOnDisk } from "../../../core/ca_rotation/trust.ts";
import { readCasOnDisk } from "../../../instance/authority/ca_swap.ts";
import { hasSplitAuthorities, readChain } from "../../../instance/authority/files.ts";
import {
  type AuthorityPaths,
  authorityPaths,
  CA_PURPOSES,
  type CaPurpose,
} from "../../../instance/authority/layout.ts";
import type { caShowCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { type DescribedLine, formatDescription } from "../../output/layout.ts";
import {
  describeCertificate,
  describeNameConstraints,
  formatValidity,
  getExtendedUsageName,
} from "../../output/pki_facts.ts";
import { writeStructured } from "../../output/structured.ts";
import { formatFingerprint } from "../../../core/report/words.ts";
import { type CertificateChain, isSelfSigned } from "../../../core/pki/x509/ca_bundle.ts";

interface ShownCa {
  readonly purpose: CaPurpose;
  readonly paths: AuthorityPaths;
  readonly chain: CertificateChain;
  readonly key: "here" | "encrypted" | "not here";
  /** The CA that will sign, and the one that signed before, while the CA is being replaced. */
  readonly others: Pick<CasOnDisk, "next" | "old">;
}

export async function run({ settings }: Input<typeof caShowCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { dataDir } = settings;
  const paths = authorityPaths(dataDir);
  if (await tools.files.stat(resolve(tools.cwd, paths.certificate)) === undefined) {
    throw new AppError("not_found", `cannot read "${paths.certificate}": file does not exist`, {
      hint: `create a CA with: tlsboot ca init --data-dir ${shellWord(dataDir)}`,
    });
  }
  const split = await hasSplitAuthorities(resolve(tools.cwd, dataDir), tools.files);
  const purposes = split ? CA_PURPOSES : ["serving"] as const;
  const shown = await Promise.all(purposes.map((purpose) => readCa(dataDir, purpose, tools)));
  const now = tools.clock.now();
  if (settings.output === undefined) {
    const texts = shown.map((one) => formatDescription(describeCa(one, split, now)));
    tools.stdout.write(`${texts.join("\n\n")}\n`);
  } else {
    const [first, ...others] = shown.map((one) => toFacts(one, now));
    writeStructured({ ...first, split: split ? others : undefined }, settings.output, tools);
  }
  return EXIT.done;
}

async function readCa(dataDir: string, purpose: CaPurpose, tools: Tools): Promise<ShownCa> {
  const { files } = tools;
  const paths = authorityPaths(dataDir, purpose);
  const absolute = authorityPaths(resolve(tools.cwd, dataDir), purpose);
  const chain = await readChain(absolute, files);
  const keyPem = await files.readText(absolute.key);
  const key = keyPem === undefined ? "not here" : detectKeyEncryption(keyPem) === "none" ? "here" : "encrypted";
  return { purpose, paths, chain, key, others: await readCasOnDisk(absolute, files) };
}

function describeCa(
  { purpose, paths, chain, key, others }: ShownCa,
  split: boolean,
  now: Date,
): readonly DescribedLine[] {
  const { certificate, issuers } = chain;
  const { maxPathLength } = certificate;
  const top = issuers.at(-1) ?? certificate;
  return [
    ["For", split ? PURPOSE_TEXT[purpose] : undefined],
    ["Certificate", paths.certificate],
    ["Private key", `${key === "not here" ? key : paths.key}${key === "encrypted" ? ", under a passphrase" : ""}`],
    ["Subject", formatName(certificate.subject)],
    ...issuers.map((issuer) => ["Issued by", formatIssuer(issuer, now)] as const),
    ["Issued by", isSelfSigned(top) ? undefined : `${formatName(top.issuer)}, which is not in the file`],
    ["Serial number", certificate.serialNumber],
    ["Key", formatKey(certificate)],
    ["Validity", formatValidity(certificate, now)],
    ...[certificate, ...issuers].map((one) => ["May issue for", describeConstraints(one, certificate)] as const),
    ["Certifies for", certificate.extendedKeyUsages.map(getExtendedUsageName).join(", ")],
    [
      "CAs below it",
      maxPathLength === 0 ? "none" : maxPathLength === undefined ? undefined : `at most ${maxPathLength}`,
    ],
    ["SHA-256", formatFingerprint(certificate.sha256Fingerprint)],
    ["Public key pin", publicKeyPin(certificate)],
    ["Next CA", others.next && describeOther(others.next)],
    ["Old CA", others.old && describeOther(others.old)],
  ];
}

function describeOther({ certificate }: CertificateChain): string {
  const until = formatTime(certificate.notAfter);
  return `${formatName(certificate.subject)}, until ${until}, trusted too; see: tlsboot ca rotate status`;
}

function formatIssuer(issuer: CertificateFacts, now: Date): string {
  const root = isSelfSigned(issuer) ? ", a root" : "";
  return `${formatName(issuer.subject)}${root}, ${formatValidity(issuer, now)}`;
}

function describeConstraints(one: CertificateFacts, certificate: CertificateFacts): string | undefined {
  if (one.nameConstraints === undefined) return one === certificate ? "any name" : undefined;
  const whose = one === certificate ? "" : ` (set by ${formatName(one.subject)})`;
  return `${describeNameConstraints(one.nameConstraints)}${whose}`;
}

function toFacts({ purpose, paths, chain, key, others }: ShownCa, now: Date): Readonly<Record<string, unknown>> {
  return {
    purpose,
    certificate: paths.certificate,
    hasKey: key !== "not here",
    isKeyEncrypted: key === "encrypted",
    ...certificateFacts(chain.certificate, now),
    issuers: chain.issuers.map((issuer) => certificateFacts(issuer, now)),
    nextCA: others.next && certificateFacts(others.next.certificate, now),
    oldCA: others.old && certificateFacts(others.old.certificate, now),
  };
}

function certificateFacts(certificate: CertificateFacts, now: Date): Readonly<Record<string, unknown>> {
  const { facts } = describeCertificate(certificate, now);
  return { ...facts, maxPathLength: certificate.maxPathLength, publicKeyPin: publicKeyPin(certificate) };
}

/** The purpose of each CA in words. */
const PURPOSE_TEXT: Readonly<Record<CaPurpose, string>> = {
  serving: "the API server's certificate; clients of the API trust it",
  client: "clients of the API (kubernetes.io/kube-apiserver-client) and administrators; the API trusts it",
  "kubelet-client": "kubelets as clients of the API (kubernetes.io/kube-apiserver-client-kubelet); the API trusts it",
  "kubelet-serving": "kubelets as servers (kubernetes.io/kubelet-serving); for kube-apiserver's " +
    "--kubelet-certificate-authority",
  custom: "custom signers (--signer)",
};
