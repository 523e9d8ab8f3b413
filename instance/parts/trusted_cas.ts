/** Follows the CAs that the API trusts for client certificates: the instance's own and those of `clientCaFile`. */
import type { ConfigMap } from "../../core/kube/kinds/core_v1.ts";
import { configMapKind } from "../../core/kube/kinds/mod.ts";
import { type KubeObject, SYSTEM_NAMESPACE } from "../../core/kube/meta.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";
import type { FilePort } from "../../client/files.ts";
import { type BootstrapObject, reconcileObjects } from "../../server/bootstrap_objects.ts";
import type { ClientCa } from "../authority/instance_authorities.ts";
import type { InstanceDeps } from "../deps.ts";
import type { Part } from "./parts.ts";
import { readCaFile } from "../named_files.ts";
import { encodeCertificates, listBundled, parseAuthorityChain } from "../../core/pki/x509/ca_bundle.ts";
import type { Server, Storage } from "../../server/mod.ts";

/** Bundles of CA certificates, as PEM. */
interface ClientCas {
  /** The CAs whose certificates are accepted. */
  readonly trusted: string;
  /** Their issuers, which the TLS layer needs for a complete chain. Other certificates of these issuers are refused. */
  readonly issuers: string;
}

/** The CAs that an instance trusts for client certificates. */
interface TrustedCas {
  /** The CAs of the instance itself. */
  readonly own: readonly ClientCa[];
  /** The fingerprints of the CAs that were replaced, which are no longer trusted even if files still have them. */
  readonly retired: ReadonlySet<string>;
  readonly clientCaFile: string | undefined;
}

/**
 * Reads each CA of the instance, as it was loaded and as its file is now, and the bundle of `clientCaFile`.
 * AppError `io` or `ca_invalid` when the bundle cannot be read; an unreadable file of the instance is skipped.
 */
export async function readTrustedCas(
  { own, retired, clientCaFile }: TrustedCas,
  deps: { readonly files: FilePort; readonly cwd: string },
): Promise<ClientCas> {
  const trusted: CertificateFacts[] = [];
  const issuers: CertificateFacts[] = [];
  for (const { chain, certificateFile } of own) {
    trusted.push(chain.certificate);
    issuers.push(...chain.issuers);
    const current = parseAuthorityChain(await deps.files.readText(certificateFile) ?? "");
    if (!current.ok || retired.has(current.value.certificate.sha256Fingerprint)) continue;
    trusted.push(current.value.certificate);
    issuers.push(...current.value.issuers);
  }
  const others = clientCaFile === undefined ? [] : await readCaFile(clientCaFile, "client CA file", deps);
  return { trusted: encodeOnce([...trusted, ...others]), issuers: encodeOnce(issuers) };
}

/**
 * Publishes the CAs, and creates the part that reads them again, passes each change to a running server, and publishes
 * them again if the ConfigMap was deleted.
 */
export async function followClientCas(
  { server, storage, current, read, retired }: {
    readonly server: Pick<Server, "setClientCa" | "clientCas">;
    readonly storage: Storage;
    readonly current: ClientCas;
    readonly read: () => Promise<ClientCas>;
    /** Returns the fingerprints of the CAs that were replaced, which are no longer published. */
    readonly retired: () => ReadonlySet<string>;
  },
  deps: Pick<InstanceDeps, "clock" | "logger" | "random">,
): Promise<Part> {
  let { trusted, issuers } = current;
  const publish = () =>
    reconcileObjects({ ...deps, storage }, [
      createClientCaObject(server.clientCas(), retired(), deps.clock.now()),
    ]);
  await publish();
  return {
    async renew() {
      const next = await read();
      if (next.trusted !== trusted || next.issuers !== issuers) {
        ({ trusted, issuers } = next);
        server.setClientCa(trusted, issuers);
        deps.logger.info("client CAs changed");
      }
      // A temporary failure of the storage must not prevent other parts from renewing their certificates.
      await publish().catch((error: unknown) => deps.logger.warn("client CAs not published", { error }));
    },
  };
}

/** A CA stays published this long after it has expired (`filterExpiredCerts` of the controller below). */
const PUBLISHED_AFTER_END_MS = 5 * 60_000;

/**
 * Creates the ConfigMap `extension-apiserver-authentication` in `kube-system`, from which other programs read the CAs
 * whose client certificates the API accepts. A CA that another server published stays until it expires
 * (`pkg/controlplane/controller/clusterauthenticationtrust`), or is replaced.
 */
function createClientCaObject(
  cas: readonly CertificateFacts[],
  retired: ReadonlySet<string>,
  now: Date,
): BootstrapObject {
  const oldestEnd = now.getTime() - PUBLISHED_AFTER_END_MS;
  const encode = (published: readonly CertificateFacts[]) =>
    encodeOnce(
      [...published, ...cas].filter(({ notAfter, sha256Fingerprint }) =>
        notAfter.getTime() > oldestEnd && !retired.has(sha256Fingerprint)
      ),
    );
  const metadata = { namespace: SYSTEM_NAMESPACE, name: "extension-apiserver-authentication" };
  return {
    key: `/registry/configmaps/${metadata.namespace}/${metadata.name}`,
    kind: configMapKind,
    object: { metadata, data: { [CLIENT_CA_ENTRY]: encode([]) } } as KubeObject,
    plan(existing) {
      const configMap = existing as ConfigMap;
      const before = configMap.data?.[CLIENT_CA_ENTRY] ?? "";
      const after = encode(listBundled(before));
      if (after === before) return { kind: "none" };
      const object: ConfigMap = { ...configMap, data: { ...configMap.data, [CLIENT_CA_ENTRY]: after } };
      return { kind: "update", object };
    },
  };
}

const CLIENT_CA_ENTRY = "client-ca-file";

function encodeOnce(certificates: readonly CertificateFacts[]): string {
  const known = new Map(certificates.map((certificate) => [certificate.sha256Fingerprint, certificate]));
  return encodeCertificates([...known.values()]);
}
