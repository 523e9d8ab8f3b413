/** The address of an etcd and the credentials for it, from settings and the files that they name. */
import { resolve } from "node:path";
import { AppError } from "../../core/errors.ts";
import type { FilePort } from "../../client/files.ts";
import type { EtcdEndpoints } from "../../server/storage/etcd/open.ts";
import { checkPrivateFile } from "../../client/private_file.ts";
import { type EtcdSettings, parseEtcdServer, parseSetting } from "../settings.ts";
import { readCaFile, readPairFiles } from "../named_files.ts";
import { encodeCertificates } from "../../core/pki/authority/issue.ts";

interface Place {
  readonly files: FilePort;
  readonly cwd: string;
}

/**
 * Reads and checks the settings and files of etcd. AppError `usage`, `io`, `ca_invalid`, `key_invalid`,
 * `file_permissions`.
 */
export async function readEtcdEndpoints(settings: EtcdSettings, place: Place): Promise<EtcdEndpoints> {
  const { etcdCafile, etcdCertfile, etcdKeyfile, etcdPrefix: prefix } = settings;
  const servers = parseSetting("etcdServers", settings.etcdServers, parseEtcdServer);
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
    caPem: etcdCafile === undefined
      ? undefined
      : encodeCertificates(await readCaFile(etcdCafile, "etcd CA file", place)),
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

async function readCertificate(
  certificatePath: string,
  keyPath: string,
  place: Place,
): Promise<EtcdEndpoints["certificate"]> {
  await checkPrivateFile(resolve(place.cwd, keyPath), place.files);
  const pair = await readPairFiles(certificatePath, keyPath, "connect to etcd with", place);
  return { certificatePem: pair.certificatePem, keyPem: pair.privateKeyPem };
}
