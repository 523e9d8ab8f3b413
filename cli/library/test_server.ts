/** `startTestServer`: an API server in memory with its controllers, for the tests of programs that talk to one. */
import { parseLeaf } from "../../instance/parts/register.ts";
import { Register } from "../../server/register/register.ts";
import { MASTERS_GROUP } from "../../core/kube/user.ts";
import { Secret } from "../../core/lib/brand.ts";
import { createAuthority } from "../../core/pki/authority/authority.ts";
import { SERIAL_BYTES } from "../../core/pki/authority/issue.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { DEFAULT_ISSUER, KEY_SET_PATH } from "../../core/service_accounts/issuer_documents.ts";
import { BACKDATE_MS, DEFAULT_SIGNING_SECONDS } from "../../core/signing/plan.ts";
import { createMemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import { ADMIN_NAME, createAdminKubeconfig } from "../../instance/parts/admin_kubeconfig.ts";
import { startApiServer } from "../../instance/parts/api_server.ts";
import { createTrustLookup, runInProcess, UP_SIGNERS } from "../../instance/controllers/controllers.ts";
import { createInstanceMetrics } from "../../instance/parts/instance_metrics.ts";
import { autoApproveBinding, initialBindings } from "../../instance/instance_rbac.ts";
import { ensureClusterInfo } from "../../instance/joining.ts";
import { Parts, runBeside } from "../../instance/parts/parts.ts";
import { keepRevocations, revocationObjects } from "../../instance/parts/revocation.ts";
import { createTokenSigner } from "../../instance/parts/service_accounts.ts";
import { issuePair } from "../../instance/authority/issue_pair.ts";
import { type AdminAccess, createAdminAccess } from "./api_access.ts";
import { createSystemPorts, type SystemPorts } from "./defaults.ts";
import { encodeHex } from "../../core/lib/hex.ts";
import { tokenApproverObjects } from "../../instance/controllers/run_approver.ts";

/** The settings of a test server. */
export interface TestServerSettings extends Partial<SystemPorts> {
  /** Approves requests for kubelet client certificates by machines with a bootstrap token. */
  readonly autoApprove?: boolean;
  /** Built-in controllers that do not run, so that a test can put another in their place. */
  readonly without?: readonly ("approver" | "signer")[];
  /** The lifetime of issued certificates, in seconds; a year by default. */
  readonly signingDurationSeconds?: number;
  /** Whether requests and client certificates with ML-DSA keys are accepted. Default: false. */
  readonly allowMlDsa?: boolean;
}

/** A running test server. Disposing it stops the controllers and the server, and drops all objects. */
export interface TestServer extends AdminAccess {
  readonly port: number;
  /** A bearer token of an administrator, for clients without a kubeconfig. */
  readonly token: string;
}

const LIFETIME_MS = DEFAULT_SIGNING_SECONDS * 1_000;
const BIND_ADDRESS = "127.0.0.1";

/**
 * Starts an API server on a free port of `127.0.0.1`, with its controllers and a new CA. It keeps everything in memory and
 * writes no file, so tests may start as many as they like.
 */
export async function startTestServer(settings: TestServerSettings = {}): Promise<TestServer> {
  const ports = createSystemPorts(settings);
  const { clock, random } = ports;
  const { allowMlDsa = false } = settings;
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
      serving: { certificatePem: serving.certificatePem, privateKeyPem: serving.keyPem.reveal() },
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
        ...(settings.autoApprove === true ? [autoApproveBinding()] : []),
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
    signingDurationSeconds: settings.signingDurationSeconds ?? DEFAULT_SIGNING_SECONDS,
    allowMlDsa,
    isTrustedForClients: createTrustLookup(server),
    trust: {
      content: () => ({ trustBundle: cluster.caPem }),
      onChange: () => ({ [Symbol.dispose]: () => undefined }),
    },
    storage,
    register,
    without: settings.without ?? [],
  };
  starting.add(
    runBeside((signal) => runInProcess(server, controllers, { ...ports, metrics: metrics.controllers }, signal), {
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
    ...createAdminAccess({ ...cluster, url, server, kubeconfig }, ports),
    port: server.port,
    token,
    [Symbol.asyncDispose]: () => parts[Symbol.asyncDispose](),
  };
}
