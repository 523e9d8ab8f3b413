/** `bootstrap.kubeconfig` of `up`, with a bootstrap token that is replaced when it has expired or was deleted. */
import { formatBootstrapToken, generateBootstrapToken, parseBootstrapToken } from "../../core/bootstrap/token.ts";
import {
  BOOTSTRAP_TOKEN_USAGES,
  createTokenSecret,
  decideTokenSecret,
  listTokenFacts,
  toTokenSecretName,
} from "../../core/bootstrap/token_secret.ts";
import { Secret } from "../../core/lib/brand.ts";
import { encodeKubeconfig, parseKubeconfig } from "../../core/kube/kubeconfig.ts";
import type { SecretObject as KubeSecret } from "../../core/kube/core_v1.ts";
import type { ObjectStore } from "../../core/ports.ts";
import { type DataDir, SECRET_MODE } from "./data_dir.ts";
import { TLSBOOT_GROUP } from "./instance_rbac.ts";
import type { CertificateDeps } from "./serving.ts";

const TOKEN_LIFE_MS = 24 * 3_600_000;
const CLUSTER_NAME = "tlsboot";
const USER_NAME = "tls-bootstrap-token-user";

/** Ensures that the kubeconfig has a valid token. Returns its expiration, undefined for a token that never expires. */
export async function ensureBootstrapKubeconfig(
  dir: DataDir,
  secrets: ObjectStore<KubeSecret>,
  cluster: { readonly server: string; readonly caPem: string },
  deps: CertificateDeps,
  signal: AbortSignal,
): Promise<Date | undefined> {
  const now = deps.clock.now();
  const kept = await readToken(dir, cluster, deps);
  if (kept !== undefined) {
    const secret = await secrets.get(toTokenSecretName(kept.id), signal);
    if (secret !== undefined && decideTokenSecret(secret, kept, now).ok) {
      const expiration = listTokenFacts(secret)?.expiration;
      return expiration?.kind === "at" ? expiration.at : undefined;
    }
  }
  const token = generateBootstrapToken(deps.random);
  const expiration = new Date(now.getTime() + TOKEN_LIFE_MS);
  await secrets.create(
    createTokenSecret({
      token,
      expiration,
      usages: BOOTSTRAP_TOKEN_USAGES,
      groups: [TLSBOOT_GROUP],
      description: "made by tlsboot up for bootstrap.kubeconfig",
    }),
    signal,
  );
  await deps.files.writeAtomic(
    dir.bootstrapKubeconfig,
    encodeKubeconfig({
      clusters: [{ name: CLUSTER_NAME, cluster: { server: cluster.server, certificateAuthorityData: cluster.caPem } }],
      contexts: [{ name: CLUSTER_NAME, context: { cluster: CLUSTER_NAME, user: USER_NAME } }],
      users: [{ name: USER_NAME, user: { token: new Secret(formatBootstrapToken(token)) } }],
      currentContext: CLUSTER_NAME,
    }),
    SECRET_MODE,
  );
  deps.logger.info("bootstrap kubeconfig written", { path: dir.bootstrapKubeconfig, tokenId: token.id, expiration });
  return expiration;
}

async function readToken(
  dir: DataDir,
  cluster: { readonly server: string; readonly caPem: string },
  deps: CertificateDeps,
): Promise<ReturnType<typeof generateBootstrapToken> | undefined> {
  const text = await deps.files.readText(dir.bootstrapKubeconfig);
  if (text === undefined) return undefined;
  const config = parseKubeconfig(text, dir.bootstrapKubeconfig);
  if (!config.ok) return undefined;
  const entry = config.value.clusters[0]?.cluster;
  if (entry?.server !== cluster.server || entry.certificateAuthorityData !== cluster.caPem) return undefined;
  const token = config.value.users[0]?.user.token;
  if (token === undefined) return undefined;
  const parsed = parseBootstrapToken(token.reveal());
  return parsed.ok ? parsed.value : undefined;
}
