/** Describes a kubeconfig: its server, the CAs that it trusts, its credentials and their validity. */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { KUBECONFIG_KIND } from "../../../client/health/files.ts";
import { parseKubeconfig } from "../../../core/kube/kubeconfig/kubeconfig.ts";
import { type PemSource, resolveContext } from "../../../core/kube/kubeconfig/context.ts";
import type { Secret } from "../../../core/lib/brand.ts";
import { findCertificates } from "../../../core/pki/x509/ca_bundle.ts";
import type { CertificateFacts } from "../../../core/pki/x509/certificate.ts";
import { parsePrivateKey, publicKeysEqual } from "../../../core/pki/keys/keys.ts";
import { formatName } from "../../../core/pki/x509/names.ts";
import { formatValidity } from "../../output/certificate_text.ts";
import { describeCertificate, describeUnreadable, type Inspection } from "../../output/pki_facts.ts";
import { parseBootstrapToken } from "../../../core/token/token_secret.ts";

/** Describes the kubeconfig in a text; empty when the text is not a kubeconfig. */
export async function inspectKubeconfig(text: string, path: string, now: Date): Promise<readonly Inspection[]> {
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
