/** The CAs that the API trusts for client certificates, the instance's own and those of `--client-ca-file`, as they change. */
import { AppError } from "../../core/errors.ts";
import { encodeCertificates, parseAuthorityChain } from "../../core/pki/authority_chain.ts";
import { parseCaBundle } from "../../core/pki/ca_bundle.ts";
import type { CertificateFacts } from "../../core/pki/certificate.ts";
import type { FilePort } from "../../client/files.ts";
import type { Server } from "../../server/server.ts";
import type { ClientCa } from "../authority/instance_authorities.ts";
import type { InstanceDeps } from "./deps.ts";
import type { Part } from "./parts.ts";
import { type FilePlace, readRequiredFile } from "./required_file.ts";

/** Bundles of CA certificates, as PEM. */
export interface ClientCas {
  /** The CAs whose certificates are accepted. */
  readonly trusted: string;
  /** Their issuers: the TLS layer needs a complete chain, but other certificates of these issuers are not accepted. */
  readonly issuers: string;
}

/**
 * Reads each CA of the instance, as it was at the start and as its file is now, and the bundle of `--client-ca-file`.
 * AppError `io` or `ca_invalid` when the bundle cannot be read; an unreadable file of the instance is skipped.
 */
export async function readTrustedCas(
  own: readonly ClientCa[],
  clientCaFile: string | undefined,
  deps: { readonly files: FilePort; readonly cwd: string },
): Promise<ClientCas> {
  const trusted: CertificateFacts[] = [];
  const issuers: CertificateFacts[] = [];
  for (const { chain, certificateFile } of own) {
    trusted.push(chain.certificate);
    issuers.push(...chain.issuers);
    const current = parseAuthorityChain(await deps.files.readText(certificateFile) ?? "");
    if (!current.ok) continue;
    trusted.push(current.value.certificate);
    issuers.push(...current.value.issuers);
  }
  const others = clientCaFile === undefined ? [] : await readBundle(clientCaFile, deps);
  return { trusted: encodeOnce([...trusted, ...others]), issuers: encodeOnce(issuers) };
}

/** Creates the part that rereads the CAs and passes each change to a running server. */
export function followClientCas(
  { server, current, read }: {
    readonly server: Pick<Server, "setClientCa">;
    readonly current: ClientCas;
    readonly read: () => Promise<ClientCas>;
  },
  { logger }: Pick<InstanceDeps, "logger">,
): Part {
  let { trusted, issuers } = current;
  return {
    async renew() {
      const next = await read();
      if (next.trusted === trusted && next.issuers === issuers) return;
      ({ trusted, issuers } = next);
      server.setClientCa(trusted, issuers);
      logger.info("client CAs changed");
    },
  };
}

async function readBundle(
  path: string,
  place: FilePlace,
): Promise<readonly CertificateFacts[]> {
  const bundle = parseCaBundle(await readRequiredFile(path, place));
  if (bundle.ok) return bundle.value;
  throw new AppError("ca_invalid", `cannot use client CA file "${path}": ${bundle.error}`, {
    hint: "give a file with one or more PEM CERTIFICATE blocks",
  });
}

function encodeOnce(certificates: readonly CertificateFacts[]): string {
  const known = new Map(certificates.map((certificate) => [certificate.sha256Fingerprint, certificate]));
  return encodeCertificates([...known.values()]);
}
