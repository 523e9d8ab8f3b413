/** Shows the contents of files: certificates, requests, keys and kubeconfigs, in PEM or DER. */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { KUBECONFIG_KIND, OLDER_PAIR } from "../../../client/health/files.ts";
import { AppError, isAppError } from "../../../core/errors.ts";
import { type CertificateFacts, parseCertificate } from "../../../core/pki/x509/certificate.ts";
import { parsePrivateKey, publicKeysEqual } from "../../../core/pki/keys/keys.ts";
import { encodePem, parsePemBlocks, type PemBlock } from "../../../core/pki/asn1/pem.ts";
import { parseCertificationRequest } from "../../../core/pki/x509/pkcs10.ts";
import type { ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { line } from "../../../core/lib/printable.ts";
import {
  describeCertificate,
  describeKey,
  describeRequestFacts,
  describeUnreadable,
  formatValidity,
  type FoundIn,
  type Inspection,
  relateKeys,
} from "../../output/pki_facts.ts";
import { writeStructured } from "../../output/structured.ts";
import { readInput } from "../../output/files.ts";
import { formatDescription } from "../../output/layout.ts";
import type { inspectCommand } from "./flags.ts";
import { parseKubeconfig, type PemSource, resolveContext } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import type { Secret } from "../../../core/lib/brand.ts";
import { findCertificates } from "../../../core/pki/x509/ca_bundle.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { parseBootstrapToken } from "../../../core/token/token_secret.ts";
import { forEachItem } from "../../framework/report.ts";

/** The maximum size of a file. Certificates, requests and kubeconfigs are much smaller. */
const MAX_BYTES = 16 * 1024 * 1024;
/** The tag of a SEQUENCE, with which every DER structure here starts. */
const DER_SEQUENCE = 0x30;

export async function run(input: Input<typeof inspectCommand.flags>, tools: Tools): Promise<ExitCode> {
  const { output } = input.settings;
  const found: FoundIn[] = [];
  const code = await forEachItem(input.args, async (name) => {
    const findings = await inspectName(name, tools);
    if (findings.length === 0) {
      throw new AppError("invalid", `cannot inspect "${name}": it contains no certificate, request, key or kubeconfig`);
    }
    found.push(...findings);
  }, tools);
  // A key and its certificate may be in two files, so all files are read before anything is printed.
  const related = relateKeys(found);
  if (output === undefined) tools.stdout.write(related.map(render).join(""));
  else writeStructured(related.map(({ file, finding }) => ({ file, ...finding.facts })), output, tools);
  return code;
}

/** Inspects a file, or the files of a folder, in which unknown files are ignored. */
async function inspectName(name: string, tools: Tools): Promise<readonly FoundIn[]> {
  if (name === "-") return await inspectFile(name, tools);
  const entries = await readdir(resolve(tools.cwd, name), { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return await inspectFile(name, tools);
  const found: FoundIn[] = [];
  for (const entry of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
    if (entry.name.startsWith(".") || OLDER_PAIR.test(entry.name)) continue;
    const facts = await tools.files.stat(resolve(tools.cwd, name, entry.name));
    if (facts?.kind !== "file") continue;
    const findings = inspectFile(join(name, entry.name), tools).catch((error: unknown) => {
      // The file is too large: it may be a database.
      if (isAppError(error, "invalid")) return [];
      throw error;
    });
    found.push(...await findings);
  }
  return found;
}

async function inspectFile(file: string, tools: Tools): Promise<readonly FoundIn[]> {
  const findings = await inspectBytes(
    await readInput(file, MAX_BYTES, tools),
    resolve(tools.cwd, file),
    tools.clock.now(),
  );
  return findings.map((finding) => ({ file, finding }));
}

function render({ file, finding: { title, lines } }: FoundIn): string {
  return `${line`${file}: ${title}`}\n${formatDescription(lines.map(([name, value]) => [`  ${name}`, value]))}\n`;
}

/** Lists everything in the bytes; empty when nothing is recognized. A kubeconfig's paths are relative to `path`. */
async function inspectBytes(
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  now: Date,
): Promise<readonly Inspection[]> {
  const text = new TextDecoder("latin1").decode(bytes);
  const blocks = parsePemBlocks(text);
  if (blocks.length > 0) return inspectBlocks(blocks, now);
  if (bytes[0] === DER_SEQUENCE) {
    const found = inspectDer(bytes, now);
    return found === undefined ? [] : [found];
  }
  return await inspectKubeconfig(new TextDecoder().decode(bytes), path, now);
}

function inspectBlocks(blocks: readonly PemBlock[], now: Date): readonly Inspection[] {
  return blocks.map((block) => {
    if (block.label === "CERTIFICATE") {
      const certificate = parseCertificate(block.bytes);
      return certificate.ok
        ? describeCertificate(certificate.value, now)
        : describeUnreadable("certificate", certificate.error);
    }
    if (block.label === "CERTIFICATE REQUEST" || block.label === "NEW CERTIFICATE REQUEST") {
      const request = parseCertificationRequest(block.bytes);
      return request.ok ? describeRequestFacts(request.value) : describeUnreadable("certificateRequest", request.error);
    }
    if (block.label.endsWith("PRIVATE KEY")) {
      const headers = Object.entries(block.headers).map(([name, value]) => `${name}: ${value}\n`).join("");
      const pem = encodePem(block.label, block.bytes);
      const key = parsePrivateKey(headers === "" ? pem : pem.replace("\n", () => `\n${headers}\n`));
      return key.ok ? describeKey(key.value) : describeUnreadable("privateKey", key.error);
    }
    return describeUnreadable("unknown", `a PEM block "${block.label}" is not supported`);
  });
}

function inspectDer(bytes: Uint8Array<ArrayBuffer>, now: Date): Inspection | undefined {
  const certificate = parseCertificate(bytes);
  if (certificate.ok) return describeCertificate(certificate.value, now);
  const request = parseCertificationRequest(bytes);
  if (request.ok) return describeRequestFacts(request.value);
  for (const label of ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"]) {
    const key = parsePrivateKey(encodePem(label, bytes));
    if (key.ok) return describeKey(key.value);
  }
  return undefined;
}

/** Describes the kubeconfig in a text; empty when the text is not a kubeconfig. */
async function inspectKubeconfig(text: string, path: string, now: Date): Promise<readonly Inspection[]> {
  if (!KUBECONFIG_KIND.test(text)) return [];
  const config = parseKubeconfig(text, path);
  if (!config.ok) return [describeUnreadable("kubeconfig", config.error)];
  const context = resolveContext(config.value, dirname(path));
  if (!context.ok) return [describeUnreadable("kubeconfig", context.error)];
  const { server, ca, clientCertificate, clientKey, token, tokenFile } = context.value;
  const authorities = ca === undefined ? [] : await readCertificates(ca);
  const identities = clientCertificate === undefined ? [] : await readCertificates(clientCertificate);
  const certificates = [
    ...authorities.map((certificate) => ["Trusts", certificate] as const),
    ...identities.slice(0, 1).map((certificate) => ["Client certificate", certificate] as const),
  ];
  const keyFault = clientKey === undefined ? undefined : await findKeyFault(clientKey, identities[0]);
  const parsed = token && parseBootstrapToken(token.reveal());
  const bootstrap = parsed?.ok === true ? parsed.value : undefined;
  return [{
    title: `kubeconfig, context "${config.value.currentContext}"`,
    lines: [
      ["Server", server],
      ...certificates.map(([name, certificate]) => [name, summarizeCertificate(certificate, now)] as const),
      ["Trusts", ca !== undefined && authorities.length === 0 ? "cannot be read" : undefined],
      ["Client certificate", clientCertificate !== undefined && identities.length === 0 ? "cannot be read" : undefined],
      ["Client key", clientKey && (keyFault ?? "belongs to the client certificate")],
      ["Token", token && (bootstrap === undefined ? "a token" : `bootstrap token ${bootstrap.id}`)],
      ["Token file", tokenFile],
    ],
    facts: {
      kind: "kubeconfig",
      context: config.value.currentContext,
      server,
      trusts: authorities.map((certificate) => describeCertificate(certificate, now).facts),
      clientCertificate: identities[0] && describeCertificate(identities[0], now).facts,
      clientKeyMatches: clientKey && keyFault === undefined,
      bootstrapTokenId: bootstrap?.id,
      tokenFile,
    },
  }];
}

function summarizeCertificate(certificate: CertificateFacts, now: Date): string {
  return `"${formatName(certificate.subject)}" ${formatValidity(certificate, now)}`;
}

/** Explains why a key does not belong to the client certificate; undefined when it does. */
async function findKeyFault(
  source: PemSource<Secret<string>>,
  certificate: CertificateFacts | undefined,
): Promise<string | undefined> {
  const pem = source.kind === "pem" ? source.pem.reveal() : await readFile(source.path, "utf8").catch(() => undefined);
  const key = pem === undefined ? undefined : parsePrivateKey(pem);
  if (key?.ok !== true) return `cannot be read${key === undefined ? "" : `: ${key.error}`}`;
  if (certificate === undefined) return undefined;
  return publicKeysEqual(key.value.publicKeyDer(), certificate.publicKeyDer)
    ? undefined
    : "does not belong to the client certificate";
}

async function readCertificates(source: PemSource): Promise<readonly CertificateFacts[]> {
  return findCertificates(source.kind === "pem" ? source.pem : await readFile(source.path, "utf8").catch(() => ""));
}
