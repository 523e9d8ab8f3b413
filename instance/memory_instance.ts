/** An API server in memory with its controllers and a new CA, without files. `startTestServer` starts it. */
import { parseLeaf } from "./parts/register.ts";
import { Register } from "../server/register/register.ts";
import { MASTERS_GROUP } from "../core/kube/user.ts";
import { Secret } from "../core/lib/brand.ts";
import { createAuthority } from "../core/pki/authority/authority.ts";
import { SERIAL_BYTES } from "../core/pki/authority/issue.ts";
import { generatePrivateKey } from "../core/pki/keys/keys.ts";
import { DEFAULT_ISSUER, KEY_SET_PATH } from "../core/service_accounts/issuer_documents.ts";
import { BACKDATE_MS, DEFAULT_SIGNING_SECONDS } from "../core/signing/profile.ts";
import { createMemoryStorage, type Server } from "../server/mod.ts";
import { ADMIN_NAME, createAdminKubeconfig } from "./parts/admin_kubeconfig.ts";
import { createInstanceMetrics, startApiServer } from "./parts/api_server.ts";
import { createTrustLookup, runInProcess, UP_SIGNERS } from "./controllers/controllers.ts";
import { autoApproveBinding, initialBindings } from "./instance_rbac.ts";
import { ensureClusterInfo } from "./joining.ts";
import { Parts, runInBackground } from "./parts/parts.ts";
import { keepRevocations, revocationObjects } from "./parts/revocation.ts";
import { createTokenSigner } from "./parts/service_accounts.ts";
import { issuePair } from "./authority/issue_pair.ts";
import { encodeHex } from "../core/lib/encodings.ts";
import type { ControllerDeps } from "./deps.ts";
import { tokenApproverObjects } from "./controllers/run_approver.ts";

const LIFETIME_MS = DEFAULT_SIGNING_SECONDS * 1_000;
const BIND_ADDRESS = "127.0.0.1";

/** An instance in memory. Disposing it stops the controllers and the server, and drops all objects. */
interface MemoryInstance extends AsyncDisposable {
  readonly server: Server;
  readonly url: string;
  readonly caPem: string;
  /** A bearer token of an administrator. */
  readonly token: string;
  /** The kubeconfig of an administrator. */
  readonly kubeconfig: string;
}

/** Starts the server on a free port of `127.0.0.1`. */
export async function startMemoryInstance(
  { autoApprove = false, without = [], signingDurationSeconds = DEFAULT_SIGNING_SECONDS, allowMlDsa = false }: {
    readonly autoApprove?: boolean;
    readonly without?: readonly ("approver" | "signer")[];
    readonly signingDurationSeconds?: number;
    readonly allowMlDsa?: boolean;
  },
  ports: Pick<ControllerDeps, "clock" | "random" | "logger">,
): Promise<MemoryInstance> {
  const { clock, random } = ports;
  const now = clock.now().getTime();
  const ca = await createAuthority({
    commonName: "tlsboot-test-ca",
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + 10 * LIFETIME_MS),
    key: await generatePrivateKey("ecdsa-p256"),
    serial: random.bytes(SERIAL_BYTES),
  });
  const serving = await issuePair(ca, {
    subject: { commonName: "tlsboot-test-server" },
    dnsNames: ["localhost"],
    ipAddresses: [BIND_ADDRESS, "::1"],
    usages: ["digital signature", "server auth"],
    lifetimeMs: LIFETIME_MS,
  }, ports);
  const token = encodeHex(random.bytes(16));
  const metrics = createInstanceMetrics(clock);
  const signer = await createTokenSigner();
  const place = { url: "" };

  await using starting = new Parts();
  const storage = starting.add(createMemoryStorage(ports));
  const register = starting.add(await Register.open({ ...ports, storage }));
  await register.ensureRecorded(ca.certificate, "ca");
  await register.ensureRecorded(parseLeaf(serving.certificatePem), "serving");
  const server = starting.add(
    await startApiServer({
      ...ports,
      storage,
      bindAddress: BIND_ADDRESS,
      port: 0,
      serving: { certificatePem: serving.certificatePem, keyPem: serving.keyPem.reveal() },
      clientCaPem: ca.certificatePem,
      tokenFile: {
        entries: [{ token: new Secret(token), username: ADMIN_NAME, uid: "", groups: [MASTERS_GROUP] }],
        warnings: [],
      },
      bootstrapTokens: true,
      anonymous: true,
      serviceAccounts: {
        issuers: [DEFAULT_ISSUER],
        apiAudiences: [DEFAULT_ISSUER],
        signer,
        keys: [signer.key],
        maxExpirationSeconds: 0,
        extendsExpiration: true,
        jwksUri: () => `${place.url}${KEY_SET_PATH}`,
      },
      audit: undefined,
      objects: [
        ...initialBindings(),
        ...tokenApproverObjects(false),
        ...revocationObjects(),
        ...(autoApprove ? [autoApproveBinding()] : []),
      ],
      registry: metrics.registry,
      register,
      allowMlDsa,
    }),
  );
  const url = `https://${BIND_ADDRESS}:${server.port}`;
  place.url = url;
  const cluster = { server: url, caPem: ca.certificatePem };
  const lifetime = new AbortController().signal;
  await ensureClusterInfo({ server, isShared: false }, cluster, ports, lifetime);
  const controllers = {
    signerNames: UP_SIGNERS,
    authorities: () => Promise.resolve(ca),
    signingDurationSeconds,
    allowMlDsa,
    isTrustedForClients: createTrustLookup(server),
    trust: {
      content: () => ({ trustBundle: cluster.caPem }),
      onChange: () => ({ [Symbol.dispose]: () => undefined }),
    },
    storage,
    register,
    without,
  };
  starting.add(
    runInBackground((signal) => runInProcess(server, controllers, { ...ports, metrics: metrics.controllers }, signal), {
      until: lifetime,
      onFailure: (error) => ports.logger.error("a controller of the test server failed", { error }),
    }),
  );
  starting.add(keepRevocations({ server, storage }, ports));
  const kubeconfig = await createAdminKubeconfig(
    {
      server: url,
      authorities: { client: ca, trustPem: ca.certificatePem },
      record: (certificate, source) => register.ensureRecorded(certificate, source),
    },
    ports,
  );
  const parts = starting.move();
  return {
    server,
    url,
    caPem: ca.certificatePem,
    token,
    kubeconfig,
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}
