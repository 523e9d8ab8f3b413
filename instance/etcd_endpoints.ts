/** The address of an etcd and the credentials for it, from settings and the files that they name. */
import { resolve } from "node:path";
import { parseCredentialPair } from "../core/machine/credential_pair.ts";
import { AppError } from "../core/errors.ts";
import { parseCaBundle } from "../core/pki/x509/ca_bundle.ts";
import type { FilePort } from "../client/files.ts";
import type { EtcdEndpoints } from "../server/storage/etcd/open.ts";
import { checkPrivateFile } from "../client/private_file.ts";
import type { EtcdSettings } from "./settings.ts";
import { readRequiredFile } from "./deps.ts";

interface Place {
  readonly files: FilePort;
  readonly cwd: string;
}

/**
 * Reads and checks the settings and files of etcd. AppError `usage`, `io`, `ca_invalid`, `key_invalid`,
 * `file_permissions`.
 */
export async function readEtcdEndpoints(settings: EtcdSettings, place: Place): Promise<EtcdEndpoints> {
  const { etcdServers: servers, etcdCafile, etcdCertfile, etcdKeyfile, etcdPrefix: prefix } = settings;
  const scheme = assertOneScheme(servers);
  if (scheme === "http:" && (etcdCafile ?? etcdCertfile) !== undefined) {
    throw new AppError(
      "usage",
      `the setting ${etcdCafile === undefined ? "etcdCertfile" : "etcdCafile"} has no effect for an etcd without TLS`,
      { hint: "write https:// in the setting etcdServers, or leave the certificates out" },
    );
  }
  return {
    servers,
    caPem: etcdCafile === undefined ? undefined : await readCas(etcdCafile, place),
    certificate: etcdCertfile === undefined || etcdKeyfile === undefined
      ? undefined
      : await readCertificate(etcdCertfile, etcdKeyfile, place),
    prefix,
  };
}

function assertOneScheme(servers: readonly string[]): string {
  const [first = "", ...others] = servers.map((server) => new URL(server).protocol);
  if (others.every((scheme) => scheme === first)) return first;
  throw new AppError("usage", "the setting etcdServers: some servers are http and others https", {
    hint: "give all with the same scheme",
  });
}

async function readCas(path: string, place: Place): Promise<string> {
  const pem = await readRequiredFile(path, place);
  const bundle = parseCaBundle(pem);
  if (bundle.ok) return pem;
  throw new AppError("ca_invalid", `cannot use CA file "${path}" for etcd: ${bundle.error}`, {
    hint: "give a file with one or more PEM CERTIFICATE blocks",
  });
}

async function readCertificate(
  certificatePath: string,
  keyPath: string,
  place: Place,
): Promise<{ readonly certificatePem: string; readonly keyPem: string }> {
  const certificatePem = await readRequiredFile(certificatePath, place);
  await checkPrivateFile(resolve(place.cwd, keyPath), place.files);
  const keyPem = await readRequiredFile(keyPath, place);
  const pair = parseCredentialPair(certificatePem, keyPem);
  if (pair.ok) return { certificatePem, keyPem };
  throw new AppError("key_invalid", `cannot use "${certificatePath}" and "${keyPath}" for etcd: ${pair.error}`, {
    hint: "give a PEM certificate with the setting etcdCertfile and its unencrypted key with the setting etcdKeyfile",
  });
}
