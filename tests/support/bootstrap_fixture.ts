/** A node that bootstraps against a fake API, for the tests of `client/bootstrap.ts`. */
import assert from "node:assert/strict";
import {
  bootstrap,
  type BootstrapOptions,
  type BootstrapOutcome,
  type BootstrapProgress,
  createKubeconfigFinder,
} from "../../client/bootstrap.ts";
import { createConnector } from "../../client/transport/connect.ts";
import { type NodeName, parseNodeName } from "../../core/machine/node_name.ts";
import { Secret } from "../../core/lib/brand.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { encodeKubeconfigEntry } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import { decodeBase64, encodeBase64 } from "../../core/lib/encodings.ts";
import { findPemBlock } from "../../core/pki/asn1/pem.ts";
import { parseCertificationRequest, type RequestFacts } from "../../core/pki/x509/pkcs10.ts";
import { type FakeApi, type FakeApiOptions, startFakeApi } from "./fake_api.ts";
import { createFakeClock, type FakeClock } from "./fake_clock.ts";
import type { TestCertificate } from "./issuing_ca.ts";
import { createMemoryFiles, type MemoryFiles } from "./memory_files.ts";
import { createMemoryLogger, type MemoryLogger } from "./memory_logger.ts";
import { createSeededRandom } from "./seeded_random.ts";

/** The start of the fake clock: the machine's time, at which TLS stacks verify certificates, to the second. */
export const NOW = new Date(Math.floor(Date.now() / 1000) * 1000);
export const HOUR_MS = 3_600_000;
export const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
export const KEY = "/node/pki/kubelet-client.key.tmp";
/** The link to the current pair. */
export const CURRENT = "/node/pki/kubelet-client-current.pem";
/** The CA file of the bootstrap kubeconfig. */
export const CA_FILE = "/node/ca.crt";

/** A node without a certificate, and the API that it uses. */
export interface Fixture extends AsyncDisposable {
  readonly api: FakeApi;
  readonly clock: FakeClock;
  readonly files: MemoryFiles;
  readonly logger: MemoryLogger;
  readonly progress: BootstrapProgress[];
  readonly abort: AbortController;
  readonly options: BootstrapOptions;
  run(): Promise<BootstrapOutcome>;
  /** Approves the request and issues its certificate, with changes that make it invalid. */
  issue(csr: KubeObject, edit?: Partial<TestCertificate>): Promise<void>;
}

/** Creates a fixture. Only the test approves requests. */
export async function fixture(apiOptions: FakeApiOptions = {}): Promise<Fixture> {
  const api = await startFakeApi({ now: NOW, ...apiOptions });
  const clock = createFakeClock(NOW);
  const files = createMemoryFiles({
    "/node/bootstrap.kubeconfig": kubeconfigWithToken(api.server),
    [CA_FILE]: api.ca.caPem,
  });
  const logger = createMemoryLogger();
  const progress: BootstrapProgress[] = [];
  const abort = new AbortController();
  const options: BootstrapOptions = {
    findCluster: createKubeconfigFinder("/node/bootstrap.kubeconfig", files),
    kubeconfigPath: "/node/kubeconfig",
    certDir: "/node/pki",
    nodeName: parseNodeNameOrThrow("n1"),
    files,
    clock,
    random: createSeededRandom(),
    logger,
    connect: createConnector({ files, clock, userAgent: "test" }),
    onProgress: (event) => progress.push(event),
  };
  return {
    api,
    clock,
    files,
    logger,
    progress,
    abort,
    options,
    run: () => bootstrap(options, abort.signal),
    issue: (csr, edit) => issue(api, csr as CertificateSigningRequest, edit),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

function parseNodeNameOrThrow(text: string): NodeName {
  const name = parseNodeName(text);
  assert.ok(name.ok);
  return name.value;
}

function kubeconfigWithToken(server: string): string {
  const user = { token: new Secret("abcdef.0123456789abcdef") };
  return encodeKubeconfigEntry("c", { cluster: { server, certificateAuthority: "ca.crt" }, userName: "u", user });
}

/** Parses the PKCS#10 request of a CSR. */
export function parseRequestOrThrow(csr: CertificateSigningRequest): RequestFacts {
  const block = findPemBlock(new TextDecoder().decode(decodeBase64(csr.spec.request ?? ""))) ?? assert.fail("no PEM");
  const facts = parseCertificationRequest(block.block.bytes);
  assert.ok(facts.ok);
  return facts.value;
}

/** Creates a condition of status `True`. */
export function condition(type: string, reason: string, message = ""): Record<string, unknown> {
  return { type, status: "True", reason, message, lastUpdateTime: null, lastTransitionTime: null };
}

async function issue(
  api: FakeApi,
  csr: CertificateSigningRequest,
  edit: Partial<TestCertificate> = {},
): Promise<void> {
  const { publicKeyDer, subject } = parseRequestOrThrow(csr);
  const certificate = encodeBase64(await api.ca.issue({ publicKeyDer, subject, ...edit }));
  const approved = { ...csr, status: { conditions: [condition("Approved", "Test")] } };
  api.put(approved);
  api.put({ ...approved, status: { ...approved.status, certificate } });
}
